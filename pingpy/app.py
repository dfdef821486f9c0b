"""ProxyApp and Filter: the phases of a request as plain methods, of which a programmer overrides the wanted ones.

Phases in the order of a request's life. A method may be `def` or `async def`; one that is not overridden costs nothing.

    request    early_request_filter > request_filter > upstream_peer > connected_to_upstream > upstream_request_filter
               > request_body_filter
    response   upstream_response_filter > response_filter > response_body_filter > response_trailer_filter
    failure    fail_to_connect (nothing was sent) | error_while_proxy (after the connect) > fail_to_proxy
    always     logging, last and exactly once

An exception in a phase is a 500 for that request alone. Nothing here may block: a slow call belongs into `async def`
and a library that awaits, or into a thread. A phase that awaits when its request ends, because the client has gone, is
cancelled as asyncio cancels a task; `logging` never is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Generic, NoReturn, TypeVar, Union

from pingpy.errors import ProxyError
from pingpy.http import Headers, Request, Response
from pingpy.peer import Peer
from pingpy.session import Session

T = TypeVar("T")
Ctx = TypeVar("Ctx")
Maybe = Union[T, Awaitable[T]]  # noqa: UP007  `T | Awaitable[T]` cannot be subscripted later


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """The process that a hook runs in: its slot counts from 0 to `worker_count` - 1."""

    slot: int
    worker_count: int
    generation: int


class Filter(Generic[Ctx]):
    """A reusable part: any of the phases but `upstream_peer`.

    Within `ProxyApp.filters` it shares the app's ctx; named in `[[modules]]` it has one of its own, from `new_ctx`.
    """

    def check(self, config: Any) -> None:
        """Object to the configuration by raising ValueError or ConfigError; called before anything starts."""

    async def startup(self, worker: WorkerInfo) -> None:
        """Runs once in each worker before it says that it is ready; raising refuses the start or the reload."""

    async def shutdown(self) -> None:
        """Runs once in each worker after its last request."""

    def new_ctx(self) -> Ctx:
        """What this request carries from phase to phase: any type of yours."""
        return None  # type: ignore[return-value]  # Filter[None], the common case, need not override it

    def early_request_filter(self, session: Session, ctx: Ctx) -> Maybe[None]:
        """Before everything else, routing included."""

    def request_filter(self, session: Session, ctx: Ctx) -> Maybe[Response | None]:
        """Authentication, limits, validation. A Response is the answer: nothing goes upstream."""

    def request_body_filter(
        self, session: Session, chunk: bytes, end: bool, ctx: Ctx
    ) -> Maybe[bytes]:
        """Each piece of the request body; what is returned goes upstream. `end`: no more will come."""
        return chunk

    def connected_to_upstream(self, session: Session, peer: Peer, reused: bool, ctx: Ctx) -> None:
        """A connection to the peer is there, new or reused."""

    def upstream_request_filter(self, session: Session, request: Request, ctx: Ctx) -> Maybe[None]:
        """Change the request head that goes upstream. Framing fields are pingpy's to write."""

    def upstream_response_filter(
        self, session: Session, response: Response, ctx: Ctx
    ) -> Maybe[None]:
        """The response head as it came, before the configuration's header changes."""

    def response_filter(self, session: Session, response: Response, ctx: Ctx) -> Maybe[None]:
        """Change the response head that goes to the client."""

    def response_body_filter(self, session: Session, chunk: bytes, end: bool, ctx: Ctx) -> bytes:
        """Each piece of the response body; what is returned goes to the client."""
        return chunk

    def response_trailer_filter(self, session: Session, trailers: Headers, ctx: Ctx) -> None:
        """The trailer section, where there is one."""

    def fail_to_connect(
        self, session: Session, peer: Peer, error: ProxyError, ctx: Ctx
    ) -> Maybe[bool]:
        """No connection, so nothing was sent. True: ask `upstream_peer` again, within the bound on tries."""
        return False

    def error_while_proxy(
        self, session: Session, peer: Peer, error: ProxyError, ctx: Ctx
    ) -> Maybe[bool]:
        """The exchange broke after the connect. True: try again, granted only while that cannot repeat an effect."""
        return False

    def fail_to_proxy(
        self, session: Session, error: ProxyError, ctx: Ctx
    ) -> Maybe[Response | None]:
        """No more tries. A Response replaces pingpy's own error page."""

    def logging(self, session: Session, error: ProxyError | None, ctx: Ctx) -> Maybe[None]:
        """The request is over, well or not; the last phase, exactly once."""


class ProxyApp(Filter[Ctx]):
    """The whole of a proxy: a Filter that may also say where requests go, and that carries other filters."""

    filters: Sequence[Filter[Ctx]] = ()

    def upstream_peer(self, session: Session, ctx: Ctx) -> Maybe[Peer | None]:
        """Where this request goes; asked again for each further try. None: as the configuration's rules say."""
        return None


def serve(app: ProxyApp[Any], config: str | PathLike[str] = "config.toml") -> NoReturn:
    """Run the server around `app`: the same master, workers, signals and reload as the command line; ends the process.

    The program itself is what an upgrade starts again, so nothing but definitions should stand before this call.
    """
    # The one way from the vocabulary to the processes: looked up only when a program asks to become the server.
    from pingpy.cli.run import serve_app

    serve_app(app, str(config))
