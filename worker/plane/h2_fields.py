"""Judges decoded HTTP/2 fields: names, values, pseudo-fields, and what HTTP/2 must not carry."""

import cython
from cython.cimports.worker.plane.h1_parse import (
    F_CONNECTION,
    F_HOST,
    F_KEEP_ALIVE,
    F_PROXY_CONNECTION,
    F_TE,
    F_TRANSFER_ENCODING,
    F_UPGRADE,
)
from cython.cimports.worker.plane.h2_heads import (
    H2_AUTHORITY,
    H2_CONNECTION_FIELD,
    H2_FINE,
    H2_NAME,
    H2_PSEUDO_LATE,
    H2_PSEUDO_REPEATED,
    H2_PSEUDO_UNKNOWN,
    H2_PSEUDO_VALUE,
    H2_UPPER_CASE,
    H2_VALUE,
    P_AUTHORITY,
    H2Head,
)
from cython.cimports.worker.plane.hpack import Pair
from cython.cimports.worker.plane.octets import (
    CLASS,
    FNV_BASIS,
    FNV_PRIME,
    LOWER,
    O_QUERY,
    O_TOKEN,
    O_VALUE,
    W_TRAILERS,
    WORD_FACTOR,
    WORD_HASH,
    WORD_SLOT,
    is_word,
)

PSEUDO_NAMES = (b":method", b":scheme", b":authority", b":path", b":protocol", b":status")
PSEUDO_TEXT = cython.declare(cython.uchar[72])  # twelve octets for each
PSEUDO_SIZE = cython.declare(cython.int[6])
# RFC 9113 8.2.2
CONNECTION_KINDS = cython.declare(
    cython.uint,
    (1 << F_CONNECTION)
    | (1 << F_KEEP_ALIVE)
    | (1 << F_PROXY_CONNECTION)
    | (1 << F_TRANSFER_ENCODING)
    | (1 << F_UPGRADE),
)


def fill() -> None:
    """Fill the C tables; runs once, at import."""
    index: cython.int
    octet: cython.int
    for index in range(6):
        PSEUDO_SIZE[index] = len(PSEUDO_NAMES[index])
        for octet in range(PSEUDO_SIZE[index]):
            PSEUDO_TEXT[index * 12 + octet] = PSEUDO_NAMES[index][octet]


def name_hash(view, at, size):
    """FNV-1a of a name in lower case; 0 when it is none."""
    hashed: cython.uint = FNV_BASIS
    i: cython.longlong
    for i in range(at, at + size):
        if not CLASS[view[i]] & O_TOKEN:
            return 0
        hashed = (hashed ^ view[i]) * cython.cast(cython.uint, FNV_PRIME)
    return hashed


fill()


@cython.cfunc
@cython.exceptval(check=False)
def refuse(head: cython.pointer(H2Head), fault: cython.int) -> cython.int:
    """Note why."""
    head.fault = fault
    return -2


@cython.cfunc
@cython.exceptval(-1, check=True)
def pseudo_field(
    view: cython.uchar[::1], pair: cython.pointer(Pair), head: cython.pointer(H2Head)
) -> cython.int:
    """Note a pseudo-field (RFC 9113 8.3); its value may have visible octets only."""
    index: cython.int
    i: cython.int
    for index in range(6):
        if pair.name_size != PSEUDO_SIZE[index]:
            continue
        i = 0
        while i < pair.name_size and view[pair.name + i] == PSEUDO_TEXT[index * 12 + i]:
            i += 1
        if i < pair.name_size:
            continue
        if head.pseudo[index].name_size:
            return refuse(head, H2_PSEUDO_REPEATED)
        head.pseudo[index] = pair[0]
        for i in range(pair.value_size):
            if not CLASS[view[pair.value + i]] & O_QUERY:
                return refuse(head, H2_PSEUDO_VALUE)
        return 0
    return refuse(head, H2_PSEUDO_UNKNOWN)


@cython.cfunc
@cython.exceptval(-1, check=True)
def plain_field(
    view: cython.uchar[::1], pair: cython.pointer(Pair), head: cython.pointer(H2Head)
) -> cython.int:
    """RFC 9113 8.2.1, 8.2.2: the name, the value, and fields that only HTTP/1 connections have. The kind, or -2."""
    hashed: cython.uint = FNV_BASIS
    octet: cython.uchar
    i: cython.longlong
    kind: cython.uint
    if pair.name_size == 0:
        return refuse(head, H2_NAME)
    for i in range(pair.name, pair.name + pair.name_size):
        octet = view[i]
        if LOWER[octet] != octet:
            return refuse(head, H2_UPPER_CASE if LOWER[octet] else H2_NAME)
        if octet == 0:
            return refuse(head, H2_NAME)
        hashed = (hashed ^ octet) * cython.cast(cython.uint, FNV_PRIME)
    for i in range(pair.value, pair.value + pair.value_size):
        octet = view[i]
        if not CLASS[octet] & O_VALUE:
            return refuse(head, H2_VALUE)
        if (octet == 0x20 or octet == 0x09) and (
            i == pair.value or i == pair.value + pair.value_size - 1
        ):
            return refuse(head, H2_VALUE)
    kind = WORD_SLOT[(hashed * WORD_FACTOR) >> 24]
    if kind == 0 or WORD_HASH[kind] != hashed:
        return 0
    if not is_word(view, pair.name, pair.name_size, kind):
        return 0
    if (CONNECTION_KINDS >> kind) & 1:
        return refuse(head, H2_CONNECTION_FIELD)
    if kind == F_TE and not is_word(view, pair.value, pair.value_size, W_TRAILERS):
        return refuse(head, H2_CONNECTION_FIELD)
    return cython.cast(cython.int, kind)


def collect(view, pairs, count, head):
    """Check every field; returns the index of the first that is no pseudo-field, -2 when one is refused."""
    index: cython.int
    kind: cython.int
    first: cython.int = count
    for index in range(6):
        head.pseudo[index].name_size = head.pseudo[index].value_size = 0
    head.fault = H2_FINE
    head.https = head.extended = False
    for index in range(count):
        if pairs[index].name_size and view[pairs[index].name] == 0x3A:
            if first < count:
                return refuse(head, H2_PSEUDO_LATE)
            if pseudo_field(view, cython.address(pairs[index]), head) < 0:
                return -2
            continue
        first = min(first, index)
        kind = plain_field(view, cython.address(pairs[index]), head)
        if kind < 0:
            return -2
        if kind == F_HOST and head.pseudo[P_AUTHORITY].name_size:
            # RFC 9113 8.3.1: both may come, saying the same
            if not same_host(view, cython.address(pairs[index]), head):
                return refuse(head, H2_AUTHORITY)
            pairs[index].name_size = 0  # written from :authority
    return first


@cython.cfunc
@cython.exceptval(-1, check=True)
def same_host(
    view: cython.uchar[::1], pair: cython.pointer(Pair), head: cython.pointer(H2Head)
) -> cython.bint:
    """Whether a Host field repeats :authority, case aside."""
    i: cython.int
    one: cython.uchar
    two: cython.uchar
    if pair.value_size != head.pseudo[P_AUTHORITY].value_size:
        return False
    for i in range(pair.value_size):
        one = view[pair.value + i]
        two = view[head.pseudo[P_AUTHORITY].value + i]
        if one != two and (LOWER[one] == 0 or LOWER[one] != LOWER[two]):
            return False
    return True
