"""Rules that no request can reach, because an earlier rule takes everything that they would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pingpy.config.finding import Finding, warning
from pingpy.config.globs import covers
from pingpy.config.resolve import conditions_of
from pingpy.config.resolved import Conditions, HeaderCondition
from pingpy.config.schema import Config

_ANY = "*"
# Two rules can only cover each other when they meet in one of these keys: a path, a host and
# one header, or "any" in their place. This keeps the search from comparing each with each.
_Key = tuple[str, str, HeaderCondition | None]


def dead_rules(config: Config) -> Iterator[Finding]:
    """An error for a rule whose conditions an earlier one has exactly, a warning for a covered one."""
    search = _Search()
    same: dict[Conditions, int] = {}
    for index, rule in enumerate(config.proxy.rules):
        conditions = conditions_of(rule)
        path = ("proxy", "rules", index)
        first = same.setdefault(conditions, index)
        if first != index:
            message = f"the rule can never match: rule {first + 1} has the same conditions"
            yield Finding(path, message, "the first match in file order decides", on_key=True)
            continue
        by = search.covering(conditions)
        if by is not None:
            message = f"the rule is shadowed: rule {by + 1} matches all its requests"
            yield warning(path, message, "the first match in file order decides", on_key=True)
        search.add(index, conditions)


class _Search:
    """Earlier rules, found by what they have in common with a later one."""

    def __init__(self) -> None:
        self._rules: dict[_Key, list[tuple[int, Conditions]]] = {}
        self._prefix_sizes: set[int] = set()
        self._odd_paths: dict[str, None] = {}
        self._odd_hosts: dict[str, None] = {}

    def add(self, index: int, conditions: Conditions) -> None:
        header = conditions.headers[0] if conditions.headers else None
        for path in conditions.paths or (_ANY,):
            prefix = path[:-1]
            if path.endswith("*") and "*" not in prefix:
                self._prefix_sizes.add(len(prefix))
            elif "*" in path and len(self._odd_paths) < 64:
                self._odd_paths[path] = None
            for host in conditions.hosts or (_ANY,):
                if "*" in host[1:] and len(self._odd_hosts) < 64:
                    self._odd_hosts[host] = None
                self._rules.setdefault((path, host, header), []).append((index, conditions))

    def covering(self, later: Conditions) -> int | None:
        """The first earlier rule that alone takes each combination of path and host; else None."""
        last = -1
        for path in later.paths or (_ANY,):
            for host in later.hosts or (_ANY,):
                found = self._covering_one(path, host, later)
                if found is None:
                    return None
                last = max(last, found)
        return last

    def _covering_one(self, path: str, host: str, later: Conditions) -> int | None:
        for path_key in self._paths(path):
            for host_key in self._hosts(host):
                for header in (None, *later.headers):
                    for index, earlier in self._rules.get((path_key, host_key, header), ()):
                        if _rest_covers(earlier, later):
                            return index
        return None

    def _paths(self, path: str) -> Iterator[str]:
        """The patterns that cover this one: itself, those it begins with, those with * elsewhere."""
        yield path
        if path != _ANY:
            yield _ANY
        for size in self._prefix_sizes:
            if 0 < size <= len(path) and path[:size] + "*" != path and "*" not in path[:size]:
                yield path[:size] + "*"
        yield from (odd for odd in self._odd_paths if odd != path and covers(odd, path))

    def _hosts(self, host: str) -> Iterator[str]:
        yield host
        if host == _ANY:
            return
        yield _ANY
        for position, character in enumerate(host):
            if character == "." and "*" not in host[position:]:
                yield "*" + host[position:]
        yield from (odd for odd in self._odd_hosts if odd != host and covers(odd, host))


def _rest_covers(earlier: Conditions, later: Conditions) -> bool:
    """Whether methods, headers and query of the earlier rule ask for nothing that the later lacks."""
    if earlier.methods and not (later.methods and set(later.methods) <= set(earlier.methods)):
        return False
    return _all_in(earlier.headers, later.headers) and _all_in(earlier.query, later.query)


def _all_in(wanted: Iterable[object], present: tuple[object, ...]) -> bool:
    return all(condition in present for condition in wanted)
