"""Which rule matches: an index finds the few that may, a full check of these decides, the first in file order wins.

Every rule is filed under its rarest key (a path, a prefix, a host, a header, ...; worker/policy/rule_index.py), so a
request looks into a handful of buckets however many rules there are. A hash that collides costs a full check, no more.
"""

import cython
from cython.cimports.worker.plane.h1_parse import M_OTHER
from cython.cimports.worker.plane.hashing import lower

# 64-bit FNV-1a
BASIS = cython.declare(cython.ulonglong, 0xCBF29CE484222325)
PRIME = cython.declare(cython.ulonglong, 0x100000001B3)
# spread the bits of a key (golden ratio, splitmix64)
GOLDEN = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
SPLIT = cython.declare(cython.ulonglong, 0xBF58476D1CE4E5B9)

# columns of a rule
HOST_FIRST = cython.declare(cython.int, 0)
HOST_END = cython.declare(cython.int, 1)
PATH_FIRST = cython.declare(cython.int, 2)
PATH_END = cython.declare(cython.int, 3)
HEADER_FIRST = cython.declare(cython.int, 4)
HEADER_END = cython.declare(cython.int, 5)
QUERY_FIRST = cython.declare(cython.int, 6)
QUERY_END = cython.declare(cython.int, 7)
METHODS = cython.declare(cython.int, 8)
METHOD_FIRST = cython.declare(cython.int, 9)
METHOD_END = cython.declare(cython.int, 10)


def mix(kind, left, right):
    """One key from its kind and two hashes; never 0."""
    mixed: cython.ulonglong = (left ^ (right * GOLDEN)) + kind
    mixed ^= mixed >> 29
    mixed *= SPLIT
    mixed ^= mixed >> 32
    return mixed | 1


def mixed_key(kind: cython.int, left: cython.ulonglong, right: cython.ulonglong):
    """mix(), for the one who builds the index; as a signed word."""
    return cython.cast(cython.longlong, mix(kind, left, right))


def path_hash(text: bytes):
    """64-bit FNV-1a of a text, as the look-ups compute it byte by byte."""
    hashed: cython.ulonglong = BASIS
    byte: cython.uchar
    for byte in text:
        hashed = (hashed ^ byte) * PRIME
    return hashed


