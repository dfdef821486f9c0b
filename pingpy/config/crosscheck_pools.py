"""Whether pools, backends and groups have names of their own and peers that can be told apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pingpy.config.addresses import parse_backend
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.resolve_pools import DEFAULT_POOL
from pingpy.config.schema import Config


def check_pools(config: Config) -> Iterator[Finding]:
    """Findings about [[pools]] and [[load_balancing.backends]]."""
    yield from _names(config)
    groups: dict[str, list[tuple[Path, str, int]]] = {}
    for index, backend in enumerate(config.load_balancing.backends):
        path: Path = ("load_balancing", "backends", index)
        members = groups.setdefault(backend.group or DEFAULT_POOL, [])
        members.append((path, backend.address, backend.weight))
    for name, members in groups.items():
        what = "the default pool" if name == DEFAULT_POOL else f'the group "{name}"'
        yield from _peers(what, members)
    for index, pool in enumerate(config.pools):
        path = ("pools", index, "peers")
        what = f'the pool "{pool.name}"'
        yield from _peers(
            what, [((*path, i), peer.address, peer.weight) for i, peer in enumerate(pool.peers)]
        )
    yield from _unused(config)


def _names(config: Config) -> Iterator[Finding]:
    """A name in `upstream` must mean one thing."""
    taken: dict[str, str] = {}
    for index, pool in enumerate(config.pools):
        path: Path = ("pools", index, "name")
        if pool.name == DEFAULT_POOL:
            message = '"default" is the name of the pool made of [[load_balancing.backends]]'
            yield Finding(path, message, "choose another name")
        elif pool.name in taken:
            yield Finding(path, f'there are two pools named "{pool.name}"')
        taken.setdefault(pool.name, "a pool")
    for index, backend in enumerate(config.load_balancing.backends):
        path = ("load_balancing", "backends", index, "name")
        if backend.name in taken:
            before = taken[backend.name]
            yield Finding(path, f'the name "{backend.name}" is taken by {before}')
        taken.setdefault(backend.name, "a backend")
    for index, backend in enumerate(config.load_balancing.backends):
        group = backend.group
        if group in taken or group == DEFAULT_POOL:
            path = ("load_balancing", "backends", index, "group")
            what = taken.get(group, "the default pool")
            yield Finding(path, f'the name "{group}" is taken by {what}')


def _peers(what: str, members: Iterable[tuple[Path, str, int]]) -> Iterator[Finding]:
    seen: set[str] = set()
    weights: list[int] = []
    last: Path = ()
    for path, text, weight in members:
        address = parse_backend(text).text
        if address in seen:
            message = f"{address} is in {what} twice"
            yield Finding((*path, "address"), message, "give one of them more weight instead")
        seen.add(address)
        weights.append(weight)
        last = path
    if weights and not any(weights):
        yield warning(
            (*last, "weight"), f"every weight in {what} is 0: requests are answered with 503"
        )


def _unused(config: Config) -> Iterator[Finding]:
    wanted = {text for rule in config.proxy.rules for text in rule.upstream}
    advice = "name it in a rule's `upstream`"
    for index, pool in enumerate(config.pools):
        if pool.name not in wanted:
            yield warning(("pools", index, "name"), f'no rule uses the pool "{pool.name}"', advice)
    told = {backend.name for backend in config.load_balancing.backends}
    for index, backend in enumerate(config.load_balancing.backends):
        group = backend.group
        if group is None or group in told or group in wanted or backend.name in wanted:
            continue
        told.add(group)
        path = ("load_balancing", "backends", index, "group")
        yield warning(path, f'no rule uses the group "{group}"', advice)
