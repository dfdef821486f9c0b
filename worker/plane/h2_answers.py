"""Writes responses to a client's HTTP/2 stream: the origin's heads, and answers of our own."""

import cython
from cython.cimports.worker.plane.exchange import Exchange
from cython.cimports.worker.plane.h1_parse import F_CONTENT_LENGTH, F_TRANSFER_ENCODING, M_HEAD
from cython.cimports.worker.plane.h1_write import BODY_LENGTH, PERSIST_DEFAULT
from cython.cimports.worker.plane.h2_blocks import (
    begin_fields,
    end_fields,
    field_room,
    put_fields,
    put_line_bytes,
    put_number_field,
    put_via,
)
from cython.cimports.worker.plane.h2_connection import H2Connection
from cython.cimports.worker.plane.h2_downstream import ClientStream
from cython.cimports.worker.plane.h2_flow import send_data
from cython.cimports.worker.plane.reply import render_reply
from cython.cimports.worker.plane.route import Route

SKIP_RESPONSE = cython.declare(cython.uint, (1 << F_CONTENT_LENGTH) | (1 << F_TRANSFER_ENCODING))
PIECE_BYTES = cython.declare(cython.longlong, 65536)


def put_response(stream, x, last):
    owner: H2Connection = stream.owner
    head = cython.address(x.response)
    status: cython.int = head.status
    at: cython.longlong
    start: cython.longlong = begin_fields(
        owner, field_room(head, x.route.response_edits, x.response_changes)
    )
    stream.head_only = x.request.method == M_HEAD or status == 304 or status == 204
    at = owner.encoder.begin_block(owner.services.arena.view, start)
    # RFC 8441 5: to a client of HTTP/2, success is what opens a tunnel
    at = owner.encoder.put_status(owner.services.arena.view, at, 200 if status == 101 else status)
    at = put_fields(owner, at, head, SKIP_RESPONSE, x.route.response_edits, x.response_changes)
    at = put_via(owner, at, head.minor)
    if x.response_body == BODY_LENGTH and not stream.head_only:
        at = put_number_field(owner, at, b"content-length", x.response_length)
    elif stream.head_only and status != 204 and head.content_length >= 0:
        at = put_number_field(owner, at, b"content-length", head.content_length)
    x.record.bytes_sent += end_fields(stream, start, at, last or stream.head_only)
    return 0


def put_informational(stream, x):
    """A 1xx of the origin (RFC 9113 8.1)."""
    owner: H2Connection = stream.owner
    head = cython.address(x.response)
    start: cython.longlong = begin_fields(owner, field_room(head, None, None))
    at: cython.longlong = owner.encoder.begin_block(owner.services.arena.view, start)
    at = owner.encoder.put_status(owner.services.arena.view, at, head.status)
    at = put_fields(owner, at, head, SKIP_RESPONSE, None, None)
    x.record.bytes_sent += end_fields(stream, start, at, False)
    return 0


def put_reply(stream, x, status, lines, body):
    owner: H2Connection = stream.owner
    start: cython.longlong
    at: cython.longlong
    route: Route = x.route if x.route is not None else stream.owner.services.routes.default
    text: bytes = render_reply(
        status,
        lines,
        body,
        route.response_edits if route is not None else None,
        x.request.method == M_HEAD,
        PERSIST_DEFAULT,
    )
    head, _, content = text.partition(b"\r\n\r\n")
    fields: bytes = head.partition(b"\r\n")[2] + b"\r\n"
    start = begin_fields(owner, 4 * len(fields) + 256)
    at = owner.encoder.begin_block(owner.services.arena.view, start)
    at = owner.encoder.put_status(owner.services.arena.view, at, status)
    at = put_line_bytes(owner, at, fields)
    x.record.bytes_sent += end_fields(stream, start, at, not content)
    return put_content(stream, x, content)


@cython.cfunc
@cython.exceptval(-1)
def put_content(stream: ClientStream, x: Exchange, content: bytes) -> cython.int:
    """The body of an answer of our own, which is in Python's memory."""
    size: cython.longlong = len(content)
    done: cython.longlong = 0
    part: cython.longlong
    at: cython.longlong
    x.record.bytes_sent += size
    x.record.body_bytes_sent += size
    while done < size:
        part = min(size - done, PIECE_BYTES)
        at = stream.connection.host.turn_memory(part)
        stream.owner.services.arena.put(at, content[done : done + part])
        done += part
        send_data(stream, at, part, done == size)
    return 0
