"""Scans the field section of an HTTP/1 head and decides its framing and what is hop-by-hop."""

import cython
from cython.cimports.worker.plane.h1_parse import (
    F_CONNECTION,
    F_CONTENT_LENGTH,
    F_EXPECT,
    F_HOST,
    F_KEEP_ALIVE,
    F_KINDS,
    F_PROXY_AUTHENTICATE,
    F_PROXY_AUTHORIZATION,
    F_PROXY_CONNECTION,
    F_TE,
    F_TRANSFER_ENCODING,
    F_UPGRADE,
    FAULT_CODING_LENGTH,
    FAULT_CODING_OLD,
    FAULT_CODING_SYNTAX,
    FAULT_CODING_UNKNOWN,
    FAULT_CONNECTION_NOMINATES,
    FAULT_CONNECTION_SYNTAX,
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
    H_CHUNKED,
    H_CLOSE,
    H_EXPECT_CONTINUE,
    H_KEEP_ALIVE,
    H_NOMINATES,
    H_TE_TRAILERS,
    H_UPGRADE,
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
    W_CHUNKED,
    W_CLOSE,
    W_CONTINUE,
    W_TRAILERS,
    WORD_FACTOR,
    WORD_HASH,
    WORD_SLOT,
    is_word,
)
from cython.cimports.worker.plane.target import is_host

# RFC 9110 7.6.1, and the credentials that concern the next hop only (RFC 9110 11.7). Trailer stays: trailers are passed on.
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
NOMINATIONS = cython.declare(
    cython.int, 32
)  # connection options of unknown name: bounds the work of marking

Element = cython.struct(at=cython.longlong, size=cython.longlong, next=cython.longlong)


def scan_fields(view, position, end, head, most):
    """Scan field lines up to the empty line; the contract is in the .pxd."""
    at: cython.longlong = position
    colon: cython.longlong
    value: cython.longlong
    stop: cython.longlong
    kind: cython.uint
    field: cython.pointer(Field)
    hashed: cython.uint
    while True:
        if at >= end:
            return 0
        if LOWER[view[at]] == 0:
            return end_of_fields(view, at, end, head)
        if head.count >= most:
            return refuse(head, FAULT_FIELD_COUNT)
        hashed = FNV_BASIS
        colon = at
        while colon < end and LOWER[view[colon]] != 0:
            hashed = (hashed ^ LOWER[view[colon]]) * cython.cast(cython.uint, FNV_PRIME)
            colon += 1
        if colon == end:
            return 0
        if view[colon] != 0x3A or colon - at > 0xFFFF:
            return refuse(head, name_fault(view[colon]))
        value = colon + 1
        while value < end and (view[value] == 0x20 or view[value] == 0x09):
            value += 1
        stop = value
        while stop < end and CLASS[view[stop]] & O_VALUE:
            stop += 1
        if stop + 2 > end or view[stop] != 0x0D or view[stop + 1] != 0x0A:
            return line_end(view, stop, end, head)
        field = cython.address(head.fields[head.count])
        field.name = cython.cast(cython.uint, at - head.start)
        field.name_size = cython.cast(cython.ushort, colon - at)
        field.name_hash = hashed
        field.value = cython.cast(cython.uint, value - head.start)
        at = stop + 2
        field.end = cython.cast(cython.uint, at - head.start)
        while stop > value and (view[stop - 1] == 0x20 or view[stop - 1] == 0x09):
            stop -= 1
        field.value_size = cython.cast(cython.uint, stop - value)
        kind = WORD_SLOT[(hashed * WORD_FACTOR) >> 24]
        field.kind = 0
        field.hop = 0
        if kind and WORD_HASH[kind] == hashed:
            if name_field(view, head, field, kind) < 0:
                return -2
        head.count += 1


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
    """The hash is that of a known name: compare the text, and act upon the field."""
    repeated: cython.bint
    value: cython.longlong = head.start + field.value
    if not is_word(view, head.start + field.name, field.name_size, kind):
        return 0
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


@cython.cfunc
@cython.exceptval(-1, check=True)
def next_element(
    view: cython.uchar[::1], element: cython.pointer(Element), end: cython.longlong
) -> cython.int:
    """The next token of a comma-separated list (RFC 9110 5.6.1): 1, 0 at the end, -2 when it is not a token."""
    at: cython.longlong = element.next
    while at < end and (view[at] == 0x20 or view[at] == 0x09 or view[at] == 0x2C):
        at += 1
    element.at = at
    while at < end and LOWER[view[at]] != 0:
        at += 1
    element.size = at - element.at
    while at < end and (view[at] == 0x20 or view[at] == 0x09):
        at += 1
    element.next = at
    if at < end and view[at] != 0x2C:
        return -2
    return 1 if element.size > 0 else 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def connection_options(
    view: cython.uchar[::1], head: cython.pointer(Head), field: cython.pointer(Field)
) -> cython.int:
    """RFC 9110 7.6.1: what the list says about this connection, and whether it names fields to drop."""
    element: Element
    end: cython.longlong = head.start + field.value + field.value_size
    more: cython.int
    element.next = head.start + field.value
    element.at = element.size = 0
    while True:
        more = next_element(view, cython.address(element), end)
        if more < 0:
            return refuse(head, FAULT_CONNECTION_SYNTAX)
        if more == 0:
            return 0
        if is_word(view, element.at, element.size, W_CLOSE):
            head.flags |= H_CLOSE
        elif is_word(view, element.at, element.size, F_KEEP_ALIVE):
            head.flags |= H_KEEP_ALIVE
        elif is_word(view, element.at, element.size, F_UPGRADE):
            head.flags |= H_UPGRADE  # settle_fields takes it back when there is no Upgrade field
        elif not is_word(view, element.at, element.size, F_TE):
            head.flags |= H_NOMINATES


