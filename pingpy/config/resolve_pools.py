"""Which peers an upstream yields: a pool by name, a backend by name, URLs, or the default pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from pingpy.config.addresses import UpstreamAddress, parse_backend, parse_upstream
from pingpy.config.patterns import ALGORITHMS
from pingpy.config.resolved import (
    ResolvedHealthCheck,
    ResolvedPeer,
    ResolvedPool,
    ResolvedRetry,
    ResolvedTls,
)
from pingpy.config.schema import Config
from pingpy.config.schema_routing import (
    BackendTable,
    HealthCheck,
    PeerTable,
    Pool,
    Queue,
    Retry,
    Rule,
    UpstreamTls,
)
from pingpy.config.values import status_set

DEFAULT_POOL = "default"
_DEFAULT_QUEUE = Queue()


@dataclass(frozen=True, slots=True)
class _Draft:
    """A pool as it stands in the file, before a rule has its say; `override`: the rule's algorithm."""

    name: str
    algorithm: str
    override: str | None
    peers: Sequence[ResolvedPeer]
    pool: Pool | None = None


class PoolResolver:
    """Follows the names in `upstream`; equal pools are one object, made when first asked for."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made: dict[str, ResolvedPool] = {}
        self._pools = {pool.name: pool for pool in config.pools}
        self._backends = {b.name: b for b in config.load_balancing.backends}
        self._hosts = {name.lower(): backend for name, backend in self._backends.items()}
        self._groups: dict[str, list[BackendTable]] = {}
        for backend in config.load_balancing.backends:
            self._groups.setdefault(backend.group or DEFAULT_POOL, []).append(backend)
        self._health_check = resolved_health_check(config.health_check)

    def used(self) -> tuple[ResolvedPool, ...]:
        """Every pool that was asked for, once, in that order."""
        return tuple(self._made.values())

    def own_retry(self, pool: ResolvedPool) -> Retry | None:
        """What [[pools]] says about retries in this pool."""
        configured = self._pools.get(pool.name.partition("/")[0])
        return configured.retry if configured else None

    def own_protocol(self, pool: ResolvedPool) -> Literal["http1", "h2"] | None:
        """What [[pools]] says about the protocol its peers speak."""
        configured = self._pools.get(pool.name.partition("/")[0])
        return configured.upstream_protocol if configured else None

    def default(self) -> ResolvedPool | None:
        """The pool of the backends that have no group; None when there are none."""
        return self._group(DEFAULT_POOL, Rule()) if DEFAULT_POOL in self._groups else None

    def of_rule(self, rule: Rule) -> ResolvedPool:
        """The pool of a rule that has an upstream; what the rule says beats the pool, which beats [proxy]."""
        upstream = rule.upstream
        name = upstream[0]
        if len(upstream) == 1 and name in self._pools:
            return self._named(self._pools[name], rule)
        if len(upstream) == 1 and name in self._groups and name not in self._backends:
            return self._group(name, rule)
        peers = [self._peer(text) for text in upstream]
        algorithm = rule.load_balancing or self._config.proxy.load_balancing
        return self._make(_Draft(_joined(peers), "round_robin", algorithm, peers), rule)

    def _named(self, pool: Pool, rule: Rule) -> ResolvedPool:
        peers = [_pool_peer(peer, pool) for peer in pool.peers]
        draft = _Draft(pool.name, pool.algorithm, rule.load_balancing, peers, pool)
        return self._make(draft, rule)

    def _group(self, name: str, rule: Rule) -> ResolvedPool:
        peers = [_backend_peer(backend, backend.address) for backend in self._groups[name]]
        own = self._config.load_balancing.algorithm
        return self._make(_Draft(name, own, rule.load_balancing, peers), rule)

    def _peer(self, text: str) -> ResolvedPeer:
        """A backend by its name, alone or as the host of a URL (its address counts), or a URL."""
        if text in self._backends:
            return _backend_peer(self._backends[text], self._backends[text].address)
        url = parse_upstream(text)
        named = self._hosts.get(url.host)
        if named is not None:
            return _backend_peer(named, _with_scheme(named.address, url))
        return _peer(url.text, url, 1, 0)

    def _make(self, draft: _Draft, rule: Rule) -> ResolvedPool:
        """The pool of this name; what differs from its own settings makes it another pool."""
        name, pool, proxy = draft.name, draft.pool, self._config.proxy
        algorithm = canonical_algorithm(draft.override or draft.algorithm)
        if algorithm != canonical_algorithm(draft.algorithm):
            name = f"{name}/{algorithm}"
        own_proxy = pool.send_proxy_protocol if pool else None
        send_proxy = (rule.send_proxy_protocol or own_proxy or proxy.send_proxy_protocol) == "v2"
        if send_proxy != (own_proxy == "v2"):
            name = f"{name}/proxy_{'v2' if send_proxy else 'off'}"
        tls = own_tls = resolved_tls(proxy.tls, *([pool.tls] if pool else []))
        if any(peer.scheme == "https" for peer in draft.peers):
            tls = resolved_tls(proxy.tls, *([pool.tls] if pool else []), rule.tls)
        if tls != (own_tls if pool else ResolvedTls()):
            name = f"{name}/tls_{sha256(repr(tls).encode()).hexdigest()[:8]}"
        if name not in self._made:
            queue = pool.queue if pool else _DEFAULT_QUEUE
            retry = (pool.retry if pool else None) or proxy.retry
            self._made[name] = ResolvedPool(
                name=name,
                algorithm=algorithm,
                peers=tuple(draft.peers),
                health_check=self._health_check_of(pool),
                retry=resolved_retry(retry),
                queue_size=queue.size,
                queue_seconds=queue.timeout,
                send_proxy=send_proxy,
                tls=tls,
            )
        return self._made[name]

    def _health_check_of(self, pool: Pool | None) -> ResolvedHealthCheck | None:
        if pool is None or pool.health_check is None:
            return self._health_check
        own = pool.health_check
        if self._config.health_check is None or not own.enabled:
            return resolved_health_check(own)
        given = {key: getattr(own, key) for key in own.model_fields_set}
        return resolved_health_check(self._config.health_check.model_copy(update=given))


def canonical_algorithm(name: str) -> str:
    """The one name of an algorithm; "module:Class" stays as it is."""
    return ALGORITHMS.get(name, name)


def resolved_health_check(check: HealthCheck | None) -> ResolvedHealthCheck | None:
    """The probe, its timeout clamped to the interval so that one peer never has two under way."""
    if check is None or not check.enabled:
        return None
    return ResolvedHealthCheck(
        type=check.type,
        interval_seconds=check.interval,
        timeout_seconds=min(check.timeout, check.interval),
        path=check.path,
        expected_status=status_set(check.expected_status),
        unhealthy_threshold=check.unhealthy_threshold,
        healthy_threshold=check.healthy_threshold,
        service=check.service,
    )


def resolved_tls(*tables: UpstreamTls) -> ResolvedTls:
    """What the tables say together; later ones win, key by key, and a certificate goes with its own key."""
    said: dict[str, Any] = {}
    for table in tables:
        given = {key: getattr(table, key) for key in table.model_fields_set}
        if "certificate" in given or "key" in given:
            said |= {"certificate": None, "key": None}
        said |= given
    return ResolvedTls(**said)


def resolved_retry(retry: Retry | None) -> ResolvedRetry:
    """The retry rules, or their defaults."""
    return _DEFAULT_RESOLVED_RETRY if retry is None else _resolved_retry(retry)


def _resolved_retry(retry: Retry) -> ResolvedRetry:
    return ResolvedRetry(
        attempts=retry.attempts,
        on_connect="connect" in retry.on,
        on_closed="closed" in retry.on,
        on_timeout="timeout" in retry.on,
        statuses=status_set(tuple(r for r in retry.on if isinstance(r, int) or r.endswith("xx"))),
        budget=retry.budget,
    )


_DEFAULT_RESOLVED_RETRY = _resolved_retry(Retry())


def _joined(peers: Sequence[ResolvedPeer]) -> str:
    """A name made of the peers' own; it stays the same wherever the rule stands."""
    return ",".join(f"https://{p.name}" if p.scheme == "https" else p.name for p in peers)


def _with_scheme(address: str, url: UpstreamAddress) -> str:
    return f"https://{address}" if url.scheme == "https" and "://" not in address else address


def _backend_peer(backend: BackendTable, address: str) -> ResolvedPeer:
    return _peer(backend.name, parse_backend(address), backend.weight, backend.max_connections)


def _pool_peer(peer: PeerTable, pool: Pool) -> ResolvedPeer:
    bound = pool.max_connections if peer.max_connections is None else peer.max_connections
    address = parse_backend(peer.address)
    return _peer(peer.name or address.text, address, peer.weight, bound)


def _peer(name: str, address: UpstreamAddress, weight: int, bound: int) -> ResolvedPeer:
    return ResolvedPeer(
        name, address.scheme, address.host, address.port, address.unix_path, weight, bound
    )
