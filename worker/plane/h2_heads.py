"""Turns decoded HTTP/2 fields into the text of an HTTP/1.1 head, and refuses what must not become one."""

import http

import cython
from cython.cimports.worker.plane.h1_chunks import is_forbidden_trailer
from cython.cimports.worker.plane.h2_fields import collect, name_hash
from cython.cimports.worker.plane.hpack import Pair
from cython.cimports.worker.plane.octets import CLASS, O_DIGIT, copy_octets

# HTTP/2 has none (RFC 9113 8.3.2), and there are clients of HTTP/1.1 that do not understand an answer without.
REASONS = cython.declare(dict, {status.value: status.phrase.encode() for status in http.HTTPStatus})
FAULT_TEXTS = (
    "",
    "a field name is empty or has an octet that may not stand there",
    "a field name has upper-case letters",
    "a field value has a control octet, or white space around it",
    "a field that speaks of the connection",
    "an unknown pseudo-field",
    "a pseudo-field is repeated",
    "a pseudo-field stands behind fields",
    "a pseudo-field is missing, or does not belong here",
    "a pseudo-field has an octet that may not stand there",
    ":authority and Host disagree",
    "CONNECT is not served",
    "the fields are too long",
    "a trailer field has a name that is not allowed there",
)


def h2_fault_text(fault):
    """The words for a fault."""
    return FAULT_TEXTS[fault]


@cython.cfunc
@cython.exceptval(check=False)
def refuse(head: cython.pointer(H2Head), fault: cython.int) -> cython.int:
    """Note why."""
    head.fault = fault
    return -2


@cython.cfunc
@cython.exceptval(-1, check=True)
def put_text(view: cython.uchar[::1], at: cython.longlong, text: bytes) -> cython.longlong:
    """Write some octets."""
    octet: cython.uchar
    for octet in text:
        view[at] = octet
        at += 1
    return at


@cython.cfunc
@cython.exceptval(-1, check=True)
def put_value(
    view: cython.uchar[::1], at: cython.longlong, pair: cython.pointer(Pair)
) -> cython.longlong:
    """Write a pair's value."""
    copy_octets(view, at, view, pair.value, pair.value_size)
    return at + pair.value_size


@cython.cfunc
@cython.exceptval(-1, check=True)
def is_cookie(view: cython.uchar[::1], pair: cython.pointer(Pair)) -> cython.bint:
    """Whether this is a part of the Cookie field (RFC 9113 8.2.3)."""
    octet: cython.uchar
    at: cython.longlong = pair.name
    if pair.name_size != 6:
        return False
    for octet in b"cookie":
        if view[at] != octet:
            return False
        at += 1
    return True


@cython.cfunc
@cython.exceptval(-1, check=True)
def put_fields(
    view: cython.uchar[::1],
    pairs: cython.pointer(Pair),
    first: cython.int,
    count: cython.int,
    at: cython.longlong,
) -> cython.longlong:
    """Write field lines; the parts of Cookie become one, where the first of them stands."""
    index: cython.int
    other: cython.int
    for index in range(first, count):
        if pairs[index].name_size == 0:
            continue
        copy_octets(view, at, view, pairs[index].name, pairs[index].name_size)
        at = put_text(view, at + pairs[index].name_size, b": ")
        at = put_value(view, at, cython.address(pairs[index]))
        if is_cookie(view, cython.address(pairs[index])):
            for other in range(index + 1, count):
                if is_cookie(view, cython.address(pairs[other])):
                    at = put_text(view, at, b"; ")
                    at = put_value(view, at, cython.address(pairs[other]))
                    pairs[other].name_size = 0
        at = put_text(view, at, b"\r\n")
    return at


@cython.cfunc
@cython.exceptval(check=False)
def most_octets(pairs: cython.pointer(Pair), count: cython.int) -> cython.longlong:
    """No text of these pairs is longer."""
    index: cython.int
    total: cython.longlong = 64
    for index in range(count):
        total += pairs[index].name_size + pairs[index].value_size + 4
    return total


def request_text(view, pairs, count, out, out_end, head):
    """RFC 9113 8.3.1 and 8.5; the contract is in the .pxd."""
    pseudo: cython.pointer(Pair) = cython.address(head.pseudo[0])
    at: cython.longlong = out
    first: cython.int = collect(view, pairs, count, head)
    if first < 0 or not request_line_is_whole(view, head):
        return -405 if head.fault == H2_CONNECT else -400
    if out_end - out < most_octets(pairs, count):
        refuse(head, H2_ROOM)
        return -431
    if head.extended:
        at = put_text(view, at, b"GET")
    else:
        at = put_value(view, at, cython.address(pseudo[P_METHOD]))
    at = put_text(view, at, b" ")
    at = put_value(view, at, cython.address(pseudo[P_PATH]))
    at = put_text(view, at, b" HTTP/1.1\r\n")
    if pseudo[P_AUTHORITY].name_size:
        at = put_text(view, at, b"host: ")
        at = put_value(view, at, cython.address(pseudo[P_AUTHORITY]))
        at = put_text(view, at, b"\r\n")
    at = put_text(view, put_fields(view, pairs, first, count, at), b"\r\n")
    return cython.cast(cython.int, at - out)


