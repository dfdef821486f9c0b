"""Encodes HPACK field blocks: what seldom changes goes into the dynamic table, the rest as plain literals."""

import cython
from cython.cimports.worker.plane.hpack import TABLE_BYTES, Entry, Table
from cython.cimports.worker.plane.hpack_tables import (
    STATIC,
    STATIC_ENTRIES,
    STATIC_TEXT,
    static_name,
)
from cython.cimports.worker.plane.octets import FNV_BASIS, FNV_PRIME, copy_octets
from cython.cimports.worker.plane.target import fnv_bytes

STATUS_INDEX = cython.declare(cython.int, 8)  # ":status 200", the first static entry of that name
INDEXED_VALUE_BYTES = cython.declare(cython.int, 256)

# What seldom changes from one message of a connection to the next. Nothing secret, nothing that a stranger may choose
# beside a secret (RFC 7541 7.1).
INDEXED = (
    b"server content-type cache-control vary via date accept-ranges strict-transport-security content-encoding "
    b"access-control-allow-origin x-content-type-options x-frame-options alt-svc :authority user-agent accept "
    b"accept-language accept-encoding x-forwarded-proto x-forwarded-host x-forwarded-for te grpc-accept-encoding"
).split()
INDEXED_HASH = cython.declare(cython.uint[64])
INDEXED_COUNT = cython.declare(cython.int, len(INDEXED))


def fill() -> None:
    """Hash the names; runs once, at import."""
    index: cython.int
    for index in range(INDEXED_COUNT):
        INDEXED_HASH[index] = fnv_bytes(INDEXED[index])


fill()


@cython.cclass
class Encoder(Table):
    """Writes field blocks: indexed where the tables have the field, else plain literals."""

    def __init__(self, limit: int = 4096):
        Table.__init__(self, limit)
        self.smallest = -1

    def allow(self, limit):
        """RFC 7541 4.2: the smallest limit between two blocks is said, and the last one."""
        size: cython.int = cython.cast(cython.int, min(limit, TABLE_BYTES))
        if size == self.limit and self.smallest < 0:
            return 0
        self.smallest = size if self.smallest < 0 else min(self.smallest, size)
        return self.resize(size)

    def begin_block(self, out, at):
        """Say changes of the table's size."""
        if self.smallest >= 0:
            if self.smallest < self.limit:
                at = put_number(out, at, 0x20, 0x1F, self.smallest)
            at = put_number(out, at, 0x20, 0x1F, self.limit)
            self.smallest = -1
        return at

    def find(self, view, name, name_size, value, value_size, hashed):
        """The index of an equal entry in the dynamic table, or 0."""
        index: cython.int
        entry: cython.pointer(Entry)
        for index in range(self.count):
            entry = self.entry(index)
            if (
                entry.name_hash == hashed
                and entry.name_size == name_size
                and entry.value_size == value_size
                and same(self.store, entry.at, view, name, name_size)
                and same(self.store, entry.at + name_size, view, value, value_size)
            ):
                return STATIC_ENTRIES + 1 + index
        return 0

    def put_status(self, out, at, status):
        """The pseudo-field of a response."""
        index: cython.int
        text: cython.int
        for index in range(STATUS_INDEX, STATUS_INDEX + 7):
            text = STATIC[index].at + STATIC[index].name_size
            if status == (
                (STATIC_TEXT[text] - 0x30) * 100
                + (STATIC_TEXT[text + 1] - 0x30) * 10
                + STATIC_TEXT[text + 2]
                - 0x30
            ):
                out[at] = cython.cast(cython.uchar, 0x80 | index)
                return at + 1
        out[at] = STATUS_INDEX
        out[at + 1] = 3
        out[at + 2] = cython.cast(cython.uchar, 0x30 + status // 100)
        out[at + 3] = cython.cast(cython.uchar, 0x30 + status // 10 % 10)
        out[at + 4] = cython.cast(cython.uchar, 0x30 + status % 10)
        return at + 5

    def put(self, out, at, view, name, name_size, value, value_size, secret):
        """One field; the contract is in the .pxd."""
        hashed: cython.uint = FNV_BASIS
        known: cython.int
        index: cython.int
        start: cython.longlong = at + 8  # the lower-cased name, for now behind its place
        for index in range(name_size):
            out[start + index] = lower(view[name + index])
            hashed = (hashed ^ out[start + index]) * cython.cast(cython.uint, FNV_PRIME)
        known = static_name(out, start, name_size, hashed)
        index = known
        while index and index <= STATIC_ENTRIES and STATIC[index].name_hash == hashed:
            if static_value(index, view, value, value_size):
                out[at] = cython.cast(cython.uchar, 0x80 | index)
                return at + 1
            index += 1
        if not secret and value_size <= INDEXED_VALUE_BYTES and is_indexed(hashed):
            copy_octets(out, start + name_size, view, value, value_size)
            index = self.find(out, start, name_size, start + name_size, value_size, hashed)
            if index:
                return put_number(out, at, 0x80, 0x7F, index)
            self.insert(out, start, name_size, start + name_size, value_size, hashed)
            at = put_number(out, at, 0x40, 0x3F, known)
        else:
            at = put_number(out, at, 0x10 if secret else 0, 0x0F, known)
        if not known:
            # the size takes at most four octets, so the name moves towards the front
            at = put_number(out, at, 0, 0x7F, name_size)
            copy_octets(out, at, out, start, name_size)
            at += name_size
        at = put_number(out, at, 0, 0x7F, value_size)
        copy_octets(out, at, view, value, value_size)
        return at + value_size


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def lower(octet: cython.uchar) -> cython.uchar:
    """The octet with A-Z made lower-case."""
    return octet | 0x20 if 0x41 <= octet <= 0x5A else octet


@cython.cfunc
@cython.exceptval(check=False)
def is_indexed(hashed: cython.uint) -> cython.bint:
    """Whether fields of this name go into the table. A name with an equal hash only would, too: it costs some room."""
    index: cython.int
    for index in range(INDEXED_COUNT):
        if INDEXED_HASH[index] == hashed:
            return True
    return False


@cython.cfunc
@cython.exceptval(-1, check=True)
def static_value(
    index: cython.int, view: cython.uchar[::1], value: cython.longlong, size: cython.int
) -> cython.bint:
    """Whether the static entry has this value, and one at all."""
    if size == 0 or STATIC[index].value_size != size:
        return False
    return same(STATIC_TEXT, STATIC[index].at + STATIC[index].name_size, view, value, size)


@cython.cfunc
@cython.exceptval(-1, check=True)
def same(
    one: cython.uchar[::1],
    at: cython.longlong,
    other: cython.uchar[::1],
    start: cython.longlong,
    size: cython.int,
) -> cython.bint:
    """Whether two stretches have the same octets."""
    i: cython.longlong
    for i in range(size):
        if one[at + i] != other[start + i]:
            return False
    return True


@cython.cfunc
@cython.exceptval(-1, check=True)
def put_number(
    out: cython.uchar[::1],
    at: cython.longlong,
    first: cython.int,
    mask: cython.int,
    value: cython.int,
) -> cython.longlong:
    """Write an integer (RFC 7541 5.1); `first` has the bits before it."""
    if value < mask:
        out[at] = cython.cast(cython.uchar, first | value)
        return at + 1
    out[at] = cython.cast(cython.uchar, first | mask)
    at += 1
    value -= mask
    while value >= 0x80:
        out[at] = cython.cast(cython.uchar, 0x80 | (value & 0x7F))
        at += 1
        value >>= 7
    out[at] = cython.cast(cython.uchar, value)
    return at + 1