@cython.cclass
class RuleSet:
    """Compiled conditions; `first` answers with the number of the first rule that matches."""

    def __init__(self, tables):
        """`tables`: what worker.policy.rule_index.build() returns."""
        self.count = tables.count
        self.rules = tables.rules
        self.patterns = tables.patterns
        self.headers = tables.headers
        self.queries = tables.queries
        self.text = tables.text
        self.keys = tables.keys
        self.key_mask = len(tables.keys) - 1
        self.bucket_first = tables.bucket_first
        self.bucket_end = tables.bucket_end
        self.members = tables.members
        self.residue_first, self.residue_end = tables.residue
        self.prefix_sizes = tables.prefix_sizes
        self.suffix_sizes = tables.suffix_sizes
        self.host_suffix_sizes = tables.host_suffix_sizes
        self.by_host = tables.by_host
        self.by_path = tables.by_path
        self.by_host_path = tables.by_host_path
        self.by_header = tables.by_header
        self.by_value = tables.by_value
        self.header_bits = tables.header_bits

    def first(self, view, head, path, path_size):
        """The first rule in file order that matches, or -1."""
        best: cython.int = self.count
        host: cython.ulonglong = 0
        position: cython.int
        if self.count == 0:
            return -1
        self.find_host(view, head)
        if self.by_host or self.by_host_path:
            best = self.by_hosts(cython.address(host), best, view, head, path, path_size)
        best = self.by_paths(host, best, view, head, path, path_size)
        if self.by_header:
            best = self.by_headers(best, view, head, path, path_size)
        for position in range(self.residue_first, self.residue_end):
            if self.members[position] >= best:
                break
            if self.matches(self.members[position], view, head, path, path_size):
                best = self.members[position]
                break
        return best if best < self.count else -1

    def probe(self, key, best, view, head, path, path_size):
        """The first rule under this key that matches and is before `best`, else `best`."""
        place: cython.int = cython.cast(cython.int, (key >> 20) & self.key_mask)
        position: cython.int
        while self.keys[place] != 0:
            if self.keys[place] == cython.cast(cython.longlong, key):
                for position in range(self.bucket_first[place], self.bucket_end[place]):
                    if self.members[position] >= best:
                        break
                    if self.matches(self.members[position], view, head, path, path_size):
                        return self.members[position]
                break
            place = (place + 1) & self.key_mask
        return best

    def find_host(self, view, head):
        """The authority without port and without a final dot."""
        at: cython.longlong = head.start + head.authority
        size: cython.int = 0
        if head.authority_size > 0 and view[at] == 91:  # [
            while size < head.authority_size and view[at + size] != 93:
                size += 1
            size = min(size + 1, head.authority_size)
        else:
            while size < head.authority_size and view[at + size] != 58:
                size += 1
        if size > 1 and view[at + size - 1] == 46:
            size -= 1
        self.host_at = head.authority
        self.host_size = size
        return 0

    def by_hosts(self, host, best, view, head, path, path_size):
        """Rules filed under a host; also leaves the host's hash in `host`."""
        at: cython.longlong = head.start + self.host_at
        hashed: cython.ulonglong = BASIS
        size: cython.int
        for size in range(self.host_size):
            hashed = (hashed ^ lower(view[at + size])) * PRIME
        host[0] = hashed
        if not self.by_host:
            return best
        best = self.probe(mix(4, hashed, 0), best, view, head, path, path_size)
        hashed = BASIS
        for size in range(min(self.host_size + 1, self.host_suffix_sizes.shape[0])):
            if size > 0:
                hashed = (hashed ^ lower(view[at + self.host_size - size])) * PRIME
            if self.host_suffix_sizes[size]:
                best = self.probe(mix(5, hashed, 0), best, view, head, path, path_size)
        return best

    def by_paths(self, host, best, view, head, path, path_size):
        """Rules filed under the path, a prefix or a suffix of it, alone or together with the host."""
        hashed: cython.ulonglong = BASIS
        size: cython.int
        sizes: cython.int = cython.cast(cython.int, self.prefix_sizes.shape[0])
        whole: cython.bint = self.by_path or self.by_host_path
        for size in range(path_size + 1):
            if size >= sizes and not whole:
                break
            if size > 0:
                hashed = (hashed ^ view[path + size - 1]) * PRIME
            if size < sizes and self.prefix_sizes[size]:
                if self.prefix_sizes[size] & 1:
                    best = self.probe(mix(2, hashed, 0), best, view, head, path, path_size)
                if self.prefix_sizes[size] & 2:
                    best = self.probe(mix(7, hashed, host), best, view, head, path, path_size)
        if self.by_path:
            best = self.probe(mix(1, hashed, 0), best, view, head, path, path_size)
        if self.by_host_path:
            best = self.probe(mix(6, hashed, host), best, view, head, path, path_size)
        hashed = BASIS
        for size in range(min(path_size + 1, cython.cast(cython.int, self.suffix_sizes.shape[0]))):
            if size > 0:
                hashed = (hashed ^ view[path + path_size - size]) * PRIME
            if self.suffix_sizes[size]:
                best = self.probe(mix(3, hashed, 0), best, view, head, path, path_size)
        return best

    def by_headers(self, best, view, head, path, path_size):
        """Rules filed under a field's name, or its name and value."""
        field: cython.int
        place: cython.int
        at: cython.longlong
        hashed: cython.ulonglong
        name: cython.uint
        for field in range(head.count):
            name = head.fields[field].name_hash
            if not (self.header_bits >> (name & 63)) & 1:
                continue
            best = self.probe(mix(8, name, 0), best, view, head, path, path_size)
            if self.by_value:
                hashed = BASIS
                at = head.start + head.fields[field].value
                for place in range(cython.cast(cython.int, head.fields[field].value_size)):
                    hashed = (hashed ^ view[at + place]) * PRIME
                best = self.probe(mix(9, hashed, name), best, view, head, path, path_size)
        return best

    def matches(self, rule, view, head, path, path_size):
        """Whether all conditions of a rule hold."""
        row: cython.int
        held: cython.bint = self.rules[rule, PATH_FIRST] == self.rules[rule, PATH_END]
        for row in range(self.rules[rule, PATH_FIRST], self.rules[rule, PATH_END]):
            if self.pattern(row, view, path, path_size, False):
                held = True
                break
        if not held:
            return False
        if self.rules[rule, METHODS] != 0:
            if not (self.rules[rule, METHODS] >> head.method) & 1:
                return False
            if head.method == M_OTHER:
                held = False
                for row in range(self.rules[rule, METHOD_FIRST], self.rules[rule, METHOD_END]):
                    if self.pattern(row, view, head.start, head.method_size, False):
                        held = True
                        break
                if not held:
                    return False
        held = self.rules[rule, HOST_FIRST] == self.rules[rule, HOST_END]
        for row in range(self.rules[rule, HOST_FIRST], self.rules[rule, HOST_END]):
            if self.pattern(row, view, head.start + self.host_at, self.host_size, True):
                held = True
                break
        if not held:
            return False
        for row in range(self.rules[rule, HEADER_FIRST], self.rules[rule, HEADER_END]):
            if not self.header(row, view, head):
                return False
        for row in range(self.rules[rule, QUERY_FIRST], self.rules[rule, QUERY_END]):
            if not self.query(row, view, head):
                return False
        return True

    def header(self, row, view, head):
        """Whether some field has this name, and a value that fits."""
        field: cython.int
        value: cython.int = self.headers[row, 2]
        for field in range(head.count):
            if cython.cast(cython.int, head.fields[field].name_hash) != self.headers[row, 0]:
                continue
            if not self.pattern(
                self.headers[row, 1],
                view,
                head.start + head.fields[field].name,
                head.fields[field].name_size,
                True,
            ):
                continue
            if value < 0 or self.pattern(
                value,
                view,
                head.start + head.fields[field].value,
                cython.cast(cython.int, head.fields[field].value_size),
                False,
            ):
                return True
        return False

    def query(self, row, view, head):
        """Whether some parameter of the query, as it was received, has this name and a value that fits."""
        at: cython.longlong = head.start + head.query
        end: cython.longlong = at + head.query_size
        stop: cython.longlong
        equals: cython.longlong
        value: cython.int = self.queries[row, 1]
        while at < end:
            stop = at
            equals = -1
            while stop < end and view[stop] != 38:  # &
                if equals < 0 and view[stop] == 61:  # =
                    equals = stop
                stop += 1
            if equals < 0:
                equals = stop
            if self.pattern(
                self.queries[row, 0], view, at, cython.cast(cython.int, equals - at), False
            ):
                if value < 0:
                    return True
                equals = min(equals + 1, stop)
                if self.pattern(value, view, equals, cython.cast(cython.int, stop - equals), False):
                    return True
            at = stop + 1
        return False

    def pattern(self, index, view, at, size, fold):
        """Whether a pattern covers these bytes; with `fold` they are compared in lower case (the pattern is)."""
        kind: cython.int = self.patterns[index, 0]
        text: cython.longlong = self.patterns[index, 1]
        text_size: cython.int = self.patterns[index, 2]
        place: cython.int
        if kind == 3:
            return self.glob(text, text_size, view, at, size, fold)
        if size < text_size or (kind == 0 and size != text_size):
            return False
        if kind == 2:
            at += size - text_size
        for place in range(text_size):
            if self.text[text + place] != (lower(view[at + place]) if fold else view[at + place]):
                return False
        return True

    def glob(self, pattern, pattern_size, view, at, size, fold):
        """`*` is any bytes or none. On a mismatch only the last star is widened: linear for what rules are made of."""
        left: cython.int = 0
        right: cython.int = 0
        star: cython.int = -1
        mark: cython.int = 0
        byte: cython.uchar
        while right < size:
            byte = lower(view[at + right]) if fold else view[at + right]
            if left < pattern_size and self.text[pattern + left] == 42:
                star = left
                mark = right
                left += 1
            elif left < pattern_size and self.text[pattern + left] == byte:
                left += 1
                right += 1
            elif star >= 0:
                left = star + 1
                mark += 1
                right = mark
            else:
                return False
        while left < pattern_size and self.text[pattern + left] == 42:
            left += 1
        return left == pattern_size
