"""How addresses are written: of listeners, of backends, of upstream URLs."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from pingpy.config.values import refuse, shown

Scheme = Literal["http", "https"]
ListenerScheme = Literal["http", "https", "auto"]

TLS_PORTS = (443, 8443)
DEFAULT_PORTS = {"http": 80, "https": 443}
# sun_path is 108 bytes with its terminating NUL (unix(7)).
MAX_UNIX_PATH_BYTES = 107

_LISTEN_HELP = (
    'write "0.0.0.0:80", "[::]:80", ":80" (both), "http://127.0.0.1:8080" or "unix:/run/web.sock"'
)
_UPSTREAM_HELP = (
    'write "http://10.0.0.1:8080", "http://name", "unix:/run/app.sock", or the name of a pool'
)
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)(?!\d+(\.\d+)*\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?"
)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One address to listen on; `unix_path` is empty for TCP."""

    scheme: ListenerScheme
    host: str
    port: int
    unix_path: str = ""

    @property
    def text(self) -> str:
        """The address in its one canonical spelling."""
        return f"unix:{self.unix_path}" if self.unix_path else join_host_port(self.host, self.port)


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """Where an origin is: a host (name or address) and a port, or the path of a Unix socket."""

    scheme: Scheme
    host: str
    port: int
    unix_path: str = ""
    port_given: bool = True

    @property
    def text(self) -> str:
        """host:port or unix:/path, as it stands in logs and metrics."""
        return f"unix:{self.unix_path}" if self.unix_path else join_host_port(self.host, self.port)


def join_host_port(host: str, port: int) -> str:
    """host:port, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def overlap(first: str, second: str) -> bool:
    """Whether two listeners, in their canonical spelling, would share a port: one on all addresses, one on a single.

    The kernel gives the latter all connections to its address, accepted or not; when its socket is closed, those that
    wait there are reset. IPv6 listeners are IPv6 only, so the two families never meet.
    """
    if first.startswith("unix:") or second.startswith("unix:"):
        return False
    (one, _, port), (other, _, other_port) = first.rpartition(":"), second.rpartition(":")
    pair = {one, other}
    family = "[" in one
    return (
        port == other_port
        and len(pair) == 2
        and family == ("[" in other)
        and ("[::]" if family else "0.0.0.0") in pair
    )


def parse_listen(text: str) -> tuple[ListenAddress, ...]:
    """The sockets that one entry of `listen` stands for: two for ":80", else one."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    elif scheme not in ("http", "https"):
        refuse(f'unknown scheme "{scheme}://" in {shown(text)}', _LISTEN_HELP)
    if rest.startswith("unix:"):
        path = _unix_path(rest, _LISTEN_HELP)
        return (ListenAddress("https" if scheme == "https" else "auto", "", 0, path),)
    host, port = _split_host_port(rest, _LISTEN_HELP)
    if port is None:
        refuse(f"the port is missing in {shown(text)}", _LISTEN_HELP)
    chosen = _listener_scheme(scheme, port)
    if host in ("", "*"):
        return (ListenAddress(chosen, "0.0.0.0", port), ListenAddress(chosen, "::", port))
    if host == "localhost":
        host = "127.0.0.1"
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        refuse(f"expected an address of this machine, found {shown(host)}", _LISTEN_HELP)
    return (ListenAddress(chosen, address, port),)


def _listener_scheme(scheme: str, port: int) -> ListenerScheme:
    """The scheme as written; else TLS on its two usual ports, else whatever the first byte says."""
    if scheme == "http":
        return "http"
    return "https" if scheme == "https" or port in TLS_PORTS else "auto"


