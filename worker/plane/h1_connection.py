"""Decides from an HTTP/1 head's fields how its body is framed and which fields end at this hop."""

import cython
from cython.cimports.worker.plane.h1_parse import (
    F_CONNECTION,
    F_CONTENT_LENGTH,
    F_HOST,
    F_KEEP_ALIVE,
    F_TE,
    F_TRANSFER_ENCODING,
    F_UPGRADE,
    FAULT_CODING_LENGTH,
    FAULT_CODING_OLD,
    FAULT_CODING_SYNTAX,
    FAULT_CODING_UNKNOWN,
    FAULT_CONNECTION_NOMINATES,
    FAULT_CONNECTION_SYNTAX,
    H_CHUNKED,
    H_CLOSE,
    H_KEEP_ALIVE,
    H_NOMINATES,
    H_TE_TRAILERS,
    H_UPGRADE,
    Field,
    Head,
)
from cython.cimports.worker.plane.octets import (
    LOWER,
    W_CHUNKED,
    W_CLOSE,
    W_TRAILERS,
    is_word,
)

NOMINATIONS = cython.declare(
    cython.int, 32
)  # connection options of unknown name: bounds the work of marking

Element = cython.struct(at=cython.longlong, size=cython.longlong, next=cython.longlong)


@cython.cfunc
@cython.exceptval(check=False)
def refuse(head: cython.pointer(Head), fault: cython.int) -> cython.int:
    """Note why."""
    head.fault = fault
    return -2


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


def connection_options(view, head, field):
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


def te_members(view, head, field):
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
    """RFC 9112 6.1, 7: we have exactly one "chunked"; a well-formed list names a coding that we lack (501)."""
    index: cython.int = head.first[F_TRANSFER_ENCODING]
    field: cython.pointer(Field) = cython.address(head.fields[index])
    element: Element
    end: cython.longlong
    before: cython.longlong
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
            before = element.next
            # an empty element, a parameter, a quoted coding, or anything after "chunked"
            if next_element(view, cython.address(element), end) != 1 or chunked:
                return FAULT_CODING_SYNTAX
            while before < element.at:
                if view[before] == 0x2C:
                    return FAULT_CODING_SYNTAX
                before += 1
            chunked = is_word(view, element.at, element.size, W_CHUNKED)
            members += 1
            if element.next == end:
                break
            element.next += 1  # the comma
    return 0 if chunked and members == 1 else FAULT_CODING_UNKNOWN


@cython.cfunc
@cython.exceptval(-1, check=True)
def mark_nominated(view: cython.uchar[::1], head: cython.pointer(Head)) -> cython.int:
    """Mark the fields that Connection names. Naming those that route and frame the message is refused."""
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
