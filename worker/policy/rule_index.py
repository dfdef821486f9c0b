"""Compiles the conditions of rules into the tables that worker/plane/rules.py looks into.

Each rule is filed under one kind of key, the one that fewest other rules share: with 10,000 rules a request then
meets a handful. A rule with nothing to file it under (only a method, only `*`) is kept apart and always checked.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

from pingpy.config.resolved import Conditions
from worker.plane.hashing import name_hash
from worker.plane.rules import mixed_key, path_hash

# PatternKind of worker/plane/rules.pxd
EXACT, PREFIX, SUFFIX, GLOB = range(4)
# KeyKind
K_PATH, K_PREFIX, K_SUFFIX, K_HOST, K_HOST_SUFFIX, K_HOST_PATH, K_HOST_PREFIX = range(1, 8)
K_HEADER, K_HEADER_VALUE = 8, 9

METHODS = ("", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")
RULE_COLUMNS = 11
MANY_KEYS = 256  # a rule with more combinations of host and path is filed otherwise


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the index: its kind, the two texts it is made of, and the kinds of look-up it needs."""

    kind: int
    text: bytes
    other: bytes = b""

    def hashed(self) -> int:
        """As the plane computes it from a request."""
        backwards = self.kind in (K_SUFFIX, K_HOST_SUFFIX)
        text = self.text[::-1] if backwards else self.text
        if self.kind == K_HEADER:
            return mixed_key(self.kind, name_hash(text), 0)
        if self.kind == K_HEADER_VALUE:
            return mixed_key(self.kind, path_hash(self.other), name_hash(text))
        other = path_hash(self.other) if self.kind in (K_HOST_PATH, K_HOST_PREFIX) else 0
        return mixed_key(self.kind, path_hash(text), other)


@dataclass(slots=True)
class RuleTables:
    """What a RuleSet is made from; two-dimensional tables are views of ints."""

    count: int
    rules: memoryview
    patterns: memoryview
    headers: memoryview
    queries: memoryview
    text: bytearray
    keys: array[int]
    bucket_first: array[int]
    bucket_end: array[int]
    members: array[int]
    residue: tuple[int, int]
    prefix_sizes: bytearray
    suffix_sizes: bytearray
    host_suffix_sizes: bytearray
    by_host: bool
    by_path: bool
    by_host_path: bool
    by_header: bool
    by_value: bool
    header_bits: int


@dataclass(slots=True)
class _Texts:
    """Patterns, each kept once unless a rule needs it in a row of its own."""

    text: bytearray = field(default_factory=bytearray)
    rows: list[tuple[int, int, int]] = field(default_factory=list)
    places: dict[bytes, int] = field(default_factory=dict)

    def add(self, pattern: bytes, *, literal: bool = False) -> int:
        """A new row for this pattern; `literal`: a * in it is only a *."""
        kind, text = (EXACT, pattern) if literal else classify(pattern)
        at = self.places.get(text)
        if at is None:
            at = self.places[text] = len(self.text)
            self.text += text
        self.rows.append((kind, at, len(text)))
        return len(self.rows) - 1


def classify(pattern: bytes) -> tuple[int, bytes]:
    """The cheapest way to compare a pattern, and the text to compare with."""
    if b"*" not in pattern:
        return EXACT, pattern
    if pattern.count(b"*") > 1:
        return GLOB, pattern
    if pattern.endswith(b"*"):
        return PREFIX, pattern[:-1]
    if pattern.startswith(b"*"):
        return SUFFIX, pattern[1:]
    return GLOB, pattern


def build(conditions: Sequence[Conditions]) -> RuleTables:
    """Tables for these rules, in file order."""
    texts = _Texts()
    headers: list[tuple[int, ...]] = []
    queries: list[tuple[int, ...]] = []
    rules = [_row(rule, texts, headers, queries) for rule in conditions]
    choices = [_choices(rule) for rule in conditions]
    popularity = Counter(key for ways in choices for keys in ways for key in keys)
    buckets: dict[int, list[int]] = {}
    residue: list[int] = []
    filed: set[Key] = set()
    for number, ways in enumerate(choices):
        if not ways:
            residue.append(number)
            continue
        keys = min(ways, key=lambda way: max(popularity[key] for key in way))
        filed.update(keys)
        for hashed in {key.hashed() for key in keys}:
            buckets.setdefault(hashed, []).append(number)
    return _tables(rules, texts, headers, queries, buckets, residue, filed)


def _row(
    rule: Conditions,
    texts: _Texts,
    headers: list[tuple[int, ...]],
    queries: list[tuple[int, ...]],
) -> tuple[int, ...]:
    """Where one rule's conditions are."""
    host_first = len(texts.rows)
    for host in rule.hosts:
        texts.add(host.lower().removesuffix(".").encode())
    path_first = len(texts.rows)
    for path in rule.paths:
        texts.add(path.encode())
    method_first = len(texts.rows)
    methods = 0
    for method in rule.methods:
        methods |= 1 << (METHODS.index(method) if method in METHODS else 0)
        if method not in METHODS:
            texts.add(method.encode(), literal=True)
    method_end = len(texts.rows)
    header_first, query_first = len(headers), len(queries)
    for header in rule.headers:
        name = header.name.lower().encode()
        row = texts.add(name, literal=True)
        value = -1 if header.pattern is None else texts.add(header.pattern.encode())
        headers.append((_signed(name_hash(name)), row, value))
    for query in rule.query:
        row = texts.add(query.name.encode(), literal=True)
        queries.append((row, -1 if query.pattern is None else texts.add(query.pattern.encode())))
    return (
        *(host_first, path_first, path_first, method_first, header_first, len(headers)),
        *(query_first, len(queries), methods, method_first, method_end),
    )