@lru_cache(maxsize=1 << 16)  # asked for again by the cross-checks and by resolve
def parse_upstream(text: str) -> UpstreamAddress:
    """An upstream URL, or unix:/path; refuses what a URL may have and an origin's address may not."""
    if text.startswith("unix:"):
        return UpstreamAddress("http", "", 0, _unix_path(text, _UPSTREAM_HELP))
    scheme, separator, rest = text.partition("://")
    if not separator:
        refuse(f"expected a URL, found {shown(text)}", _UPSTREAM_HELP)
    if scheme not in ("http", "https"):
        refuse(f'unknown scheme "{scheme}://" in {shown(text)}', _UPSTREAM_HELP)
    known: Scheme = "https" if scheme == "https" else "http"
    if rest.startswith("unix:"):
        return UpstreamAddress(known, "", 0, _unix_path(rest, _UPSTREAM_HELP))
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        refuse(f"a user name or password is not allowed in {shown(text)}", _UPSTREAM_HELP)
    if rest not in (authority, f"{authority}/"):
        refuse(
            f"the URL of an upstream has no path, found {shown(text)}",
            f'write "{scheme}://{authority}", and `rewrite` to change the path',
        )
    return _endpoint(known, authority, _UPSTREAM_HELP)


def parse_backend(text: str) -> UpstreamAddress:
    """A backend's address: host:port, unix:/path, or a URL when the origin speaks TLS."""
    if "://" in text or text.startswith("unix:"):
        return parse_upstream(text)
    return _endpoint("http", text, 'write "192.168.1.100:80", "name:8080" or "unix:/run/app.sock"')


def _endpoint(scheme: Scheme, text: str, advice: str) -> UpstreamAddress:
    host, port = _split_host_port(text, advice)
    if not host:
        refuse(f"the host is missing in {shown(text)}", advice)
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST_NAME.fullmatch(host) or ".." in host:
            refuse(f"{shown(host)} is neither a host name nor an address", advice)
        host = host.lower()
    return UpstreamAddress(
        scheme, host, DEFAULT_PORTS[scheme] if port is None else port, "", port is not None
    )


def _split_host_port(text: str, advice: str) -> tuple[str, int | None]:
    """host and port; the port is None when there is no colon for it."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            refuse(f"{shown(text)} is not an address", advice)
        port = rest[1:] if rest else None
    elif text.count(":") > 1:
        refuse(f"an IPv6 address needs brackets, found {shown(text)}", advice)
    else:
        host, colon, after = text.partition(":")
        port = after if colon else None
    if port is None:
        return host, None
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        refuse(f"expected a port from 1 to 65535, found {shown(port)}", advice)
    return host, int(port)


def _unix_path(text: str, advice: str) -> str:
    path = text.removeprefix("unix:")
    if not path.startswith("/"):
        refuse(f"the path of a Unix socket must start with /, found {shown(text)}", advice)
    if len(path.encode()) > MAX_UNIX_PATH_BYTES or "\0" in path:
        refuse(f"the path of a Unix socket has at most {MAX_UNIX_PATH_BYTES} bytes", advice)
    return path


def _checked_listen(text: str) -> str:
    parse_listen(text)
    return text


def _checked_backend(text: str) -> str:
    parse_backend(text)
    return text


def _checked_upstream(text: str) -> str:
    """A name (resolved by the cross-checks) or a URL that parses."""
    if "://" in text or text.startswith("unix:") or not is_name(text):
        parse_upstream(text)
    return text


def is_name(text: str) -> bool:
    """Whether this can be the name of a pool, a backend or a group."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", text) is not None


def _checked_name(text: str) -> str:
    if not is_name(text):
        refuse(
            f"{shown(text)} is not a name",
            "a name has letters, digits, and . _ - between them",
        )
    return text


def as_tuple(value: Any) -> Any:
    """A list as a tuple, a single string as a tuple of one; the rest is left for the type to refuse."""
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


def _checked_server_name(text: str) -> str:
    """A host name or an address, as certificates have them."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not _HOST_NAME.fullmatch(text) or ".." in text:
            refuse(
                f"{shown(text)} is neither a host name nor an address",
                'write "origin.example.com", without a scheme or a port',
            )
        return text.lower().rstrip(".")


Listen = Annotated[str, AfterValidator(_checked_listen)]
Backend = Annotated[str, AfterValidator(_checked_backend)]
Upstream = Annotated[str, AfterValidator(_checked_upstream)]
ServerName = Annotated[str, AfterValidator(_checked_server_name)]
Name = Annotated[str, AfterValidator(_checked_name)]
