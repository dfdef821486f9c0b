"""Compiles the configuration into what the plane looks up: routes in an index, pools of peers, headers as lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pingpy.balance.ketama import ring
from pingpy.config.resolved import (
    HeaderChanges,
    Resolved,
    ResolvedPool,
    ResolvedRule,
)
from worker.plane.cells import Cells
from worker.plane.pick import Peer, Pool
from worker.plane.pick_hash import AddressHash, ConsistentHash
from worker.plane.pick_random import PowerOfTwo, Random
from worker.plane.pick_turns import LeastConnections, RoundRobin
from worker.plane.route import HeaderEdits, Route, RouteTable
from worker.plane.rules import RuleSet
from worker.policy.addresses import Answers, Endpoint, endpoints
from worker.policy.origin_tls import OriginTls
from worker.policy.replies import redirection, reply_lines, rewriting
from worker.policy.rule_index import build

# ReplyKind of worker/plane/route.pxd
REPLY_NONE, REPLY_FIXED, REPLY_REDIRECT, REPLY_PYTHON = range(4)

ALGORITHMS: dict[str, Callable[..., Pool]] = {
    "round_robin": RoundRobin,
    "least_conn": LeastConnections,
    "random": Random,
    "power_of_two": PowerOfTwo,
    "ip_hash": AddressHash,
    "consistent_hash": lambda name, cells, **options: ConsistentHash(name, cells, ring, **options),
}


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A page of our own, before every rule: its exact path, who answers, and whether only loopback may ask."""

    path: str
    label: str
    responder: Callable[[Any], Any]
    loopback_only: bool = True


class PoolInForce:
    """One pool and its peers; an address that stays keeps its Peer, and with it its connections."""

    def __init__(
        self, resolved: ResolvedPool, pool: Pool, cells: Cells, origin_tls: OriginTls
    ) -> None:
        self.resolved = resolved
        self.pool = pool
        self._cells = cells
        self._origin_tls = origin_tls
        if any(peer.scheme == "https" for peer in resolved.peers):
            origin_tls.client(
                resolved.tls
            )  # now, while a file that is no good still stops the start
        self._peers: dict[Endpoint, Peer] = {}

    def update(self, answers: Answers) -> None:
        """Take the latest addresses of names."""
        wanted, pending = endpoints(self.resolved, answers)
        if not wanted and pending:
            return
        peers = {endpoint: self._peers.get(endpoint) or self._make(endpoint) for endpoint in wanted}
        if list(peers.values()) != list(self._peers.values()) or self.pool.pending:
            self._peers = peers
            self.pool.set_peers(list(peers.values()))

    def _make(self, endpoint: Endpoint) -> Peer:
        pool, address = self.resolved.name, endpoint.address
        cell = self._cells.claim_peer(pool.encode(), address.encode())
        if cell >= 0:
            self._cells.name_peer(cell, pool, address)
        family, sockaddr = endpoint.sockaddr()
        return Peer(
            cell=cell,
            text=address.encode(),
            sockaddr=sockaddr,
            family=family,
            weight=endpoint.weight,
            name=endpoint.name.encode(),
            authority=endpoint.authority.encode(),
            max_connections=endpoint.max_connections,
            send_proxy=self.resolved.send_proxy,
            tls=self._origin_tls.origin(self.resolved.tls, endpoint.host) if endpoint.tls else None,
        )


class Tables:
    """The route table in force and the pools behind it."""

    def __init__(self, table: RouteTable, pools: Sequence[PoolInForce], cells: Cells) -> None:
        self.table = table
        self.pools = {pool.resolved.name: pool for pool in pools}
        self._cells = cells
        self._algorithms = {pool.pool.name: pool.resolved.algorithm for pool in pools}

    @property
    def labels(self) -> list[str]:
        """By Record.route: for metrics and the access log."""
        return [route.label.decode() for route in self.table.routes]

    @property
    def policies(self) -> list[str]:
        """By Record.route: the algorithm that picks its peers, or nothing."""
        pools = [route.pool for route in self.table.routes]
        return [self._algorithms[pool.name] if pool is not None else "" for pool in pools]

    def update(self, answers: Answers) -> None:
        """Put the latest addresses of names in force."""
        for pool in self.pools.values():
            pool.update(answers)


