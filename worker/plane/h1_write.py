"""Heads as we send them: what passes is copied in runs, what the proxy decides is written anew.

Framing is never copied: exactly one of Content-Length and chunked is written, from what the scanner
understood (RFC 9112 section 6). Hop-by-hop and nominated fields are left out before ours are added.
"""

import cython
from cython.cimports.worker.plane.buffer import Arena
from cython.cimports.worker.plane.changes import Changes
from cython.cimports.worker.plane.h1_parse import (
    F_CONTENT_LENGTH,
    F_FORWARDED,
    F_HOST,
    F_TRANSFER_ENCODING,
    F_UPGRADE,
    F_X_FORWARDED_FOR,
    F_X_FORWARDED_HOST,
    F_X_FORWARDED_PROTO,
    F_X_REQUEST_ID,
    M_OPTIONS,
    Head,
)
from cython.cimports.worker.plane.record import Record
from cython.cimports.worker.plane.route import HeaderEdits

# Bits by FieldKind: what is never copied into a request. X-Forwarded-For and Forwarded are written whole by us.
SKIP_REQUEST = cython.declare(
    cython.uint,
    (1 << F_CONTENT_LENGTH)
    | (1 << F_TRANSFER_ENCODING)
    | (1 << F_X_FORWARDED_FOR)
    | (1 << F_X_REQUEST_ID)
    | (1 << F_FORWARDED),
)
SKIP_UNTRUSTED = cython.declare(cython.uint, (1 << F_X_FORWARDED_PROTO) | (1 << F_X_FORWARDED_HOST))
FORWARDED = cython.declare(cython.int, F_FORWARDED)
FORWARDED_FOR = cython.declare(cython.int, F_X_FORWARDED_FOR)
FORWARDED_PROTO = cython.declare(cython.int, F_X_FORWARDED_PROTO)
FORWARDED_HOST = cython.declare(cython.int, F_X_FORWARDED_HOST)
SKIP_RESPONSE = cython.declare(cython.uint, (1 << F_CONTENT_LENGTH) | (1 << F_TRANSFER_ENCODING))


def head_room(head, record, edits, changes):
    """Enough for the head, every field of ours, and the configured lines."""
    room: cython.longlong = head.size + 512 + record.request_id_size + head.authority_size
    if edits is not None:
        room += len(edits.lines)
    if head.first[FORWARDED] >= 0:
        room += 128
    if changes is not None:
        room += changes.added_bytes
        if changes.target is not None:
            room += len(changes.target)
    return room


@cython.cfunc
@cython.exceptval(-1)
def copy_fields(
    arena: Arena,
    to: cython.longlong,
    head: cython.pointer(Head),
    skip: cython.uint,
    edits: HeaderEdits | None,
    changes: Changes | None,
    upgrade: cython.bint,
) -> cython.longlong:
    """Copy the fields that pass, in maximal runs; returns the bytes written."""
    written: cython.longlong = 0
    run: cython.longlong = head.start + head.line_size + 2
    begins: cython.longlong
    dropped: cython.bint
    i: cython.int
    bits: cython.ulonglong = 0 if changes is None else changes.drop_bits
    for i in range(head.count):
        dropped = head.fields[i].hop or (skip >> head.fields[i].kind) & 1
        begins = head.start + head.fields[i].name
        if dropped and upgrade and head.fields[i].kind == F_UPGRADE:
            dropped = False
        if not dropped and edits is not None:
            dropped = edits.drops(
                arena.view, begins, head.fields[i].name_size, head.fields[i].name_hash
            )
        if not dropped and bits >> (head.fields[i].name_hash & 63) & 1:
            dropped = changes.drops(
                arena.view, begins, head.fields[i].name_size, head.fields[i].name_hash
            )
        if dropped:
            if begins > run:
                arena.copy(to + written, run, begins - run)
                written += begins - run
            run = head.start + head.fields[i].end
    begins = head.start + head.size - 2
    if begins > run:
        arena.copy(to + written, run, begins - run)
        written += begins - run
    if edits is not None:
        written += arena.put(to + written, edits.lines)
    if changes is not None:
        written += changes.put_added(arena, to + written, edits is not None and edits.sets_host)
    return written


