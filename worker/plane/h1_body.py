"""HTTP/1 bodies of either side: where the payload is in what was read, and how payload is framed when sent."""

import cython
from cython.cimports.worker.plane.buffer import Arena
from cython.cimports.worker.plane.h1_chunks import (
    CHUNK_BAD,
    CHUNK_DATA,
    CHUNK_END,
    ChunkStep,
    chunks_begin,
    chunks_next,
)
from cython.cimports.worker.plane.h1_write import BODY_CHUNKED, BODY_CLOSE, BODY_LENGTH

COPY_BYTES = cython.declare(cython.longlong, 4096)  # below, copying is cheaper than another vector


def body_begins(incoming, kind, length):
    """Expect a body of this kind."""
    incoming.kind = kind
    incoming.left = length if kind == BODY_LENGTH else 0
    if kind == BODY_CHUNKED:
        chunks_begin(cython.address(incoming.chunks))
    return 0


def body_piece(arena, incoming, offset, end, piece):
    """What of offset..end is payload. Chunks are moved together, so that one look gives one stretch."""
    piece.offset = offset
    piece.size = 0
    piece.position = offset
    piece.last = False
    piece.bad = False
    piece.trailers = piece.trailers_size = 0
    if incoming.kind == BODY_LENGTH:
        piece.size = min(incoming.left, end - offset)
        incoming.left -= piece.size
        piece.position = offset + piece.size
        piece.last = incoming.left == 0
    elif incoming.kind == BODY_CLOSE:
        piece.size = end - offset
        piece.position = end
    elif incoming.kind == BODY_CHUNKED:
        return chunked_piece(arena, incoming, end, piece)
    else:
        piece.last = True
    return 0


@cython.cfunc
@cython.exceptval(-1)
def chunked_piece(
    arena: Arena,
    incoming: cython.pointer(Incoming),
    end: cython.longlong,
    piece: cython.pointer(Piece),
) -> cython.int:
    step: ChunkStep
    result: cython.int
    step.position = piece.position
    while True:
        result = chunks_next(
            arena.view,
            step.position,
            end,
            cython.address(incoming.chunks),
            cython.address(step),
        )
        piece.position = step.position
        if result == CHUNK_DATA:
            if piece.size == 0:
                piece.offset = step.data_start
            elif piece.offset + piece.size != step.data_start:
                arena.copy(piece.offset + piece.size, step.data_start, step.data_size)
            piece.size += step.data_size
        elif result == CHUNK_END:
            piece.last = True
            piece.trailers = step.trailer_start
            piece.trailers_size = step.trailer_size
            return 0
        else:
            piece.bad = result == CHUNK_BAD
            return 0


def put_payload(connection, chunked, offset, size, last):
    """Queue payload, in one chunk if `chunked`."""
    arena: Arena = connection.host.arena
    line: cython.longlong
    used: cython.longlong
    if not chunked:
        return connection.write(offset, size)
    if size > 0:
        line = connection.host.turn_memory(32 + (size if size <= COPY_BYTES else 0))
        used = arena.put_hex(line, size)
        used += arena.put(line + used, b"\r\n")
        if size <= COPY_BYTES:
            arena.copy(line + used, offset, size)
            used += size
            used += arena.put(line + used, b"\r\n0\r\n\r\n" if last else b"\r\n")
            return connection.write(line, used)
        connection.write(line, used)
        connection.write(offset, size)
        used += arena.put(line + used, b"\r\n0\r\n\r\n" if last else b"\r\n")
        return connection.write(line + used - (7 if last else 2), 7 if last else 2)
    if last:
        line = connection.host.turn_memory(5)
        return connection.write(line, arena.put(line, b"0\r\n\r\n"))
    return 0


def put_trailers(connection, offset, size):
    """End a chunked body with these field lines."""
    arena: Arena = connection.host.arena
    line: cython.longlong = connection.host.turn_memory(size + 8)
    used: cython.longlong = arena.put(line, b"0\r\n")
    arena.copy(line + used, offset, size)
    used += size
    used += arena.put(line + used, b"\r\n")
    return connection.write(line, used)