def compile_tables(
    resolved: Resolved,
    cells: Cells,
    *,
    worker: int = 0,
    workers: int = 1,
    built_in: Sequence[BuiltIn] = (),
    aside: Sequence[BuiltIn] = (),
    aside_from: int = 0,
    hooks: Mapping[int, Any] | None = None,
    load_balancer: Callable[[str], Any] | None = None,
    answers: Answers | None = None,
    origin_tls: OriginTls | None = None,
) -> Tables:
    """Everything for one worker. `aside`: all that the listeners from number `aside_from` on serve. `hooks`: bound
    phases by rule index; `load_balancer`: makes a "module:Class"."""
    secure = origin_tls or OriginTls({})
    pools = [
        PoolInForce(pool, _pool(pool, cells, worker, workers, load_balancer), cells, secure)
        for pool in resolved.pools
    ]
    for pool in pools:
        pool.update(answers or {})
    by_name = {pool.resolved.name: pool.pool for pool in pools}
    edits: dict[HeaderChanges, HeaderEdits | None] = {}
    routes = [_route(rule, by_name, edits, hooks or {}) for rule in resolved.rules]
    table = RouteTable(
        routes,
        RuleSet(build([rule.conditions for rule in resolved.rules])),
        default=_route(resolved.no_match, by_name, edits, hooks or {}),
        built_in=_pages(built_in),
        aside=RouteTable([], RuleSet(build([])), built_in=_pages(aside)) if aside else None,
        aside_from=aside_from,
    )
    tables = Tables(table, pools, cells)
    cells.name_routes(tables.labels)
    return tables


def _pool(
    resolved: ResolvedPool,
    cells: Cells,
    worker: int,
    workers: int,
    load_balancer: Callable[[str], Any] | None,
) -> Pool:
    make = ALGORITHMS.get(resolved.algorithm)
    custom = None
    if make is None:
        if load_balancer is None:
            raise ValueError(f"nobody can load the balancer {resolved.algorithm}")
        make, custom = RoundRobin, load_balancer(resolved.algorithm)
    return make(
        resolved.name.encode(),
        cells,
        worker=worker,
        workers=workers,
        max_retries=resolved.retry.attempts,
        queue_size=resolved.queue_size,
        queue_ms=_ms(resolved.queue_seconds),
        custom=custom,
    )


def _route(
    rule: ResolvedRule,
    pools: Mapping[str, Pool],
    edits: dict[HeaderChanges, HeaderEdits | None],
    hooks: Mapping[int, Any],
) -> Route:
    options: dict[str, Any] = {}
    reply = rule.reply
    if reply is not None:
        options["reply_kind"] = REPLY_FIXED if reply.location is None else REPLY_REDIRECT
        options["reply_status"] = reply.status
        options["reply_head"], options["reply_body"] = reply_lines(reply)
        if reply.location is not None:
            options["redirect"] = redirection(reply.location, reply.path_regex)
    return Route(
        rule.label.encode(),
        pool=pools[rule.pool.name] if rule.pool else None,
        statuses=rule.retry.statuses,
        rewrite=rewriting(rule.rewrite) if rule.rewrite else None,
        request_edits=_edits(rule.request_headers, edits),
        response_edits=_edits(rule.response_headers, edits),
        hooks=hooks.get(rule.index),
        websocket=rule.websocket,
        grpc=rule.grpc,
        grpc_web=rule.grpc_web,
        h2=rule.upstream_protocol == "h2",
        host_from_upstream=rule.host_from_upstream,
        connect_ms=_ms(rule.timeouts.connect_seconds),
        response_ms=_ms(rule.timeouts.response_seconds),
        tunnel_ms=_ms(rule.timeouts.tunnel_seconds),
        body_ms=_ms(rule.timeouts.body_seconds),
        max_body_bytes=rule.max_body_bytes,
        retry_attempts=rule.retry.attempts,
        retry_connect=rule.retry.on_connect,
        retry_closed=rule.retry.on_closed,
        retry_timeout=rule.retry.on_timeout,
        retry_budget=rule.retry.budget,
        **options,
    )


def _pages(pages: Sequence[BuiltIn]) -> list[tuple[bytes, Route]]:
    return [
        (
            page.path.encode(),
            Route(
                page.label.encode(),
                reply_kind=REPLY_PYTHON,
                responder=page.responder,
                loopback_only=page.loopback_only,
            ),
        )
        for page in pages
    ]


def _edits(
    changes: HeaderChanges, made: dict[HeaderChanges, HeaderEdits | None]
) -> HeaderEdits | None:
    """Removed and replaced names are not copied; set and added ones become lines. Equal changes share one object."""
    if changes not in made:
        drops = [*changes.remove, *(name for name, _ in changes.set)]
        lines = "".join(f"{name}: {value}\r\n" for name, value in (*changes.set, *changes.add))
        made[changes] = (
            HeaderEdits([name.encode() for name in drops], lines.encode()) if changes else None
        )
    return made[changes]


def _ms(seconds: float) -> int:
    """At least one: 0 means "no limit" to the plane."""
    return max(round(seconds * 1000), 1)