def _choices(rule: Conditions) -> list[list[Key]]:
    """Every way to file a rule, cheap look-ups first: one key per alternative of one condition."""
    hosts = [classify(host.lower().removesuffix(".").encode()) for host in rule.hosts]
    paths = [_path_key(path.encode()) for path in rule.paths]
    ways: list[list[Key] | None] = [
        _all(paths),
        _all(Key(K_HOST if kind == EXACT else K_HOST_SUFFIX, text) for kind, text in hosts)
        if hosts and all(kind in (EXACT, SUFFIX) and text for kind, text in hosts)
        else None,
        _host_and_path(hosts, paths),
    ]
    for header in rule.headers:
        name = header.name.lower().encode()
        if header.pattern is None or "*" in header.pattern:
            ways.append([Key(K_HEADER, name)])
        else:
            ways.append([Key(K_HEADER_VALUE, name, header.pattern.encode())])
    return [way for way in ways if way]


def _all(keys: Iterable[Key | None]) -> list[Key] | None:
    """The keys, when every alternative has one."""
    found = list(keys)
    return [key for key in found if key] if all(found) else None


def _path_key(path: bytes) -> Key | None:
    """The whole path, else what it begins with, else what it ends with, else nothing."""
    if b"*" not in path:
        return Key(K_PATH, path)
    first, _, _ = path.partition(b"*")
    if first:
        return Key(K_PREFIX, first)
    _, _, last = path.rpartition(b"*")
    return Key(K_SUFFIX, last) if last else None


def _host_and_path(
    hosts: Sequence[tuple[int, bytes]], paths: Sequence[Key | None]
) -> list[Key] | None:
    """Both together: for many hosts with the same few paths."""
    if not hosts or not paths or len(hosts) * len(paths) > MANY_KEYS:
        return None
    if any(kind != EXACT for kind, _ in hosts):
        return None
    pairs: list[Key] = []
    for (_, host), path in product(hosts, paths):
        if path is None or path.kind == K_SUFFIX:
            return None
        pairs.append(Key(K_HOST_PATH if path.kind == K_PATH else K_HOST_PREFIX, path.text, host))
    return pairs


def _tables(
    rules: list[tuple[int, ...]],
    texts: _Texts,
    headers: list[tuple[int, ...]],
    queries: list[tuple[int, ...]],
    buckets: dict[int, list[int]],
    residue: list[int],
    filed: set[Key],
) -> RuleTables:
    """Lay everything out flat."""
    size = 4
    while size < 2 * len(buckets):
        size *= 2
    keys, first, end = (array(code, [0]) * size for code in "qii")
    members = array("i")
    for hashed, numbers in buckets.items():
        place = (hashed % (1 << 64) >> 20) & (size - 1)
        while keys[place]:
            place = (place + 1) & (size - 1)
        keys[place], first[place] = hashed, len(members)
        members.extend(numbers)
        end[place] = len(members)
    members.extend(residue)
    kinds = {key.kind for key in filed}
    bits = 0
    for key in filed:
        if key.kind in (K_HEADER, K_HEADER_VALUE):
            bits |= 1 << (name_hash(key.text) & 63)
    return RuleTables(
        count=len(rules),
        rules=_table(rules, RULE_COLUMNS),
        patterns=_table(texts.rows, 3),
        headers=_table(headers, 3),
        queries=_table(queries, 2),
        text=texts.text or bytearray(1),
        keys=keys,
        bucket_first=first,
        bucket_end=end,
        members=members or array("i", [0]),
        residue=(len(members) - len(residue), len(members)),
        prefix_sizes=_sizes(filed, {K_PREFIX: 1, K_HOST_PREFIX: 2}),
        suffix_sizes=_sizes(filed, {K_SUFFIX: 1}),
        host_suffix_sizes=_sizes(filed, {K_HOST_SUFFIX: 1}),
        by_host=bool(kinds & {K_HOST, K_HOST_SUFFIX}),
        by_path=K_PATH in kinds,
        by_host_path=bool(kinds & {K_HOST_PATH, K_HOST_PREFIX}),
        by_header=bool(bits),
        by_value=K_HEADER_VALUE in kinds,
        header_bits=bits,
    )


def _table(rows: Sequence[tuple[int, ...]], columns: int) -> memoryview:
    """Rows of ints as a view of two dimensions; never without a row, for such a view cannot be made."""
    flat = array("i", [number for row in rows for number in row] or [0] * columns)
    return memoryview(flat).cast("B").cast("i", (len(flat) // columns, columns))


def _sizes(filed: set[Key], bits: dict[int, int]) -> bytearray:
    """By size: whether keys of this size are there, a bit for each kind."""
    wanted = [(len(key.text), bits[key.kind]) for key in filed if key.kind in bits]
    sizes = bytearray(max((size for size, _ in wanted), default=0) + 1)
    for size, bit in wanted:
        sizes[size] |= bit
    return sizes


def _signed(number: int) -> int:
    """The same 32 bits as a signed int."""
    return number - (1 << 32) if number >> 31 else number
