"""Whether each name that clients may ask for has one identity, and what is asked of clients there can be asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from pingpy.config.finding import Finding, Path, warning
from pingpy.config.schema import Config, Tls

# A host name as it comes in a ClientHello (RFC 6066 section 3), or all names below one.
HOST_NAME = re.compile(r"(\*\.)?([A-Z0-9_]([A-Z0-9_-]*[A-Z0-9_])?\.)*[A-Z0-9_-]+", re.IGNORECASE)


def check_identities(config: Config) -> Iterator[Finding]:
    """Findings about [[network.tls]]."""
    for index, entry in enumerate(config.network.tls):
        path: Path = ("network", "tls", index)
        yield from _names(entry, path)
        yield from _clients(entry, path, config)
    yield from _shared_names(config)


def identity(entry: Tls) -> tuple[str, ...]:
    """Entries for which this is the same are one identity with several certificates."""
    return tuple(sorted({name.lower() for name in entry.server_name}))


def _names(entry: Tls, path: Path) -> Iterator[Finding]:
    for name in entry.server_name:
        if _is_address(name):
            message = f'"{name}" is an address, and clients ask for names only'
            advice = "no server_name: who asks for none gets the default"
            yield Finding((*path, "server_name"), message, advice)
        elif not HOST_NAME.fullmatch(name):
            message = f'"{name}" is no host name'
            advice = 'such as "www.example.com", or "*.example.com"; xn--... for other letters'
            yield Finding((*path, "server_name"), message, advice)


def _clients(entry: Tls, path: Path, config: Config) -> Iterator[Finding]:
    if entry.client_verify != "off" and entry.client_ca is None:
        message = f'client_verify = "{entry.client_verify}" needs "client_ca"'
        yield Finding((*path, "client_verify"), message, "name the CAs' file")
    beside = [other for other in config.network.tls if identity(other) == identity(entry)]
    if entry.client_ca and all(other.client_verify == "off" for other in beside):
        message = '"client_ca" is not used: no client is asked for a certificate'
        advice = 'add client_verify = "required", or "optional"'
        yield warning((*path, "client_ca"), message, advice, on_key=True)


def _shared_names(config: Config) -> Iterator[Finding]:
    """One of them would win, and with it what it asks of clients."""
    owners: dict[str, tuple[str, ...]] = {}
    for index, entry in enumerate(config.network.tls):
        for name in identity(entry):
            if owners.setdefault(name, identity(entry)) != identity(entry):
                message = f'"{name}" is a name of another entry, too, beside other names'
                advice = "entries of one identity have the same names, all of them"
                yield Finding(("network", "tls", index, "server_name"), message, advice)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