@cython.cfunc
@cython.exceptval(-1, check=True)
def te_members(
    view: cython.uchar[::1], head: cython.pointer(Head), field: cython.pointer(Field)
) -> cython.int:
    """Whether TE has the member "trailers"; anything else in it is nothing to us (RFC 9110 10.1.4)."""
    element: Element
    end: cython.longlong = head.start + field.value + field.value_size
    element.next = head.start + field.value
    element.at = element.size = 0
    while element.next < end:
        next_element(view, cython.address(element), end)
        if is_word(view, element.at, element.size, W_TRAILERS):
            head.flags |= H_TE_TRAILERS
        while element.next < end and view[element.next] != 0x2C:
            element.next += 1  # parameters and weights
    return 0


def settle_fields(view, head):
    """What can be said only when every field was seen; the contract is in the .pxd."""
    fault: cython.int
    if head.first[F_TRANSFER_ENCODING] >= 0:
        fault = coding_fault(view, head)
        if fault != FAULT_CODING_SYNTAX:
            # RFC 9112 6.1: not in HTTP/1.0, not together with Content-Length, whatever the coding
            if head.minor == 0:
                fault = FAULT_CODING_OLD
            elif head.content_length >= 0:
                fault = FAULT_CODING_LENGTH
        if fault:
            return refuse(head, fault)
        head.flags |= H_CHUNKED
    if head.flags & H_UPGRADE and head.first[F_UPGRADE] < 0:
        head.flags &= ~cython.cast(cython.uint, H_UPGRADE)
    if head.flags & H_NOMINATES:
        return mark_nominated(view, head)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def coding_fault(view: cython.uchar[::1], head: cython.pointer(Head)) -> cython.int:
    """RFC 9112 6.1, 7: exactly one "chunked" is what we have; a list without doubts names a coding that we lack (501)."""
    index: cython.int = head.first[F_TRANSFER_ENCODING]
    field: cython.pointer(Field) = cython.address(head.fields[index])
    element: Element
    end: cython.longlong
    members: cython.int = 0
    chunked: cython.bint = False
    while index < head.count:
        field = cython.address(head.fields[index])
        index += 1
        if field.kind != F_TRANSFER_ENCODING:
            continue
        element.next = head.start + field.value
        end = element.next + field.value_size
        while True:
            # an empty element, a parameter, a quoted coding, or anything after "chunked"
            if next_element(view, cython.address(element), end) != 1 or chunked:
                return FAULT_CODING_SYNTAX
            chunked = is_word(view, element.at, element.size, W_CHUNKED)
            members += 1
            if element.next == end:
                break
            element.next += 1
            if element.next == end or view[element.next] == 0x2C:
                return FAULT_CODING_SYNTAX
    return 0 if chunked and members == 1 else FAULT_CODING_UNKNOWN


@cython.cfunc
@cython.exceptval(-1, check=True)
def mark_nominated(view: cython.uchar[::1], head: cython.pointer(Head)) -> cython.int:
    """Mark the fields that Connection names. Naming the fields that decide where the message goes and ends is refused."""
    index: cython.int
    left: cython.int = NOMINATIONS
    field: cython.pointer(Field)
    element: Element
    end: cython.longlong
    for index in range(head.first[F_CONNECTION], head.count):
        field = cython.address(head.fields[index])
        if field.kind != F_CONNECTION:
            continue
        element.next = head.start + field.value
        end = element.next + field.value_size
        while next_element(view, cython.address(element), end) == 1:
            left -= 1
            if left < 0 or is_word(view, element.at, element.size, F_HOST):
                return refuse(head, FAULT_CONNECTION_NOMINATES)
            if is_word(view, element.at, element.size, F_CONTENT_LENGTH):
                return refuse(head, FAULT_CONNECTION_NOMINATES)
            mark_named(view, head, cython.address(element))
    return 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def mark_named(
    view: cython.uchar[::1], head: cython.pointer(Head), element: cython.pointer(Element)
) -> cython.int:
    """Mark every field of this name."""
    index: cython.int
    i: cython.longlong
    name: cython.longlong
    for index in range(head.count):
        if head.fields[index].name_size != element.size:
            continue
        name = head.start + head.fields[index].name
        i = 0
        while i < element.size and LOWER[view[name + i]] == LOWER[view[element.at + i]]:
            i += 1
        if i == element.size:
            head.fields[index].hop = 1
    return 0
