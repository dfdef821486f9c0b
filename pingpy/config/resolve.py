"""From the checked configuration to the form that the route tables and the scout take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pingpy.config.globs import glob_regex, star_template
from pingpy.config.resolve_pools import PoolResolver, resolved_retry
from pingpy.config.resolved import (
    Conditions,
    HeaderChanges,
    HeaderCondition,
    QueryCondition,
    Resolved,
    ResolvedMetrics,
    ResolvedPool,
    ResolvedReply,
    ResolvedRewrite,
    ResolvedRule,
    RouteTimeouts,
)
from pingpy.config.schema import Config, Metrics
from pingpy.config.schema_routing import Proxy, RouteDefaults, Rule

HeaderTable = Mapping[str, tuple[str, ...]]
# The single word in `host` that is an option (where Host comes from) and not a pattern.
UPSTREAM_HOST = "upstream"


def resolve(config: Config) -> Resolved:
    """The whole configuration, resolved; it must have passed the cross-checks."""
    pools = PoolResolver(config)
    merge = _Merger(config, pools)
    rules: list[ResolvedRule] = []
    labels: set[str] = set()
    for index, rule in enumerate(config.proxy.rules):
        conditions = conditions_of(rule)
        label = _unique(_label(conditions), labels)
        rules.append(merge.rule(index, label, rule, conditions))
    no_match = merge.rule(len(rules), _unique("default", labels), Rule(), Conditions())
    return Resolved(
        rules=tuple(rules),
        no_match=no_match,
        metrics=_metrics(config.metrics),
        pools=pools.used(),
    )


def _metrics(table: Metrics) -> ResolvedMetrics | None:
    """A listener of its own is the door already; `allow` narrows it only where somebody wrote it."""
    if not table.enabled:
        return None
    allow = None if table.listen and "allow" not in table.model_fields_set else table.allow
    return ResolvedMetrics(table.path, allow, bool(table.listen))


class _Merger:
    """Merges [proxy] into rules; what no rule changes is made once and shared by all."""

    def __init__(self, config: Config, pools: PoolResolver) -> None:
        self._config = config
        self._proxy: Proxy = config.proxy
        self._pools = pools
        self._request = request_changes(self._proxy, None)
        self._response = response_changes(self._proxy, None)
        self._timeouts = self._merged_timeouts(RouteDefaults())
        bound = config.limits.body_bytes
        self._max_body_bytes = bound or -1

    def rule(self, index: int, label: str, rule: Rule, conditions: Conditions) -> ResolvedRule:
        """One rule; without any destination it is the default pool's, or a 404."""
        proxy = self._proxy
        given = rule.model_fields_set
        reply = _reply(rule)
        pool = None if reply else self._pool(rule)
        if pool is None and reply is None:
            reply = ResolvedReply(404)
        changes_request = any(key.endswith("request_header") for key in given)
        changes_response = any(key.endswith("response_header") for key in given)
        grpc = bool(proxy.grpc if rule.grpc is None else rule.grpc)
        retry = rule.retry or (self._pools.own_retry(pool) if pool else None) or proxy.retry
        return ResolvedRule(
            index=index,
            label=label,
            conditions=conditions,
            pool=pool,
            reply=reply,
            rewrite=_rewrite(rule),
            request_headers=request_changes(proxy, rule) if changes_request else self._request,
            response_headers=response_changes(proxy, rule) if changes_response else self._response,
            timeouts=self._merged_timeouts(rule) if "timeouts" in given else self._timeouts,
            retry=resolved_retry(retry),
            max_body_bytes=self._max_body_bytes,
            host_from_upstream=_forward_host(proxy, rule) == "upstream",
            grpc=grpc,
            grpc_web=grpc and bool(proxy.grpc_web if rule.grpc_web is None else rule.grpc_web),
            upstream_protocol=self._protocol(rule, pool, grpc),
            websocket=bool(proxy.websocket if rule.websocket is None else rule.websocket),
            filters=(*proxy.filters, *(name for name in rule.filters if name not in proxy.filters)),
        )

    def _protocol(
        self, rule: Rule, pool: ResolvedPool | None, grpc: bool
    ) -> Literal["http1", "h2"]:
        """The rule's word, else the pool's, else that of [proxy]; gRPC is HTTP/2 whatever the last two say."""
        own = rule.upstream_protocol
        if own is None and not grpc:
            own = self._pools.own_protocol(pool) if pool else None
            own = own or self._proxy.upstream_protocol
        return own or ("h2" if grpc else "http1")

    def _pool(self, rule: Rule) -> ResolvedPool | None:
        if rule.upstream:
            return self._pools.of_rule(rule)
        return self._pools.default()

    def _merged_timeouts(self, rule: RouteDefaults) -> RouteTimeouts:
        own, outer, last = rule.timeouts, self._proxy.timeouts, self._config.timeouts
        return RouteTimeouts(
            body_seconds=own.body or outer.body or last.body,
            connect_seconds=own.connect or outer.connect or last.connect,
            response_seconds=own.response or outer.response or last.response,
            tunnel_seconds=own.tunnel or outer.tunnel or last.tunnel,
        )


