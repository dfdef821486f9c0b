"""What a hook is given of one request: the Session, a view that the data plane fills only as far as it is asked."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from pingpy.http import Request, Response
from pingpy.peer import Peer


class Address(NamedTuple):
    """One end of a connection; for a Unix socket `host` is `unix:/path` (or `unix:`) and `port` is 0."""

    host: str
    port: int


class Session(Protocol):
    """One request and its response. Valid until `logging` has returned; keep values, not the session."""

    @property
    def id(self) -> str:
        """The request's id: X-Request-Id from a trusted proxy, else made here. The same in both logs."""

    @property
    def request(self) -> Request:
        """The request as received. Change what goes upstream in `upstream_request_filter`, not here."""

    @property
    def response(self) -> Response | None:
        """The response as the client gets it; None before there is one."""

    @property
    def client(self) -> Address:
        """The client, found behind trusted proxies where they are configured."""

    @property
    def server(self) -> str:
        """The address of the listener that accepted the connection, as it is configured."""

    @property
    def peer(self) -> Peer | None:
        """The peer of the current attempt; None before one was chosen."""

    @property
    def tries(self) -> int:
        """Attempts so far, the current one included."""

    @property
    def started(self) -> float:
        """Wall clock of the request's first byte, seconds since the epoch."""

    @property
    def bytes_in(self) -> int:
        """Bytes of the request received so far, head and body."""

    @property
    def bytes_out(self) -> int:
        """Bytes of the response sent so far, head and body."""
