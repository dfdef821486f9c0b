"""The configuration as the route tables and the scout take it: every default merged, every name followed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pingpy.config.addresses import Scheme


@dataclass(frozen=True, slots=True)
class ResolvedPeer:
    """One origin address; a host that is a name may become several peers when it is looked up."""

    name: str  # as configured, else the address; in logs and metrics
    scheme: Scheme
    host: str  # name or address; empty for a Unix socket
    port: int
    unix_path: str
    weight: int
    max_connections: int  # per worker; 0: no bound

    @property
    def address(self) -> str:
        """host:port, [v6]:port or unix:/path."""
        if self.unix_path:
            return f"unix:{self.unix_path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """What Host says when it is the upstream's: without the scheme's own port."""
        if self.unix_path:
            return "localhost"
        own = 443 if self.scheme == "https" else 80
        return self.address.removesuffix(f":{self.port}") if self.port == own else self.address


@dataclass(frozen=True, slots=True)
class ResolvedTls:
    """How peers are spoken to over TLS. Paths are as in the file, relative to its folder."""

    verify: bool = True
    ca: str | None = None  # None: the system's
    server_name: str | None = None  # None: each peer's host
    certificate: str | None = None  # None: we show none
    key: str | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"


@dataclass(frozen=True, slots=True)
class ResolvedHealthCheck:
    """How the peers of a pool are probed."""

    type: Literal["http", "tcp", "grpc"]
    interval_seconds: float
    timeout_seconds: float  # never above the interval
    path: str
    expected_status: frozenset[int]
    unhealthy_threshold: int
    healthy_threshold: int
    service: str = ""  # of gRPC; "" is the server as a whole


@dataclass(frozen=True, slots=True)
class ResolvedRetry:
    """When another peer may be tried."""

    attempts: int  # after the first
    on_connect: bool
    on_closed: bool
    on_timeout: bool
    statuses: frozenset[int]
    budget: float  # retries as a share of requests


@dataclass(frozen=True, slots=True)
class ResolvedPool:
    """A named set of peers and how one of them is chosen.

    The name depends only on what the pool consists of, so that it is the same after a reload:
    it is the metrics' label, and with a peer's address the key of its cell in shared memory.
    """

    name: str
    algorithm: str  # a name of patterns.ALGORITHMS' values, or "module:Class"
    peers: tuple[ResolvedPeer, ...]
    health_check: ResolvedHealthCheck | None
    retry: ResolvedRetry
    queue_size: int
    queue_seconds: float
    send_proxy: bool = False  # connections begin with a PROXY header
    tls: ResolvedTls = ResolvedTls()  # towards the peers whose scheme is https


@dataclass(frozen=True, slots=True)
class HeaderCondition:
    """A field that must be there; `pattern` None: with any value, else a glob with *."""

    name: str  # lower case
    pattern: str | None


@dataclass(frozen=True, slots=True)
class QueryCondition:
    """A parameter that must be there; `pattern` None: with any value, else a glob with *."""

    name: str
    pattern: str | None


@dataclass(frozen=True, slots=True)
class Conditions:
    """All of these must hold; within hosts, paths and methods any one of the list."""

    hosts: tuple[str, ...] = ()  # globs, lower case
    paths: tuple[str, ...] = ()  # globs
    methods: tuple[str, ...] = ()
    headers: tuple[HeaderCondition, ...] = ()
    query: tuple[QueryCondition, ...] = ()


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """Changes to one head, in this order: remove, set, add. Names are spelled as configured."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.set or self.add)


@dataclass(frozen=True, slots=True)
class ResolvedReply:
    """An answer of our own; `location` is a template, see `redirect` in the schema."""

    status: int
    body: str = ""
    content_type: str = ""
    location: str | None = None
    # For a `*` in `location`: the path's pattern as a regular expression, one group per *.
    path_regex: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedRewrite:
    """The decoded path is matched in full with `regex` (Python's); `replacement` is its re.sub text."""

    regex: str
    replacement: str


@dataclass(frozen=True, slots=True)
class RouteTimeouts:
    """Deadlines of one rule, in seconds."""

    body_seconds: float
    connect_seconds: float
    response_seconds: float
    tunnel_seconds: float


@dataclass(frozen=True, slots=True)
class ResolvedRule:
    """One rule with everything it needs; exactly one of `pool` and `reply` is there."""

    index: int  # in file order
    label: str  # unique; for metrics and logs
    conditions: Conditions
    pool: ResolvedPool | None
    reply: ResolvedReply | None
    rewrite: ResolvedRewrite | None
    request_headers: HeaderChanges
    response_headers: HeaderChanges
    timeouts: RouteTimeouts
    retry: ResolvedRetry
    max_body_bytes: int  # -1: no bound
    host_from_upstream: bool
    grpc: bool
    grpc_web: bool  # translated; only where grpc is
    upstream_protocol: Literal["http1", "h2"]
    websocket: bool
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResolvedMetrics:
    """The metrics page: where, for whom; None in its place means off."""

    path: str
    allow: tuple[str, ...] | None  # networks, "loopback", "unix"; None: everybody
    apart: bool = False  # on listeners of its own and nowhere else


@dataclass(frozen=True, slots=True)
class Resolved:
    """Everything that decides where a request goes."""

    rules: tuple[ResolvedRule, ...]
    no_match: ResolvedRule  # the default pool, or a 404; index is len(rules)
    metrics: ResolvedMetrics | None
    pools: tuple[ResolvedPool, ...] = field(default=())  # each pool that a rule uses, once
