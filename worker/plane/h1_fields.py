"""Scans the field section of an HTTP/1 head: names, values, and the fields that the scanner itself acts upon."""

import cython
from cython.cimports.worker.plane.field_names import KnownName, known_name, remember_name
from cython.cimports.worker.plane.h1_connection import connection_options, te_members
from cython.cimports.worker.plane.h1_parse import (
    F_CONNECTION,
    F_CONTENT_LENGTH,
    F_EXPECT,
    F_HOST,
    F_KEEP_ALIVE,
    F_PROXY_AUTHENTICATE,
    F_PROXY_AUTHORIZATION,
    F_PROXY_CONNECTION,
    F_TE,
    F_TRANSFER_ENCODING,
    F_UPGRADE,
    FAULT_FIELD_COUNT,
    FAULT_FOLD,
    FAULT_HOST_REPEATED,
    FAULT_HOST_SYNTAX,
    FAULT_LENGTH_CONFLICT,
    FAULT_LENGTH_SYNTAX,
    FAULT_LINE_END,
    FAULT_NAME,
    FAULT_NAME_SPACE,
    FAULT_VALUE_OCTET,
    H_EXPECT_CONTINUE,
    H_KEEP_ALIVE,
    Field,
    Head,
)
from cython.cimports.worker.plane.octets import (
    CLASS,
    FNV_BASIS,
    FNV_PRIME,
    LOWER,
    O_DIGIT,
    O_VALUE,
    W_CONTINUE,
    WORD_FACTOR,
    WORD_HASH,
    WORD_SLOT,
    __builtin_ctzll,
    controls,
    eight_inside,
    is_token_word,
    is_word,
)
from cython.cimports.worker.plane.sixteen import controls_of_sixteen
from cython.cimports.worker.plane.target import is_host

# RFC 9110 7.6.1, and the credentials that concern the next hop only (RFC 9110 11.7). Trailer stays with the trailers.
HOP_KINDS = cython.declare(
    cython.uint,
    (1 << F_CONNECTION)
    | (1 << F_KEEP_ALIVE)
    | (1 << F_PROXY_CONNECTION)
    | (1 << F_TE)
    | (1 << F_TRANSFER_ENCODING)
    | (1 << F_UPGRADE)
    | (1 << F_PROXY_AUTHENTICATE)
    | (1 << F_PROXY_AUTHORIZATION),
)
# Fields that mean something to the scanner itself; the others are only numbered.
NOTED_KINDS = cython.declare(
    cython.uint,
    (1 << F_HOST)
    | (1 << F_CONNECTION)
    | (1 << F_CONTENT_LENGTH)
    | (1 << F_EXPECT)
    | (1 << F_TE)
    | (1 << F_TRANSFER_ENCODING),
)
LENGTH_DIGITS = cython.declare(cython.int, 18)  # the longest that cannot overflow 63 bits


