"""Every key of config.toml that decides where a request goes: its type, its default, one line of help."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from pingpy.config.addresses import Backend, Name, ServerName, Upstream, as_tuple
from pingpy.config.patterns import (
    AddableHeaderLines,
    Algorithm,
    HeaderLines,
    HeaderMatches,
    HeaderNames,
    HeaderValue,
    HostPatterns,
    Methods,
    PathPatterns,
    QueryMatches,
    RemovableHeaderNames,
    as_table,
)
from pingpy.config.retry import RetryReasons
from pingpy.config.table import Table
from pingpy.config.values import PositiveSeconds, Statuses

Listed = BeforeValidator(as_tuple)
Weight = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
SendProxyProtocol = Literal["v2", "off"]
Protocol = Literal["http1", "h2"]


class RuleTimeouts(Table):
    """Deadlines of one rule; what is absent comes from [timeouts]."""

    body: PositiveSeconds | None = Field(
        default=None, description="between two reads of a request body"
    )
    connect: PositiveSeconds | None = Field(default=None, description="for a connection to a peer")
    response: PositiveSeconds | None = Field(
        default=None, description="for a response's head, and between two reads of its body"
    )
    tunnel: PositiveSeconds | None = Field(default=None, description="for a tunnel without bytes")


class Retry(Table):
    """When another peer is tried; what was sent decides whether it may be."""

    attempts: Annotated[int, Field(ge=0, le=20)] = Field(
        default=2, description="tries after the first"
    )
    on: RetryReasons = Field(
        default=("connect", "closed"),
        description='"connect", "closed" (a reused connection died), "timeout", statuses',
    )
    budget: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.2, description="retries as a share of requests, above all rules"
    )


class Rewrite(Table):
    """What the path becomes on its way to the origin."""

    to: Annotated[str, Field(pattern=r"^(/|\\)")] = Field(
        description=r"the new path; each * is what it was in `path`, with `regex` \1 is a group"
    )
    regex: str | None = Field(
        default=None,
        description="a regular expression (Python's) for the whole path, instead of `path`",
    )


class Redirect(Table):
    """A redirection instead of an origin."""

    to: HeaderValue = Field(
        min_length=1, description="Location; $scheme $host $request_uri $uri $args, * as in `path`"
    )
    status: Literal[301, 302, 303, 307, 308] = Field(default=302, description="its status")


class Respond(Table):
    """A fixed answer instead of an origin."""

    status: Annotated[int, Field(ge=200, le=599)] = Field(default=200, description="its status")
    body: str = Field(default="", description="its body")
    content_type: HeaderValue = Field(
        default="text/plain; charset=utf-8", description="of the body"
    )


RetryOrCount = Annotated[
    Retry, BeforeValidator(as_table("attempts"), json_schema_input_type=int | Retry)
]
RewriteOrPath = Annotated[
    Rewrite, BeforeValidator(as_table("to"), json_schema_input_type=str | Rewrite)
]
RedirectOrUrl = Annotated[
    Redirect, BeforeValidator(as_table("to"), json_schema_input_type=str | Redirect)
]


def _respond_table(value: object) -> object:
    """A number is a status, a text is a body."""
    if isinstance(value, dict):
        return value
    return {"body": value} if isinstance(value, str) else {"status": value}


RespondOrShort = Annotated[
    Respond, BeforeValidator(_respond_table, json_schema_input_type=int | str | Respond)
]


class UpstreamTls(Table):
    """TLS towards `https://` origins: whom to believe, who we are. What a rule leaves out, its pool and [proxy] say."""

    verify: bool = Field(
        default=True, description="whether the origin's certificate must be good, and for its host"
    )
    ca: str | None = Field(
        default=None, description="path of the CAs that are believed, PEM; default: the system's"
    )
    server_name: ServerName | None = Field(
        default=None,
        description="host name or address that the certificate must be for, and SNI; default: the URL's host",
    )
    certificate: str | None = Field(
        default=None, description="path of the certificate chain that we show, PEM"
    )
    key: str | None = Field(default=None, description="path of its private key, PEM")
    min_version: Literal["1.2", "1.3"] = Field(default="1.2", description="oldest TLS version")


class RouteDefaults(Table):
    """The keys that [proxy] sets for every rule, and that a rule may set for itself."""

    load_balancing: Algorithm | None = Field(
        default=None,
        description="how peers are chosen; default: round_robin, or what the pool says",
    )
    set_request_header: HeaderLines = Field(
        default_factory=dict, description="to the origin: replace or add"
    )
    add_request_header: AddableHeaderLines = Field(
        default_factory=dict, description="to the origin: add beside what is there"
    )
    remove_request_header: RemovableHeaderNames = Field(
        default=(), description="to the origin: drop"
    )
    set_response_header: HeaderLines = Field(
        default_factory=dict, description="to the client, on our own answers too: replace or add"
    )
    add_response_header: HeaderLines = Field(
        default_factory=dict, description="to the client: add beside what is there"
    )
    remove_response_header: HeaderNames = Field(default=(), description="to the client: drop")
    timeouts: RuleTimeouts = Field(default=RuleTimeouts(), description="deadlines")
    retry: RetryOrCount | None = Field(
        default=None, description="when another peer is tried; or a number"
    )
    forward_host: Literal["client", "upstream"] | None = Field(
        default=None,
        description="Host sent to the origin: the client's (default), or the \"upstream\" URL's",
    )
    send_proxy_protocol: SendProxyProtocol | None = Field(
        default=None,
        description='"v2": connections to the origin begin with a PROXY header that names the client, '
        "and serve this client only; default: what the pool says, else off",
    )
    tls: UpstreamTls = Field(
        default=UpstreamTls(), description="TLS towards the origin, when its URL is https://"
    )
    grpc: bool | None = Field(
        default=None, description="gRPC: HTTP/2 to the origin, no total timeout; default: false"
    )
    grpc_web: bool | None = Field(
        default=None,
        description="with grpc: browsers' gRPC-Web is translated to gRPC; default: false",
    )
    upstream_protocol: Protocol | None = Field(
        default=None,
        description='spoken to the origin: "http1", or "h2"; default: http1, with grpc h2',
    )
    websocket: bool | None = Field(default=None, description="let Upgrade through; default: false")
    filters: Annotated[tuple[Name, ...], Listed] = Field(
        default=(), description="modules by name, in order; a rule's come after those of [proxy]"
    )


class Rule(RouteDefaults):
    """One rule: the first in file order whose conditions all hold decides."""

    host: HostPatterns = Field(
        default=(),
        description='hosts, * as in paths; the single word "upstream" means forward_host',
    )
    path: PathPatterns = Field(default=(), description="paths; * is any characters, / too, or none")
    method: Methods = Field(default=(), description="methods")
    header: HeaderMatches = Field(
        default=(), description='"Name" (present) or "Name: value" with *; in a list all must hold'
    )
    header_value: HeaderValue | None = Field(
        default=None, description="the value of a single `header`"
    )
    query: QueryMatches = Field(
        default=(), description='"name" (present) or "name=value" with *; in a list all must hold'
    )
    upstream: Annotated[
        tuple[Upstream, ...], BeforeValidator(as_tuple, json_schema_input_type=str | list[str])
    ] = Field(default=(), description="a URL, a list of URLs, or the name of a pool or backend")
    rewrite: RewriteOrPath | None = Field(
        default=None, description="the path sent to the origin, each * as in `path`; or {to, regex}"
    )
    redirect: RedirectOrUrl | None = Field(
        default=None, description="answer with a Location; or {to, status}"
    )
    respond: RespondOrShort | None = Field(
        default=None, description="answer with a text or a status; or {status, body, content_type}"
    )


class Proxy(RouteDefaults):
    """Defaults for every rule, and the rules."""

    host: Literal["client", "upstream"] | None = Field(
        default=None, description="another name for forward_host"
    )
    rules: Annotated[tuple[Rule, ...], Listed] = Field(
        default=(), description="the rules, in order"
    )


class BackendTable(Table):
    """One member of the default pool, or of the pool its group names."""

    name: Name = Field(description="its name: in logs, and in a rule's upstream")
    address: Backend = Field(description="host:port, unix:/path or https://host:port")
    weight: Weight = Field(default=1, description="its share of the traffic; 0: drained")
    group: Name | None = Field(
        default=None, description="the pool it belongs to instead of the default"
    )
    max_connections: Count = Field(default=0, description="from each worker; 0: no bound")


class LoadBalancing(Table):
    """The default pool: it serves requests that no rule matches."""

    algorithm: Algorithm = Field(default="round_robin", description="how peers are chosen")
    backends: Annotated[tuple[BackendTable, ...], Listed] = Field(
        default=(), description="its members"
    )


class HealthCheck(Table):
    """How each peer is probed, once per host."""

    enabled: bool = Field(default=True, description="whether peers are probed")
    type: Literal["http", "tcp", "grpc"] = Field(
        default="http", description="a request, only a connection, or grpc.health.v1"
    )
    interval: PositiveSeconds = Field(default=10, description="between two probes of one peer")
    timeout: PositiveSeconds = Field(default=5, description="of one probe; at most the interval")
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = Field(
        default="/", description="requested path"
    )
    expected_status: Statuses = Field(default=(200,), description='a status, "2xx", or a list')
    service: Annotated[str, Field(max_length=255)] = Field(
        default="", description='of type "grpc": the service asked for; "": the whole server'
    )
    unhealthy_threshold: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="failures in a row that take a peer out"
    )
    healthy_threshold: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="successes in a row that bring it back"
    )


class PeerTable(Table):
    """One member of a pool."""

    address: Backend = Field(description="host:port, unix:/path or https://host:port")
    name: Name | None = Field(default=None, description="its name in logs; default: its address")
    weight: Weight = Field(default=1, description="its share of the traffic; 0: drained")
    max_connections: Count | None = Field(default=None, description="default: the pool's")


class Queue(Table):
    """Where requests wait while every peer is at max_connections."""

    size: Count = Field(default=128, description="requests that may wait in each worker; 0: none")
    timeout: PositiveSeconds = Field(default=5, description="for how long; then 503")


class Pool(Table):
    """A named set of peers, for rules to refer to."""

    name: Name = Field(description="what a rule's upstream says")
    algorithm: Algorithm = Field(default="round_robin", description="how peers are chosen")
    peers: Annotated[tuple[PeerTable, ...], Listed] = Field(min_length=1, description="its members")
    health_check: Annotated[
        HealthCheck | None,
        BeforeValidator(as_table("enabled"), json_schema_input_type=bool | HealthCheck),
    ] = Field(default=None, description="overrides keys of [health_check]; false: no probes")
    retry: RetryOrCount | None = Field(
        default=None, description="when another peer is tried; or a number"
    )
    send_proxy_protocol: SendProxyProtocol | None = Field(
        default=None,
        description='"v2": connections begin with a PROXY header that names the client; default: off',
    )
    upstream_protocol: Protocol | None = Field(
        default=None, description="what its peers speak, for rules that do not say"
    )
    tls: UpstreamTls = Field(
        default=UpstreamTls(), description="TLS towards peers whose address is https://"
    )
    max_connections: Count = Field(
        default=0, description="to each peer, from each worker; 0: no bound"
    )
    queue: Annotated[
        Queue, BeforeValidator(as_table("size"), json_schema_input_type=int | Queue)
    ] = Field(default=Queue(), description="for requests beyond max_connections; or a number")
