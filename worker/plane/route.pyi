from collections.abc import Iterable, Sequence
from typing import Any

from worker.plane.pick import Pool
from worker.plane.rules import RuleSet

class HeaderEdits:
    """Names that are not copied, and lines that are appended."""

    sets_host: bool
    def __init__(self, drops: Iterable[bytes], lines: bytes) -> None: ...
    def as_text(self) -> tuple[list[bytes], bytes]: ...
    def drops_name(self, name: bytes) -> bool: ...

class Route:
    """One rule's consequences. Times in milliseconds."""

    index: int
    label: bytes
    pool: Pool | None
    request_edits: HeaderEdits | None
    response_edits: HeaderEdits | None
    reply_kind: int
    reply_status: int
    reply_head: bytes
    reply_body: bytes
    responder: Any
    rewrite: Any
    redirect: Any
    websocket: bool
    grpc: bool
    grpc_web: bool
    host_from_upstream: bool
    loopback_only: bool
    connect_ms: int
    response_ms: int
    tunnel_ms: int
    body_ms: int
    max_body_bytes: int
    hooks: Any
    retry_attempts: int
    retry_connect: bool
    retry_closed: bool
    retry_timeout: bool
    retry_budget: float
    def __init__(
        self,
        label: bytes,
        *,
        pool: Pool | None = None,
        statuses: Iterable[int] = (),
        **options: Any,
    ) -> None:
        """`options`: any other attribute above but index, by its name."""
    def bind(self, hooks: Any) -> None:
        """Give the route its bound phases; before the first request only."""

class RouteTable:
    """All routes in file order, what comes before them and what comes last."""

    routes: list[Route]
    default: Route | None
    def __init__(
        self,
        routes: Sequence[Route],
        rules: RuleSet,
        *,
        default: Route | None = None,
        built_in: Sequence[tuple[bytes, Route]] = (),
        aside: RouteTable | None = None,
        aside_from: int = 0,
    ) -> None:
        """`aside`: a table of pages alone, for the listeners from this number on."""