@cython.boundscheck(False)
def scan_fields(view, position, end, head, most):
    """Scan field lines up to the empty line; the contract is in the .pxd."""
    # Every index is below `limit`, which is at most len(view): `at`, `colon` and `value` are compared before
    # use, `stop + 1` by `stop + 2 > limit`, `stop - 1` is at least `value`. Fuzzed as h1-request, h1-response.
    start: cython.ulonglong = head.start
    # unsigned: one comparison checks both bounds; the loops over octets run up to `limit`, which is inside the view
    limit: cython.ulonglong = end if start <= position <= end <= view.shape[0] else 0
    at: cython.ulonglong = position
    colon: cython.ulonglong
    value: cython.ulonglong
    stop: cython.ulonglong
    kind: cython.uint = 0
    hashed: cython.uint = 0
    verdict: cython.longlong
    known: cython.pointer(KnownName)
    field: cython.pointer(Field)
    while at < limit:
        if LOWER[view[at]] == 0:
            return end_of_fields(view, at, end, head)
        if head.count >= most:
            return refuse(head, FAULT_FIELD_COUNT)
        known = known_name(view, at, limit)
        if known.size:
            colon = at + known.size
            hashed = known.hash
            kind = known.kind
        else:
            verdict = new_name(view, at, limit, cython.address(hashed), cython.address(kind))
            if verdict <= 0:
                return refuse(head, -verdict) if verdict else 0
            colon = verdict
        value = colon + 1
        while value < limit and (view[value] == 0x20 or view[value] == 0x09):
            value += 1
        stop = value_end(view, value, limit)
        if stop + 2 > limit or view[stop] != 0x0D or view[stop + 1] != 0x0A:
            return line_end(view, stop, end, head)
        field = cython.address(head.fields[head.count])
        place_field(field, at - start, colon - at, value - start, stop + 2 - start)
        field.name_hash = hashed
        at = stop + 2
        while stop > value and (view[stop - 1] == 0x20 or view[stop - 1] == 0x09):
            stop -= 1
        field.value_size = cython.cast(cython.uint, stop - value)
        if kind and name_field(view, head, field, kind) < 0:
            return -2
        head.count += 1
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def place_field(
    field: cython.pointer(Field),
    name: cython.ulonglong,
    name_size: cython.ulonglong,
    value: cython.ulonglong,
    end: cython.ulonglong,
) -> cython.void:
    """Where a field is in its head; what it means is not known yet."""
    field.name = cython.cast(cython.uint, name)
    field.value = cython.cast(cython.uint, value)
    field.end = cython.cast(cython.uint, end)
    field.name_size = cython.cast(cython.ushort, name_size)
    field.kind = 0
    field.hop = 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def new_name(
    view: cython.uchar[::1],
    at: cython.ulonglong,
    limit: cython.ulonglong,
    hashed: cython.pointer(cython.uint),
    kind: cython.pointer(cython.uint),
) -> cython.longlong:
    """Where the colon is, and what the name is; 0 when more octets are needed, -fault when it is no name."""
    colon: cython.ulonglong = name_end(view, at, limit, hashed)
    if colon == limit:
        return 0
    if view[colon] != 0x3A or colon - at > 0xFFFF:
        return -name_fault(view[colon])
    kind[0] = kind_of(view, at, colon - at, hashed[0])
    remember_name(view, at, limit, colon - at, hashed[0], kind[0])
    return colon


@cython.cfunc
@cython.exceptval(-1, check=True)
def kind_of(
    view: cython.uchar[::1],
    at: cython.longlong,
    size: cython.longlong,
    hashed: cython.uint,
) -> cython.int:
    """The number of a name that we act upon, or 0."""
    kind: cython.int = WORD_SLOT[(hashed * WORD_FACTOR) >> 24]
    if kind and not (WORD_HASH[kind] == hashed and is_token_word(view, at, size, kind)):
        return 0
    return kind


@cython.cfunc
@cython.inline
@cython.boundscheck(False)
@cython.exceptval(check=False)
def name_end(
    view: cython.uchar[::1],
    at: cython.ulonglong,
    end: cython.ulonglong,
    hashed: cython.pointer(cython.uint),
) -> cython.ulonglong:
    """Where the token that begins at `at` ends, and its hash. In bounds because end <= len(view)."""
    value: cython.uint = FNV_BASIS
    octet: cython.uint
    while at < end:
        octet = LOWER[view[at]]
        if octet == 0:
            break
        value = (value ^ octet) * cython.cast(cython.uint, FNV_PRIME)
        at += 1
    hashed[0] = value
    return at


@cython.cfunc
@cython.inline
@cython.boundscheck(False)
@cython.exceptval(check=False)
def value_end(
    view: cython.uchar[::1], at: cython.ulonglong, end: cython.ulonglong
) -> cython.ulonglong:
    """Where the octets end that may stand in a value, many at a time. In bounds because end <= len(view)."""
    odd: cython.ulonglong
    while at + 16 <= end:
        odd = controls_of_sixteen(view, at)
        if odd == 0:
            at += 16
            continue
        at += __builtin_ctzll(odd)
        if view[at] != 0x09:
            return at
        at += 1
    while at + 8 <= end:
        odd = controls(eight_inside(view, at))
        if odd == 0:
            at += 8
            continue
        at += __builtin_ctzll(odd) >> 3
        if view[at] != 0x09:
            return at
        at += 1
    while at < end and CLASS[view[at]] & O_VALUE:
        at += 1
    return at


@cython.cfunc
@cython.exceptval(-1)
def refuse(head: cython.pointer(Head), fault: cython.int) -> cython.int:
    """Note why."""
    head.fault = fault
    return -2