@cython.cfunc
@cython.exceptval(-1)
def put_forwarded(
    arena: Arena,
    to: cython.longlong,
    head: cython.pointer(Head),
    record: cython.pointer(Record),
    line: cython.pointer(RequestLine),
) -> cython.longlong:
    """X-Forwarded-For, -Proto, -Host: ours, or the trusted peer's extended by our neighbour's address."""
    at: cython.longlong = to
    at += arena.put(at, b"X-Forwarded-For: ")
    if line.trusted:
        at += put_values(arena, at, head, FORWARDED_FOR)
    at += arena.put_chars(at, record.peer_address, record.peer_address_size)
    if not line.trusted and not line.tls and head.authority_size:  # as almost always
        at += arena.put(at, b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ")
        arena.copy(at, head.start + head.authority, head.authority_size)
        return at + head.authority_size - to
    if not line.trusted or not passes(head, FORWARDED_PROTO):
        at += arena.put(
            at,
            b"\r\nX-Forwarded-Proto: https" if line.tls else b"\r\nX-Forwarded-Proto: http",
        )
    if head.authority_size and not (line.trusted and passes(head, FORWARDED_HOST)):
        at += arena.put(at, b"\r\nX-Forwarded-Host: ")
        arena.copy(at, head.start + head.authority, head.authority_size)
        at += head.authority_size
    if line.trusted and passes(head, FORWARDED):
        at += arena.put(at, b"\r\nForwarded: ")
        at += put_values(arena, at, head, FORWARDED)
        at += put_forwarded_element(arena, at, record, line)
    return at - to


@cython.cfunc
@cython.exceptval(-1)
def passes(head: cython.pointer(Head), kind: cython.int) -> cython.bint:
    """Whether there is such a field that Connection has not nominated (RFC 9110 7.6.1)."""
    return head.first[kind] >= 0 and not head.fields[head.first[kind]].hop


@cython.cfunc
@cython.exceptval(-1)
def put_values(
    arena: Arena, to: cython.longlong, head: cython.pointer(Head), kind: cython.int
) -> cython.longlong:
    """The values of all fields of this kind as the beginning of a list."""
    at: cython.longlong = to
    i: cython.int
    if not passes(head, kind):
        return 0
    for i in range(head.first[kind], head.count):
        if head.fields[i].kind == kind and head.fields[i].value_size:
            arena.copy(at, head.start + head.fields[i].value, head.fields[i].value_size)
            at += head.fields[i].value_size
            at += arena.put(at, b", ")
    return at - to


@cython.cfunc
@cython.exceptval(-1)
def put_forwarded_element(
    arena: Arena,
    to: cython.longlong,
    record: cython.pointer(Record),
    line: cython.pointer(RequestLine),
) -> cython.longlong:
    """RFC 7239: who sent the request to us, and how; an IPv6 address is quoted, a Unix socket has none."""
    at: cython.longlong = to
    address: bytes = record.peer_address[: record.peer_address_size]
    if address.startswith(b"unix:"):
        address = b"unknown"
    at += arena.put(at, b'for="[%b]"' % address if b":" in address else b"for=%b" % address)
    at += arena.put(at, b";proto=https" if line.tls else b";proto=http")
    return at - to


def render_request(arena, to, head, record, line, host, target, edits, changes):
    """The request head for the origin. `host` and `target`: None to send them as they came."""
    at: cython.longlong = to
    skip: cython.uint = SKIP_REQUEST | (1 << F_HOST)
    if target is None and head.path_size and head.path == head.target:
        at += put_as_came(arena, at, head)
    else:
        arena.copy(at, head.start, head.method_size)
        at += head.method_size
        at += arena.put(at, b" ")
        if target is not None:
            at += arena.put(at, target)
        else:
            at += put_target(arena, at, head)
    at += arena.put(at, b" HTTP/1.1\r\n")
    if not (edits is not None and edits.sets_host) and not (
        changes is not None and changes.sets_host
    ):
        at += put_host(arena, at, head, host)
    if not line.trusted:
        skip |= SKIP_UNTRUSTED
    at += copy_fields(arena, at, head, skip, edits, changes, line.upgrade)
    at += put_forwarded(arena, at, head, record, line)
    if head.minor == 1:
        at += arena.put(at, b"\r\nVia: 1.1 pingpy\r\nX-Request-Id: ")
    else:
        at += arena.put(at, via_of_others(head.minor))
        at += arena.put(at, b"X-Request-Id: ")
    at += arena.put_chars(at, record.request_id, record.request_id_size)
    if line.body == BODY_LENGTH:
        at += arena.put(at, b"\r\nContent-Length: ")
        at += arena.put_number(at, line.length)
    elif line.body == BODY_CHUNKED:
        at += arena.put(at, b"\r\nTransfer-Encoding: chunked")
    if line.upgrade:
        at += arena.put(at, b"\r\nConnection: Upgrade")
    at += arena.put(at, b"\r\n\r\n")
    return at - to


@cython.cfunc
def via_of_others(minor: cython.int) -> bytes:
    """The Via line of a message that was not HTTP/1.1."""
    return b"\r\nVia: 1.0 pingpy\r\n" if minor == 0 else b"\r\nVia: 2.0 pingpy\r\n"


@cython.cfunc
@cython.exceptval(-1)
def put_host(
    arena: Arena, to: cython.longlong, head: cython.pointer(Head), host: bytes | None
) -> cython.longlong:
    """The Host field, first as RFC 9110 7.2 would have it."""
    at: cython.longlong = to
    at += arena.put(at, b"Host: ")
    if host is not None:
        at += arena.put(at, host)
    else:
        arena.copy(at, head.start + head.authority, head.authority_size)
        at += head.authority_size
    at += arena.put(at, b"\r\n")
    return at - to


@cython.cfunc
@cython.exceptval(-1)
def put_as_came(arena: Arena, to: cython.longlong, head: cython.pointer(Head)) -> cython.longlong:
    """Method, space and target of a line in origin form, as the scanner has found them: one of each (RFC 9112 3)."""
    arena.copy(to, head.start, head.target + head.target_size)
    return head.target + head.target_size


@cython.cfunc
@cython.exceptval(-1)
def put_target(arena: Arena, to: cython.longlong, head: cython.pointer(Head)) -> cython.longlong:
    """The target in origin form (RFC 9112 3.2.1), as the client spelled path and query."""
    at: cython.longlong = to
    if head.target_size == 1 and arena.view[head.start + head.target] == 42:  # "*"
        return arena.put(at, b"*")
    if head.method == M_OPTIONS and head.path_size == 0 and not has_query(arena, head):
        return arena.put(at, b"*")  # RFC 9112 3.2.4: absolute form without path and query
    if head.path_size:
        arena.copy(at, head.start + head.path, head.path_size)
        at += head.path_size
    else:
        at += arena.put(at, b"/")
    if has_query(arena, head):
        arena.copy(at, head.start + head.query - 1, head.query_size + 1)
        at += head.query_size + 1
    return at - to


@cython.cfunc
@cython.exceptval(-1)
def has_query(arena: Arena, head: cython.pointer(Head)) -> cython.bint:
    """Whether there is a "?", even before an empty query."""
    return head.query and arena.view[head.start + head.query - 1] == 63


def render_response(arena, to, head, line, edits, changes):
    """The response head for an HTTP/1 client."""
    at: cython.longlong = to
    skip: cython.uint = SKIP_RESPONSE
    if head.minor == 1 and head.reason:
        arena.copy(at, head.start, head.line_size + 2)  # as it came, CRLF included
        at += head.line_size + 2
    else:
        at += arena.put(at, b"HTTP/1.1")
        arena.copy(at, head.start + 8, head.line_size - 8)  # " 200 OK"
        at += head.line_size - 8
        # RFC 9112 4: the space is not optional
        at += arena.put(at, b"\r\n" if head.reason else b" \r\n")
    at += copy_fields(arena, at, head, skip, edits, changes, line.upgrade)
    at += arena.put(
        at, b"Via: 1.1 pingpy\r\n" if head.minor == 1 else via_of_others(head.minor)[2:]
    )
    if line.body == BODY_LENGTH or (line.show_length and head.content_length >= 0):
        at += arena.put(at, b"Content-Length: ")
        at += arena.put_number(at, line.length if line.body == BODY_LENGTH else head.content_length)
        at += arena.put(at, b"\r\n")
    elif line.body == BODY_CHUNKED:
        at += arena.put(at, b"Transfer-Encoding: chunked\r\n")
    if line.persistence == PERSIST_CLOSE:
        at += arena.put(at, b"Connection: close\r\n")
    elif line.persistence == PERSIST_KEEP_ALIVE:
        at += arena.put(at, b"Connection: keep-alive\r\n")
    elif line.upgrade:
        at += arena.put(at, b"Connection: Upgrade\r\n")
    at += arena.put(at, b"\r\n")
    return at - to
