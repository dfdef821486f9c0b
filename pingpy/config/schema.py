"""Every key of config.toml that is not about routing: its type, its default, one line of help."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pingpy.config.addresses import Listen, Name, as_tuple
from pingpy.config.schema_routing import HealthCheck, LoadBalancing, Pool, Proxy
from pingpy.config.table import Table
from pingpy.config.values import (
    Bytes,
    Group,
    HeadBytes,
    LogLevel,
    LogTarget,
    Networks,
    PositiveSeconds,
    Seconds,
    TicketSeconds,
    Users,
    WorkerCount,
)

Listed = BeforeValidator(as_tuple)
ListedText = BeforeValidator(as_tuple, json_schema_input_type=str | list[str])


class Global(Table):
    """The process: how many workers, as whom, where its files are, how it reloads and stops."""

    log_level: LogLevel = Field(default="info", description="error log: debug, info, warn or error")
    pid_file: str | None = Field(default=None, description="default: pingpy.pid in runtime_dir")
    worker_threads: WorkerCount = Field(
        default=None, description='worker processes, pinned to CPUs; "auto": one per allowed CPU'
    )
    worker_processes: WorkerCount = Field(
        default=None, description="another name for worker_threads"
    )
    user: str | None = Field(
        default=None, description="workers run as this user when started as root"
    )
    group: str | None = Field(
        default=None, description="and as this group; default: the user's own"
    )
    runtime_dir: str | None = Field(
        default=None,
        description="control socket and hand-off; default: $RUNTIME_DIRECTORY, "
        "else /run/pingpy for root, else a private folder of the user's",
    )
    access_log: LogTarget | None = Field(
        default=None,
        description='a path, "stderr", "stdout" or "off"; default: /var/log/pingpy/access.log '
        "where that folder can be used, else stderr",
    )
    error_log: LogTarget = Field(default="stderr", description='a path, or "stderr"')
    graceful_timeout: PositiveSeconds = Field(
        default=30, description="a graceful stop ends after this long, whatever is still open"
    )
    pre_stop_delay: Seconds = Field(
        default=0,
        description="a graceful stop goes on accepting for so long first, /readyz answering 503",
    )
    probation: Seconds = Field(
        default=10,
        description="after a reload, for this long a failing generation is rolled back; 0: off",
    )
    watch_interval: Seconds = Field(
        default=5,
        description="so often the files of certificates, keys, CAs and OCSP responses are looked at; "
        "what changed is reloaded; 0: never",
    )
    drain_timeout: PositiveSeconds = Field(
        default=60, description="requests of a draining generation may take this long"
    )
    tunnel_drain_timeout: PositiveSeconds = Field(
        default=600, description="tunnels of a draining generation are closed within this time"
    )
    drain_linger: Seconds = Field(
        default=5,
        description="an idle keep-alive of a draining generation is closed after this silence",
    )
    max_draining_generations: int = Field(
        default=16,
        ge=1,
        le=1000,
        description="beyond it the oldest generation's tunnels are closed",
    )
    orphan_timeout: PositiveSeconds = Field(
        default=30, description="workers whose master is gone drain for this long"
    )
    min_uptime: Seconds = Field(
        default=5, description="a worker that lived shorter than this is respawned with a back-off"
    )
    min_workers: int | None = Field(
        default=None,
        ge=1,
        le=512,
        description="workers that must be ready in a new generation; default: all",
    )
    upgrade_timeout: PositiveSeconds = Field(
        default=60, description="a new master or generation must be ready within this time"
    )
    heartbeat_timeout: PositiveSeconds = Field(
        default=30, description="a worker silent for this long is replaced"
    )
    control_users: Users = Field(
        default=(),
        description="users (names or numbers) besides root and our own who may control us",
    )


class Tls(Table):
    """A certificate for some host names, and what is asked of clients there."""

    server_name: Annotated[tuple[str, ...], ListedText] = Field(
        default=(), description="names this entry is for; none: the default"
    )
    certificate: str = Field(description="path of the certificate chain, PEM")
    key: str = Field(description="path of its private key, PEM")
    ocsp: str | None = Field(
        default=None, description="path of an OCSP response for it, DER: stapled while it is valid"
    )
    client_ca: str | None = Field(
        default=None, description="path of the CAs of client certificates, PEM"
    )
    client_verify: Literal["off", "optional", "required"] = Field(
        default="off", description="whether clients must show a certificate"
    )
    min_version: Literal["1.2", "1.3"] = Field(default="1.2", description="oldest TLS version")
    groups: Annotated[tuple[Group, ...], Listed] = Field(
        default=(),
        description="key exchange groups, the best first; those that libssl lacks are left out; "
        "none: X25519MLKEM768, X25519, P-256, P-384",
    )


def _proxy_protocol_table(value: object) -> object:
    """`true` takes the networks of trusted_proxies, `false` is as good as nothing; else these are the networks."""
    if isinstance(value, bool):
        return {} if value else None
    return value if isinstance(value, dict) or value is None else {"from": value}


class ProxyProtocol(Table):
    """Which connections begin with a PROXY protocol header (version 1 or 2), and must."""

    from_: Networks | None = Field(
        default=None, alias="from", description="networks; default: those of trusted_proxies"
    )
    listeners: Annotated[tuple[Listen, ...], ListedText] = Field(
        default=(), description="only on these of the addresses in `listen`; none: on all"
    )


class Network(Table):
    """Where requests come in."""

    listen: Annotated[tuple[Listen, ...], ListedText] = Field(
        default=("127.0.0.1:8080",),
        description="addresses: host:port, :port, http://..., https://..., unix:/path",
    )
    ssl_certificate: str | None = Field(default=None, description="certificate chain, PEM")
    ssl_certificate_key: str | None = Field(default=None, description="its private key, PEM")
    tls: Annotated[tuple[Tls, ...], Listed] = Field(
        default=(), description="further certificates by name"
    )
    ticket_lifetime: TicketSeconds = Field(
        default=43200,
        description="how long a client's TLS session may be resumed, by any worker, after reloads and "
        "upgrades too; keys are renewed as often and kept twice as long; 0: never",
    )
    backlog: int = Field(
        default=4096, ge=1, le=65535, description="connections the kernel queues per socket"
    )
    reuse_port: Literal["slots", "shared"] | None = Field(
        default=None,
        description='"slots": a socket per worker; "shared": one for all; '
        "default: slots when there is more than one worker",
    )
    io_uring: bool = Field(
        default=True, description="send and receive in batches where the kernel can"
    )
    trusted_proxies: Networks = Field(
        default=(), description='whose X-Forwarded-* are believed: networks, "loopback", "unix"'
    )
    proxy_protocol: Annotated[
        ProxyProtocol | None,
        BeforeValidator(
            _proxy_protocol_table, json_schema_input_type=bool | str | list[str] | ProxyProtocol
        ),
    ] = Field(
        default=None,
        description="networks whose connections begin with a PROXY header, and are closed when they "
        "do not; true: those of trusted_proxies; from elsewhere it is no request",
    )


class Limits(Table):
    """Bounds on what one client can make us hold."""

    header_bytes: HeadBytes = Field(
        default=65536, description="size of a request's or response's head"
    )
    header_count: int = Field(default=100, ge=1, le=1000, description="fields in a head")
    request_line_bytes: HeadBytes = Field(default=16384, description="size of a request line")
    body_bytes: Bytes = Field(
        default=0, description="size of a request body; 0: no bound (bodies are streamed, not held)"
    )
    body_rate_bytes: Bytes = Field(
        default=100, description="bytes a second that a request body must reach; 0: no bound"
    )
    connections: int = Field(
        default=32768, ge=1, le=1_000_000, description="downstream connections per worker"
    )
    handshakes: int = Field(
        default=4096, ge=1, le=1_000_000, description="TLS handshakes of clients at once per worker"
    )
    handshake_rate: int = Field(
        default=4000,
        ge=1,
        le=1_000_000,
        description="TLS handshakes of clients that begin in a second per worker; more wait",
    )
    streams: int = Field(
        default=100, ge=1, le=1000, description="HTTP/2 streams at once per connection"
    )
    waiting_bytes: Bytes = Field(
        default=64 << 20,
        description="HTTP/2 bodies that wait for a slow side, per worker; beyond, they hold up their connection",
    )
    idle_upstream: int = Field(
        default=128, ge=0, le=65536, description="idle connections each worker keeps per peer"
    )


class Timeouts(Table):
    """How long we wait, for whom."""

    header: PositiveSeconds = Field(
        default=10, description="for a request's head, from its first byte"
    )
    handshake: PositiveSeconds = Field(
        default=10, description="for a client's TLS handshake, from its first byte"
    )
    body: PositiveSeconds = Field(default=30, description="between two reads of a request body")
    idle: PositiveSeconds = Field(
        default=60, description="for the next request on a kept connection"
    )
    send: PositiveSeconds = Field(
        default=60, description="for a client or an origin that takes no bytes"
    )
    connect: PositiveSeconds = Field(default=5, description="for a connection to a peer")
    response: PositiveSeconds = Field(
        default=60, description="for a response's head, and between two reads of its body"
    )
    tunnel: PositiveSeconds = Field(
        default=3600, description="for a tunnel (WebSocket) without bytes"
    )
    upstream_idle: PositiveSeconds = Field(
        default=60, description="an idle connection to a peer is closed after this long"
    )
    upstream_ping: PositiveSeconds = Field(
        default=30,
        description="an HTTP/2 connection to a peer that is silent for so long is sent a PING; without an answer "
        "within 5 s (or this time, if that is less) it is closed; amid silent calls the next comes after 305 s",
    )
    client_ping: Seconds = Field(
        default=0,
        description="the same for an HTTP/2 connection of a client that has streams open; 0: never",
    )
    drain: PositiveSeconds | None = Field(
        default=None, description="another name for drain_timeout in [global]"
    )


class Metrics(Table):
    """The page of counters for Prometheus."""

    enabled: bool = Field(default=True, description="serve it on every listener, before any rule")
    listen: Annotated[tuple[Listen, ...], ListedText] = Field(
        default=(),
        description="addresses of its own, as in [network], plain HTTP; the page, /healthz and /readyz "
        "are all there is, and the page is no longer on the other listeners",
    )
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = Field(
        default="/metrics", description="its path"
    )
    allow: Networks = Field(
        default=("loopback", "unix"),
        description="who may read it; a forwarded request never is loopback. With `listen` the "
        "default is everybody who can reach those addresses",
    )


class Log(Table):
    """The form of the access log."""

    format: str = Field(
        default="combined",
        description="combined, combined_upstream, common, vcombined, json, logfmt, "
        "or a text with nginx's $variables",
    )
    level: LogLevel | None = Field(
        default=None, description="another name for log_level in [global]"
    )


class Sentry(Table):
    """Where exceptions are reported."""

    dsn: str | None = Field(
        default=None, pattern=r"^https?://", description="the project's DSN; none: off"
    )


class Module(Table):
    """A Python class of the user's that takes part in requests."""

    path: str = Field(
        min_length=1, description="a .py file (relative to this file) or an importable name"
    )
    class_: str = Field(alias="class", pattern=r"^[A-Za-z_]\w*$", description="the class in it")
    name: Name | None = Field(
        default=None, description="its name in `filters`; default: the class's name in lower case"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="given to the class, which checks them"
    )


class Config(Table):
    """The whole file."""

    global_: Global = Field(default=Global(), alias="global", description="the process")
    network: Network = Field(default=Network(), description="where requests come in")
    limits: Limits = Field(default=Limits(), description="bounds")
    timeouts: Timeouts = Field(default=Timeouts(), description="deadlines")
    proxy: Proxy = Field(default=Proxy(), description="rules, and their defaults")
    load_balancing: LoadBalancing = Field(default=LoadBalancing(), description="the default pool")
    pools: Annotated[tuple[Pool, ...], Listed] = Field(
        default=(), description="named sets of peers"
    )
    health_check: HealthCheck | None = Field(
        default=None, description="probes of every peer; without this table there are none"
    )
    metrics: Metrics = Field(default=Metrics(), description="counters")
    log: Log = Field(default=Log(), description="access log")
    sentry: Sentry = Field(default=Sentry(), description="error reports")
    modules: Annotated[tuple[Module, ...], Listed] = Field(
        default=(), description="the user's classes"
    )
