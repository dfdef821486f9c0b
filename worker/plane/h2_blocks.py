"""Field blocks of HTTP/2: put together and decoded when they come, encoded and cut into frames when they go.

A block that comes in one frame is decoded where it stands. Decoded fields lie in memory that all connections of
a plane share: a block is dealt with wholly before the next one is looked at.
"""

import cython
from cython.cimports.worker.plane.changes import Changes
from cython.cimports.worker.plane.h1_parse import (
    F_AUTHORIZATION,
    F_CONNECTION,
    F_KEEP_ALIVE,
    F_PROXY_CONNECTION,
    F_TRANSFER_ENCODING,
    F_UPGRADE,
)
from cython.cimports.worker.plane.h2_connection import H2Connection
from cython.cimports.worker.plane.h2_faults import W_COMPRESSION, W_HEADER_BYTES
from cython.cimports.worker.plane.h2_flow import ended, room, wrote
from cython.cimports.worker.plane.h2_frames import (
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    FRAME_BYTES,
    FRAME_HEAD_BYTES,
    T_CONTINUATION,
    T_HEADERS,
    put_frame,
)
from cython.cimports.worker.plane.hpack import HPACK_BAD, Pair
from cython.cimports.worker.plane.octets import is_word

PAIRS = cython.declare(Pair[256])
VIA = cython.declare(cython.uchar[::1], bytearray(b"via1.1 pingpy1.0 pingpy2.0 pingpy"))
COLON = cython.declare(cython.int, 0x3A)
# RFC 9113 8.2.2: what must not be sent, however it was configured.
CONNECTION_WORDS = cython.declare(cython.int[5])


def fill() -> None:
    """Fill the C table; runs once, at import."""
    index: cython.int
    for index in range(5):
        CONNECTION_WORDS[index] = (
            F_CONNECTION,
            F_KEEP_ALIVE,
            F_PROXY_CONNECTION,
            F_TRANSFER_ENCODING,
            F_UPGRADE,
        )[index]


fill()


def pairs():
    return cython.address(PAIRS[0])


# ---- blocks that come


@cython.cfunc
@cython.exceptval(-1)
def list_bytes(owner: H2Connection) -> cython.longlong:
    """Of a decoded block: beyond, the connection ends. Up to there, a head over the bound gets its 431."""
    return 2 * owner.services.settings.limits.head_bytes + 16384


def text_memory(owner):
    """Behind what was decoded; the memory is reserved with the plane's first HTTP/2 connection."""
    services = owner.services
    if not services.field_memory:
        services.field_memory = services.arena.reserve(4 * list_bytes(owner) + 65536)
    return services.field_memory + list_bytes(owner)


def text_end(owner):
    return text_memory(owner) + 2 * list_bytes(owner)


def take_block(owner):
    """RFC 9113 6.2, 6.10: the order of the frames was judged already."""
    arena = owner.services.arena
    frame = cython.address(owner.frame)
    block: cython.longlong
    size: cython.longlong = owner.block_size + frame.data_size
    if frame.kind == T_HEADERS:
        owner.block_last = frame.flags & FLAG_END_STREAM != 0
        if frame.flags & FLAG_END_HEADERS:
            return decode(owner, frame.data, frame.data + frame.data_size)
        owner.block_due_ms = owner.connection.host.now_ms + owner.services.settings.header_ms
        owner.expect(owner.block_due_ms)
    if size > list_bytes(owner) or size > 1 << 18:
        return owner.fail(W_HEADER_BYTES)
    if not owner.block or size > arena.block_size(owner.block):
        block = arena.alloc(min(max(2 * size, 512), 1 << 18))
        if owner.block:
            arena.copy(block, owner.block, owner.block_size)
            arena.free(owner.block)
        owner.block = block
    arena.copy(owner.block + owner.block_size, frame.data, frame.data_size)
    owner.block_size = size
    if not frame.flags & FLAG_END_HEADERS:
        return 0
    block = owner.block
    owner.block = owner.block_size = owner.block_due_ms = 0
    owner.connection.host.release(block)
    return decode(owner, block, block + size)


@cython.cfunc
@cython.exceptval(-1)
def decode(owner: H2Connection, start: cython.longlong, end: cython.longlong) -> cython.int:
    """Every block is decoded, wanted or not: the tables of both sides must stay in step (RFC 9113 4.3)."""
    text: cython.longlong = text_memory(owner)
    count: cython.int = owner.decoder.decode(
        owner.services.arena.view,
        start,
        end,
        text - list_bytes(owner),
        text,
        PAIRS,
        MOST_PAIRS,
        list_bytes(owner),
    )
    if count < 0:
        return owner.fail(W_COMPRESSION if owner.decoder.fault == HPACK_BAD else W_HEADER_BYTES)
    return owner.take_fields(owner.frame.stream, count, owner.block_last)


# ---- blocks that go


def field_room(head, edits, changes):
    room_bytes: cython.longlong = head.size + 16 * head.count + 512
    if edits is not None:
        room_bytes += line_room(edits.lines)
    if changes is not None:
        room_bytes += 4 * changes.added_bytes + 128
    return room_bytes


@cython.cfunc
@cython.exceptval(-1)
def line_room(lines: bytes) -> cython.longlong:
    """Of field lines; their text stands behind them while they are encoded."""
    return 4 * len(lines) + 128