def conditions_of(rule: Rule) -> Conditions:
    """What a request must have for this rule."""
    headers = [
        HeaderCondition(name.strip().lower(), value.strip(" \t") if colon else None)
        for name, colon, value in (text.partition(":") for text in rule.header)
    ]
    if rule.header_value is not None and len(headers) == 1:
        headers = [HeaderCondition(headers[0].name, rule.header_value)]
    query = [
        QueryCondition(name, value if equals else None)
        for name, equals, value in (text.partition("=") for text in rule.query)
    ]
    hosts = () if takes_upstream_host(rule) else tuple(host.lower() for host in rule.host)
    return Conditions(hosts, rule.path, rule.method, tuple(headers), tuple(query))


def takes_upstream_host(rule: Rule) -> bool:
    """Whether `host = "upstream"` stands there as the option that it is in [proxy], too."""
    return rule.host == (UPSTREAM_HOST,)


def _forward_host(proxy: Proxy, rule: Rule) -> str:
    if takes_upstream_host(rule):
        return "upstream"
    return rule.forward_host or proxy.forward_host or proxy.host or "client"


def request_changes(proxy: RouteDefaults, rule: RouteDefaults | None) -> HeaderChanges:
    """Changes to the head that the origin gets."""
    return _changes(
        [
            (t.remove_request_header, t.set_request_header, t.add_request_header)
            for t in _both(proxy, rule)
        ]
    )


def response_changes(proxy: RouteDefaults, rule: RouteDefaults | None) -> HeaderChanges:
    """Changes to the head that the client gets."""
    return _changes(
        [
            (t.remove_response_header, t.set_response_header, t.add_response_header)
            for t in _both(proxy, rule)
        ]
    )


def _both(proxy: RouteDefaults, rule: RouteDefaults | None) -> Iterable[RouteDefaults]:
    return (proxy,) if rule is None else (proxy, rule)


def _changes(
    layers: Iterable[tuple[tuple[str, ...], HeaderTable, HeaderTable]],
) -> HeaderChanges:
    """Later layers win: a name they set is not removed, a name they remove is not set or added."""
    remove: dict[str, str] = {}
    replace: dict[str, tuple[str, tuple[str, ...]]] = {}
    add: dict[str, tuple[str, tuple[str, ...]]] = {}
    for removed, set_values, added in layers:
        for name in removed:
            replace.pop(name.lower(), None)
            add.pop(name.lower(), None)
            remove[name.lower()] = name
        for name, values in set_values.items():
            remove.pop(name.lower(), None)
            add.pop(name.lower(), None)
            replace[name.lower()] = (name, values)
        for name, values in added.items():
            before = add.get(name.lower(), (name, ()))[1]
            add[name.lower()] = (name, before + values)
    return HeaderChanges(
        remove=tuple(remove.values()),
        set=tuple((name, value) for name, values in replace.values() for value in values),
        add=tuple((name, value) for name, values in add.values() for value in values),
    )


def _reply(rule: Rule) -> ResolvedReply | None:
    if rule.redirect is not None:
        to = rule.redirect.to
        if "*" in to and len(rule.path) == 1:
            template, regex = star_template(to), glob_regex(rule.path[0])
            return ResolvedReply(rule.redirect.status, location=template, path_regex=regex)
        return ResolvedReply(rule.redirect.status, location=to)
    if rule.respond is not None:
        respond = rule.respond
        return ResolvedReply(respond.status, respond.body, respond.content_type)
    return None


def _rewrite(rule: Rule) -> ResolvedRewrite | None:
    rewrite = rule.rewrite
    if rewrite is None:
        return None
    if rewrite.regex is not None:
        return ResolvedRewrite(rewrite.regex, rewrite.to)
    pattern = rule.path[0] if len(rule.path) == 1 else "*"
    return ResolvedRewrite(glob_regex(pattern), star_template(rewrite.to))


def _label(conditions: Conditions) -> str:
    """The conditions in a few words."""
    parts = [
        ",".join(conditions.methods),
        ",".join(conditions.hosts),
        ",".join(conditions.paths),
        *(f"{h.name}:{h.pattern}" if h.pattern is not None else h.name for h in conditions.headers),
        *(
            f"?{q.name}={q.pattern}" if q.pattern is not None else f"?{q.name}"
            for q in conditions.query
        ),
    ]
    return " ".join(part for part in parts if part)[:120] or "*"


def _unique(label: str, taken: set[str]) -> str:
    candidate, number = label, 2
    while candidate in taken:
        candidate = f"{label} #{number}"
        number += 1
    taken.add(candidate)
    return candidate
