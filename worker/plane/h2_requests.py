"""Writes request heads to an origin's HTTP/2 stream: what HTTP/1.1 would say, encoded as RFC 9113 8.3 wants it.

The head is written as text first, by the one function that decides what an origin is told, and its lines are encoded
then: nothing about forwarding, routes or hooks has a second implementation here.
"""

import cython
from cython.cimports.worker.plane.exchange import Exchange
from cython.cimports.worker.plane.h1_parse import F_HOST, H_TE_TRAILERS
from cython.cimports.worker.plane.h1_write import head_room, render_request
from cython.cimports.worker.plane.h2_blocks import begin_fields, end_fields, put_lines
from cython.cimports.worker.plane.h2_connection import H2Connection
from cython.cimports.worker.plane.octets import is_word

NAMES = b":method:scheme:authority:pathhttpstetrailers"
NAMES_BYTES = cython.declare(cython.int, 64)
VERSION_BYTES = cython.declare(cython.int, 9)  # " HTTP/1.1"
COLON = cython.declare(cython.int, 0x3A)


def put_request(stream, x, last):
    """The contract is in the .pxd."""
    owner: H2Connection = stream.owner
    arena = owner.services.arena
    view = arena.view
    encoder = owner.encoder
    names: cython.longlong = owner.connection.host.turn_memory(NAMES_BYTES + request_room(x) + 256)
    text: cython.longlong = names + NAMES_BYTES
    end: cython.longlong = text + render(x, text) - 2  # without the empty line
    fields: cython.longlong = arena.find(text, end, 13) + 2
    path: cython.longlong = text + x.request.method_size + 1
    host: cython.longlong = fields
    after: cython.longlong
    value: cython.longlong
    tls: cython.bint = x.peer.tls is not None
    start: cython.longlong
    at: cython.longlong
    arena.put(names, NAMES)
    while host < end and not is_word(view, host, arena.find(host, end, COLON) - host, F_HOST):
        host = arena.find(host, end, 13) + 2
    start = begin_fields(owner, 4 * (end - text) + 512)
    at = encoder.begin_block(view, start)
    at = encoder.put(view, at, view, names, 7, text, x.request.method_size, False)
    at = encoder.put(view, at, view, names + 7, 7, names + 29, 5 if tls else 4, False)
    if host < end:
        after = arena.find(host, end, 13) + 2
        value = host + 6
        at = encoder.put(
            view, at, view, names + 14, 10, value, cython.cast(cython.int, after - 2 - value), False
        )
    else:
        after = host
    at = encoder.put(
        view,
        at,
        view,
        names + 24,
        5,
        path,
        cython.cast(cython.int, fields - 2 - VERSION_BYTES - path),
        False,
    )
    at = put_lines(owner, at, fields, host)
    at = put_lines(owner, at, after, end)
    if x.request.flags & H_TE_TRAILERS or x.route.grpc:
        # RFC 9113 8.2.2: the one value that may be sent; gRPC servers insist on it
        at = encoder.put(view, at, view, names + 34, 2, names + 36, 8, False)
    return end_fields(stream, start, at, last)


@cython.cfunc
@cython.exceptval(-1)
def request_room(x: Exchange) -> cython.longlong:
    """Enough for the text."""
    room: cython.longlong = head_room(
        cython.address(x.request),
        cython.address(x.record),
        x.route.request_edits,
        x.request_changes,
    )
    return room + (0 if x.target is None else len(x.target)) + len(x.peer.authority)


@cython.cfunc
@cython.exceptval(-1)
def render(x: Exchange, text: cython.longlong) -> cython.longlong:
    """The head as HTTP/1.1 would have it; there is no Upgrade in HTTP/2 (RFC 9113 8.6)."""
    target: bytes = x.request_changes.target if x.request_changes is not None else None
    x.line.upgrade = False
    return render_request(
        x.services.arena,
        text,
        cython.address(x.request),
        cython.address(x.record),
        cython.address(x.line),
        x.peer.authority if x.route.host_from_upstream else None,
        x.target if target is None else target,
        x.route.request_edits,
        x.request_changes,
    )
