"""Whether a certificate can be read, fits its key, and is valid for a while."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path as FilePath

from pingpy.config import der
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.schema import Config

NEAR_END = timedelta(days=14)


def check_certificates(config: Config, folder: FilePath, now: datetime) -> Iterator[Finding]:
    """Findings about every certificate that the configuration names."""
    network = config.network
    if network.ssl_certificate and network.ssl_certificate_key:
        pair = network.ssl_certificate, network.ssl_certificate_key
        places: tuple[Path, Path] = (
            ("network", "ssl_certificate"),
            ("network", "ssl_certificate_key"),
        )
        yield from check_pair(pair, places, folder, now)
    for index, entry in enumerate(network.tls):
        path: Path = ("network", "tls", index)
        places = ((*path, "certificate"), (*path, "key"))
        yield from check_pair((entry.certificate, entry.key), places, folder, now)


def check_pair(
    pair: tuple[str, str], places: tuple[Path, Path], folder: FilePath, now: datetime
) -> Iterator[Finding]:
    """Findings about a certificate and its key."""
    unreadable = False
    for name, place in zip(pair, places, strict=True):
        try:
            (folder / name).read_bytes()
        except OSError as error:
            unreadable = True
            yield Finding(place, f"cannot read {folder / name}: {error.strerror}")
    if unreadable:
        return
    certificate, key = folder / pair[0], folder / pair[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without this callback OpenSSL would ask for a password on the terminal.
        context.load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as error:
        yield _mismatch(error, places, pair)
    except _EncryptedKeyError:
        message = f"{key} is encrypted"
        yield Finding(places[1], message, "decrypt it: nobody is there to type its password")
    else:
        yield from _check_validity(certificate, places[0], now)


class _EncryptedKeyError(Exception):
    """The key asks for a password."""


def _no_password() -> str:
    raise _EncryptedKeyError


def _mismatch(error: ssl.SSLError, places: tuple[Path, Path], pair: tuple[str, str]) -> Finding:
    if "KEY_VALUES_MISMATCH" in str(error) or "key values mismatch" in str(error):
        message = f"the key is not that of the certificate {pair[0]}"
        return Finding(places[1], message, "compare: openssl x509 -pubkey, openssl pkey -pubout")
    message = f"cannot use {pair[0]} with {pair[1]}: {error.reason or 'not PEM'}"
    return Finding(places[0], message, "both must be PEM: -----BEGIN ...")


def _check_validity(certificate: FilePath, place: Path, now: datetime) -> Iterator[Finding]:
    try:
        begins, ends = validity(first_der(certificate.read_bytes()))
    except (ValueError, IndexError):
        return
    if now > ends:
        yield warning(place, f"the certificate {certificate} expired on {ends:%Y-%m-%d}")
    elif now < begins:
        yield warning(place, f"the certificate {certificate} is valid only from {begins:%Y-%m-%d}")
    elif ends - now < NEAR_END:
        yield warning(place, f"the certificate {certificate} expires on {ends:%Y-%m-%d}")


def expiries(config: Config, contents: Mapping[str, bytes]) -> dict[str, float]:
    """When each certificate for clients ends (Unix time), by its name in the file; those that are none are left out."""
    network = config.network
    names = [network.ssl_certificate, *(entry.certificate for entry in network.tls)]
    found: dict[str, float] = {}
    for name in names:
        try:
            if name is not None and name in contents:
                found[name] = validity(first_der(contents[name]))[1].timestamp()
        except (ValueError, IndexError):
            continue
    return found


def first_der(pem: bytes) -> bytes:
    """The first certificate of a chain, which is the server's own; raises ValueError when there is none."""
    text = pem.decode("latin-1")
    begin = text.index(ssl.PEM_HEADER)
    end = text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
    return ssl.PEM_cert_to_DER_cert(text[begin:end])


def validity(certificate: bytes) -> tuple[datetime, datetime]:
    """The first and last moment of a certificate in DER (RFC 5280 4.1). Raises ValueError, IndexError."""
    fields = der.inside(der.inside(der.first(certificate))[0])
    # version is optional; then serialNumber, signature, issuer
    begins, ends = der.inside(fields[4 if fields[0].tag == der.EXPLICIT_0 else 3])
    return der.moment(begins), der.moment(ends)