def begin_fields(owner, most):
    """Room for the frame heads too; the block begins behind the first."""
    return FRAME_HEAD_BYTES + room(
        owner, FRAME_HEAD_BYTES + most + most // FRAME_BYTES * FRAME_HEAD_BYTES + 64
    )


def end_fields(stream, start, end, last):
    """Cut the block into frames where it stands, from its end on."""
    owner: H2Connection = stream.owner
    arena = owner.services.arena
    size: cython.longlong = end - start
    more: cython.longlong = (size - 1) // FRAME_BYTES if size else 0
    part: cython.longlong
    i: cython.longlong
    flags: cython.int = FLAG_END_STREAM if last else 0
    for i in range(more, 0, -1):
        part = min(size - i * FRAME_BYTES, FRAME_BYTES)
        arena.copy(start + i * (FRAME_BYTES + FRAME_HEAD_BYTES), start + i * FRAME_BYTES, part)
        put_frame(
            arena.view,
            start + i * (FRAME_BYTES + FRAME_HEAD_BYTES) - FRAME_HEAD_BYTES,
            cython.cast(cython.int, part),
            T_CONTINUATION,
            FLAG_END_HEADERS if i == more else 0,
            stream.id,
        )
    if more == 0:
        flags |= FLAG_END_HEADERS
    put_frame(
        arena.view,
        start - FRAME_HEAD_BYTES,
        cython.cast(cython.int, min(size, FRAME_BYTES)),
        T_HEADERS,
        flags,
        stream.id,
    )
    wrote(owner, start - FRAME_HEAD_BYTES, end + more * FRAME_HEAD_BYTES)
    if last:
        stream.end_queued = True
        ended(stream)
    return cython.cast(cython.int, size + (more + 1) * FRAME_HEAD_BYTES)


def put_fields(owner, at, head, skip, edits, changes):
    view = owner.services.arena.view
    i: cython.int
    name: cython.longlong
    field = cython.address(head.fields[0])
    for i in range(head.count):
        field = cython.address(head.fields[i])
        name = head.start + field.name
        if field.hop or (skip >> field.kind) & 1:
            continue
        if edits is not None and edits.drops(view, name, field.name_size, field.name_hash):
            continue
        if changes is not None and changes.drops(view, name, field.name_size, field.name_hash):
            continue
        at = owner.encoder.put(
            view,
            at,
            view,
            name,
            field.name_size,
            head.start + field.value,
            field.value_size,
            field.kind == F_AUTHORIZATION,
        )
    if edits is not None:
        at = put_line_bytes(owner, at, edits.lines)
    if changes is not None:
        at = put_added(owner, at, changes)
    return at


def put_line_bytes(owner, at, lines):
    """Encoded from a copy behind the room that they may need."""
    arena = owner.services.arena
    text: cython.longlong = at + 3 * len(lines) + 64
    if not lines:
        return at
    arena.put(text, lines)
    return put_lines(owner, at, text, text + len(lines))


@cython.cfunc
@cython.exceptval(-1)
def put_added(owner: H2Connection, at: cython.longlong, changes: Changes) -> cython.longlong:
    """The same for what a hook has added."""
    text: cython.longlong = at + 3 * changes.added_bytes + 64
    size: cython.longlong = changes.put_added(owner.services.arena, text, False)
    return put_lines(owner, at, text, text + size) if size else at


def put_lines(owner, at, text, end):
    """Lines are ours, or were checked: a colon, a space or none, no white space at the end."""
    arena = owner.services.arena
    view = arena.view
    colon: cython.longlong
    stop: cython.longlong
    value: cython.longlong
    while text < end:
        stop = arena.find(text, end, 13)
        colon = arena.find(text, stop, COLON)
        if stop < 0 or colon < 0:
            return at
        value = colon + 1
        while value < stop and view[value] == 0x20:
            value += 1
        if not speaks_of_connection(owner, text, colon - text):
            at = owner.encoder.put(
                view,
                at,
                view,
                text,
                cython.cast(cython.int, colon - text),
                value,
                cython.cast(cython.int, stop - value),
                False,
            )
        text = stop + 2
    return at


@cython.cfunc
@cython.exceptval(-1)
def speaks_of_connection(
    owner: H2Connection, name: cython.longlong, size: cython.longlong
) -> cython.bint:
    i: cython.int
    for i in range(5):
        if is_word(owner.services.arena.view, name, size, CONNECTION_WORDS[i]):
            return True
    return False


def put_number_field(owner, at, name, value):
    """A field whose value is a number, such as Content-Length; takes 64 octets."""
    arena = owner.services.arena
    text: cython.longlong = at + 64
    size: cython.int = arena.put(text, name)
    digits: cython.int = arena.put_number(text + size, value)
    return owner.encoder.put(arena.view, at, arena.view, text, size, text + size, digits, False)


def put_via(owner, at, minor):
    """RFC 9110 7.6.3."""
    value: cython.int = 3 if minor == 1 else (13 if minor == 0 else 23)
    return owner.encoder.put(owner.services.arena.view, at, VIA, 0, 3, value, 10, False)


def put_trailer_block(stream, offset, size):
    owner: H2Connection = stream.owner
    start: cython.longlong = begin_fields(owner, 3 * size + 64)
    at: cython.longlong = owner.encoder.begin_block(owner.services.arena.view, start)
    end_fields(stream, start, put_lines(owner, at, offset, offset + size), True)
    return 0