@cython.cfunc
@cython.exceptval(-1)
def name_fault(octet: cython.uchar) -> cython.int:
    """Why a name that ends with this octet is none. RFC 9112 5.1: no white space between name and colon."""
    return FAULT_NAME_SPACE if octet == 0x20 or octet == 0x09 else FAULT_NAME


@cython.cfunc
@cython.exceptval(-1, check=True)
def end_of_fields(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, head: cython.pointer(Head)
) -> cython.longlong:
    """The line does not begin with a name: the empty line, or a fault."""
    octet: cython.uchar = view[at]
    if octet == 0x0D:
        if at + 1 == end:
            return 0
        if view[at + 1] == 0x0A:
            return at + 2
        return refuse(head, FAULT_LINE_END)
    if octet == 0x0A:
        return refuse(head, FAULT_LINE_END)
    # RFC 9112 5.2 and 2.2: folded lines, and white space before the first field line
    return refuse(head, FAULT_FOLD if octet == 0x20 or octet == 0x09 else FAULT_NAME)


@cython.cfunc
@cython.exceptval(-1, check=True)
def line_end(
    view: cython.uchar[::1], stop: cython.longlong, end: cython.longlong, head: cython.pointer(Head)
) -> cython.longlong:
    """The value is not followed by CRLF: more octets are needed, or a fault."""
    if stop == end:
        return 0
    if view[stop] == 0x0D:
        if stop + 1 == end:
            return 0
        return refuse(head, FAULT_LINE_END)
    return refuse(head, FAULT_LINE_END if view[stop] == 0x0A else FAULT_VALUE_OCTET)


@cython.cfunc
@cython.exceptval(-1, check=True)
def name_field(
    view: cython.uchar[::1],
    head: cython.pointer(Head),
    field: cython.pointer(Field),
    kind: cython.uint,
) -> cython.int:
    """Act upon a field of a known name."""
    repeated: cython.bint
    value: cython.longlong = head.start + field.value
    field.kind = cython.cast(cython.uchar, kind)
    field.hop = cython.cast(cython.uchar, (HOP_KINDS >> kind) & 1)
    repeated = head.first[kind] >= 0
    if not repeated:
        head.first[kind] = head.count
    if not (NOTED_KINDS >> kind) & 1:
        return 0
    if kind == F_HOST:
        # RFC 9112 3.2: more than one, or an invalid one, is 400
        if repeated:
            return refuse(head, FAULT_HOST_REPEATED)
        return 0 if is_host(view, value, field.value_size) else refuse(head, FAULT_HOST_SYNTAX)
    if kind == F_CONNECTION:
        if is_token_word(view, value, field.value_size, F_KEEP_ALIVE):
            head.flags |= H_KEEP_ALIVE
            return 0
        return connection_options(view, head, field)
    if kind == F_CONTENT_LENGTH:
        return content_length(view, head, field, repeated)
    if kind == F_EXPECT:
        if head.minor and is_word(view, value, field.value_size, W_CONTINUE):
            head.flags |= H_EXPECT_CONTINUE  # RFC 9110 10.1.1: ignored in HTTP/1.0
        return 0
    if kind == F_TE:
        return te_members(view, head, field)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def content_length(
    view: cython.uchar[::1],
    head: cython.pointer(Head),
    field: cython.pointer(Field),
    repeated: cython.bint,
) -> cython.int:
    """RFC 9112 6.3: digits only; equal repeats are one, other repeats and lists are refused."""
    at: cython.longlong = head.start + field.value
    value: cython.longlong = 0
    i: cython.longlong
    if field.value_size == 0 or field.value_size > LENGTH_DIGITS:
        return refuse(head, FAULT_LENGTH_SYNTAX)
    for i in range(at, at + field.value_size):
        if not CLASS[view[i]] & O_DIGIT:
            return refuse(head, FAULT_LENGTH_SYNTAX)
        value = value * 10 + (view[i] - 0x30)
    if repeated:
        if (
            value != head.content_length
            or field.value_size != head.fields[head.first[F_CONTENT_LENGTH]].value_size
        ):
            return refuse(head, FAULT_LENGTH_CONFLICT)
        field.hop = 1
    head.content_length = value
    return 0
