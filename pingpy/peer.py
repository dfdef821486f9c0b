"""One upstream address as a hook names it, with what to do differently from the configuration when talking to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request goes.

    `host` is an address, or `unix:/path` with port 0. It is not a name: names are resolved off the request path, in
    pools. Connections are shared only among equal (host, port, tls, sni, alpn, group): `group` keeps apart what must
    not share a connection, such as tenants. A timeout of None takes the route's.
    """

    host: str
    port: int = 0
    tls: bool = False
    sni: str | None = None
    alpn: tuple[str, ...] = ()
    connect_seconds: float | None = None
    read_seconds: float | None = None
    group: str = ""

    def __post_init__(self) -> None:
        if self.host.startswith("unix:"):
            if self.port:
                raise ValueError("a peer on a Unix socket has no port")
        elif not 0 < self.port < 65536:
            raise ValueError(f"a peer's port is 1 to 65535, not {self.port!r}")

    @property
    def address(self) -> str:
        """As in logs: `192.0.2.1:80`, `[2001:db8::1]:80`, `unix:/run/app.sock`."""
        if self.host.startswith("unix:"):
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