@cython.cfunc
@cython.exceptval(-1, check=True)
def request_line_is_whole(view: cython.uchar[::1], head: cython.pointer(H2Head)) -> cython.bint:
    """:method, :scheme and :path are there, with the octets that a request line allows."""
    pseudo: cython.pointer(Pair) = cython.address(head.pseudo[0])
    method: cython.pointer(Pair) = cython.address(pseudo[P_METHOD])
    path: cython.pointer(Pair) = cython.address(pseudo[P_PATH])
    connect: cython.bint = is_text(view, method, b"CONNECT")
    if connect and pseudo[P_PROTOCOL].name_size == 0:
        refuse(head, H2_CONNECT)
        return False
    if (
        method.value_size == 0
        or path.value_size == 0
        or pseudo[P_STATUS].name_size
        or (pseudo[P_PROTOCOL].name_size and not connect)
        or not (
            is_text(view, cython.address(pseudo[P_SCHEME]), b"https")
            or is_text(view, cython.address(pseudo[P_SCHEME]), b"http")
        )
    ):
        refuse(head, H2_PSEUDO_MISSING)
        return False
    if name_hash(view, method.value, method.value_size) == 0 or (
        view[path.value] != 0x2F and not is_text(view, path, b"*")
    ):
        refuse(head, H2_PSEUDO_VALUE)
        return False
    head.https = pseudo[P_SCHEME].value_size == 5
    head.extended = connect
    if connect and not is_text(view, cython.address(pseudo[P_PROTOCOL]), b"websocket"):
        refuse(head, H2_CONNECT)
        return False
    return True


@cython.cfunc
@cython.exceptval(-1, check=True)
def is_text(view: cython.uchar[::1], pair: cython.pointer(Pair), text: bytes) -> cython.bint:
    """Whether the value is exactly this."""
    octet: cython.uchar
    at: cython.longlong = pair.value
    if pair.value_size != len(text):
        return False
    for octet in text:
        if view[at] != octet:
            return False
        at += 1
    return True


def response_text(view, pairs, count, out, out_end, head):
    """RFC 9113 8.3.2; the contract is in the .pxd."""
    pseudo: cython.pointer(Pair) = cython.address(head.pseudo[0])
    status: cython.pointer(Pair) = cython.address(pseudo[P_STATUS])
    at: cython.longlong = out
    index: cython.int
    number: cython.int = 0
    first: cython.int = collect(view, pairs, count, head)
    if first < 0:
        return -502
    for index in range(P_STATUS):
        if pseudo[index].name_size:
            refuse(head, H2_PSEUDO_MISSING)
            return -502
    if status.value_size != 3:
        refuse(head, H2_PSEUDO_MISSING)
        return -502
    for index in range(3):
        if not CLASS[view[status.value + index]] & O_DIGIT:
            refuse(head, H2_PSEUDO_VALUE)
            return -502
        number = 10 * number + view[status.value + index] - 0x30
    if out_end - out < most_octets(pairs, count):
        refuse(head, H2_ROOM)
        return -502
    at = put_text(view, put_value(view, put_text(view, at, b"HTTP/1.1 "), status), b" ")
    at = put_text(view, at, REASONS.get(number, b""))
    at = put_fields(view, pairs, first, count, put_text(view, at, b"\r\n"))
    return cython.cast(cython.int, put_text(view, at, b"\r\n") - out)


def trailer_text(view, pairs, count, out, out_end, response, head):
    """RFC 9113 8.1; the contract is in the .pxd."""
    index: cython.int
    hashed: cython.uint
    first: cython.int = collect(view, pairs, count, head)
    status: cython.int = -502 if response else -400
    if first < 0:
        return status
    if first > 0:
        refuse(head, H2_PSEUDO_LATE)
        return status
    for index in range(count):
        hashed = name_hash(view, pairs[index].name, pairs[index].name_size)
        if is_forbidden_trailer(hashed, pairs[index].name_size):
            refuse(head, H2_TRAILER)
            return status
    if out_end - out < most_octets(pairs, count):
        refuse(head, H2_ROOM)
        return status if response else -431
    return cython.cast(cython.int, put_fields(view, pairs, 0, count, out) - out)
