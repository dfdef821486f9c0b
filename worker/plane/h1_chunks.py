"""Decodes the chunked transfer coding, whatever the cuts, and checks trailer sections."""

import cython
from cython.cimports.worker.plane.h1_parse import (
    FAULT_CHUNK_END,
    FAULT_CHUNK_EXTENSION,
    FAULT_CHUNK_LONG,
    FAULT_CHUNK_SIZE,
    FAULT_TRAILER_LONG,
    FAULT_TRAILER_NAME,
    FAULT_TRAILER_SYNTAX,
)
from cython.cimports.worker.plane.octets import (
    CLASS,
    FNV_BASIS,
    FNV_PRIME,
    LOWER,
    O_HEX,
    O_VALUE,
)
from cython.cimports.worker.plane.target import fnv_bytes

# States
S_SIZE = cython.declare(cython.int, 0)
S_EXTENSION = cython.declare(cython.int, 1)
S_LINE_LF = cython.declare(cython.int, 2)
S_DATA = cython.declare(cython.int, 3)
S_DATA_CR = cython.declare(cython.int, 4)
S_DATA_LF = cython.declare(cython.int, 5)
S_TRAILER_LINE = cython.declare(cython.int, 6)
S_TRAILER_NAME = cython.declare(cython.int, 7)
S_TRAILER_VALUE = cython.declare(cython.int, 8)
S_TRAILER_LF = cython.declare(cython.int, 9)
S_LAST_LF = cython.declare(cython.int, 10)
S_DONE = cython.declare(cython.int, 11)

SIZE_DIGITS = cython.declare(cython.int, 15)  # below 2**60, leading zeros included

# RFC 9110 6.5.1: fields for framing, routing, modifying the request, authentication, or how to read the content,
# and those that we or the next hop would take for our own.
FORBIDDEN = (
    b"host connection content-length transfer-encoding expect upgrade te trailer keep-alive proxy-connection "
    b"proxy-authenticate proxy-authorization authorization www-authenticate authentication-info cookie set-cookie "
    b"x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-real-ip forwarded via x-request-id "
    b"content-type content-encoding content-range cache-control max-forwards pragma range if-match if-none-match "
    b"if-modified-since if-unmodified-since if-range age date expires location retry-after vary warning http2-settings"
).split()
FORBIDDEN_COUNT = cython.declare(cython.int, len(FORBIDDEN))
FORBIDDEN_HASH = cython.declare(cython.uint[64])
FORBIDDEN_SIZE = cython.declare(cython.int[64])


def fill() -> None:
    """Hash the forbidden names; runs once, at import."""
    index: cython.int
    for index in range(FORBIDDEN_COUNT):
        FORBIDDEN_HASH[index] = fnv_bytes(FORBIDDEN[index])
        FORBIDDEN_SIZE[index] = len(FORBIDDEN[index])


fill()


def chunks_begin(chunks):
    """A body starts."""
    chunks.state = S_SIZE
    chunks.line_bytes = 0
    chunks.digits = 0
    chunks.left = 0
    chunks.waste_bytes = 0
    chunks.fault = 0
    return 0


def chunks_next(view, position, end, chunks, step):
    """One step: data, the end, a fault, or the need for more; the contract is in the .pxd."""
    at: cython.longlong = position
    state: cython.int
    step.position = position
    step.data_start = step.trailer_start = position
    step.data_size = step.trailer_size = 0
    while at < end:
        state = chunks.state
        if state == S_DATA:
            return data(at, end, chunks, step)
        if state >= S_TRAILER_LINE:
            return trailers(view, at, end, chunks, step)
        if state <= S_LINE_LF:
            at = chunk_line(view, at, end, chunks)
        else:
            at = data_end(view[at], at, chunks)
        if at < 0:
            return CHUNK_BAD
    step.position = at
    return CHUNK_MORE


@cython.cfunc
@cython.exceptval(check=False)
def refuse(chunks: cython.pointer(Chunks), fault: cython.int) -> cython.int:
    """Note why; the body stays refused."""
    chunks.fault = fault
    return CHUNK_BAD


@cython.cfunc
@cython.exceptval(check=False)
def data(
    at: cython.longlong,
    end: cython.longlong,
    chunks: cython.pointer(Chunks),
    step: cython.pointer(ChunkStep),
) -> cython.int:
    """Hand out what is there of the chunk."""
    size: cython.longlong = end - at
    if size >= chunks.left:
        size = chunks.left
        chunks.state = S_DATA_CR
    chunks.left -= size
    chunks.waste_bytes = max(chunks.waste_bytes - size, 0)
    step.data_start = at
    step.data_size = size
    step.position = at + size
    return CHUNK_DATA


@cython.cfunc
@cython.exceptval(check=False)
def data_end(
    octet: cython.uchar, at: cython.longlong, chunks: cython.pointer(Chunks)
) -> cython.longlong:
    """CRLF after the data (RFC 9112 7.1)."""
    if chunks.state == S_DATA_CR and octet == 0x0D:
        chunks.state = S_DATA_LF
    elif chunks.state == S_DATA_LF and octet == 0x0A:
        chunks.state = S_SIZE
        chunks.line_bytes = 0
        chunks.digits = 0
    else:
        return refuse(chunks, FAULT_CHUNK_END)
    return at + 1


@cython.cfunc
@cython.exceptval(-1, check=True)
def chunk_line(
    view: cython.uchar[::1],
    at: cython.longlong,
    end: cython.longlong,
    chunks: cython.pointer(Chunks),
) -> cython.longlong:
    """Read on in a chunk line; extensions are checked and dropped (RFC 9112 7.1.1). Returns where it stopped."""
    octet: cython.uchar
    while at < end:
        octet = view[at]
        at += 1
        chunks.line_bytes += 1
        if chunks.line_bytes > CHUNK_LINE_BYTES:
            return refuse(chunks, FAULT_CHUNK_LONG)
        if chunks.state == S_LINE_LF:
            return line_done(octet, at, chunks)
        if octet == 0x0D and chunks.digits:
            chunks.state = S_LINE_LF
        elif chunks.state == S_EXTENSION:
            chunks.waste_bytes += 1
            if not CLASS[octet] & O_VALUE:
                return refuse(chunks, FAULT_CHUNK_EXTENSION)
            if chunks.waste_bytes > CHUNK_WASTE_BYTES:
                return refuse(chunks, FAULT_CHUNK_LONG)
        elif CLASS[octet] & O_HEX:
            chunks.digits += 1
            if chunks.digits > SIZE_DIGITS:
                return refuse(chunks, FAULT_CHUNK_SIZE)
            octet = octet - 0x30 if octet <= 0x39 else (octet | 0x20) - 0x57
            chunks.left = chunks.left * 16 + octet
        elif octet == 0x3B and chunks.digits:
            chunks.state = S_EXTENSION
        else:
            return refuse(chunks, FAULT_CHUNK_SIZE)
    return at


@cython.cfunc
@cython.exceptval(check=False)
def line_done(
    octet: cython.uchar, at: cython.longlong, chunks: cython.pointer(Chunks)
) -> cython.longlong:
    """The octet after the chunk line's CR."""
    if octet != 0x0A:
        return refuse(chunks, FAULT_CHUNK_EXTENSION)
    chunks.state = S_DATA if chunks.left else S_TRAILER_LINE
    chunks.line_bytes = 0
    return at


@cython.cfunc
@cython.exceptval(-1, check=True)
def trailers(
    view: cython.uchar[::1],
    start: cython.longlong,
    end: cython.longlong,
    chunks: cython.pointer(Chunks),
    step: cython.pointer(ChunkStep),
) -> cython.int:
    """Read on in the trailer section, which is shown from its first octet each time; line_bytes of it were seen."""
    at: cython.longlong = start + chunks.line_bytes
    fault: cython.int
    if chunks.state == S_DONE:
        return refuse(chunks, FAULT_CHUNK_END)
    while at < end:
        if at - start >= CHUNK_TRAILER_BYTES:
            return refuse(chunks, FAULT_TRAILER_LONG)
        fault = trailer_octet(view, start, at, chunks)
        if fault:
            return refuse(chunks, fault)
        at += 1
        if chunks.state == S_DONE:
            step.trailer_start = start
            step.trailer_size = at - start - 2
            step.position = at
            return CHUNK_END
    chunks.line_bytes = cython.cast(cython.int, at - start)
    step.position = start
    return CHUNK_MORE


@cython.cfunc
@cython.exceptval(-1, check=True)
def trailer_octet(
    view: cython.uchar[::1],
    start: cython.longlong,
    at: cython.longlong,
    chunks: cython.pointer(Chunks),
) -> cython.int:
    """The next octet of the trailer section; returns a fault or 0."""
    octet: cython.uchar = view[at]
    state: cython.int = chunks.state
    if state == S_TRAILER_VALUE:
        if octet == 0x0D:
            chunks.state = S_TRAILER_LF
        elif not CLASS[octet] & O_VALUE:
            return FAULT_TRAILER_SYNTAX
    elif state == S_TRAILER_LF or state == S_LAST_LF:
        if octet != 0x0A:
            return FAULT_TRAILER_SYNTAX
        chunks.state = S_TRAILER_LINE if state == S_TRAILER_LF else S_DONE
    elif LOWER[octet] != 0:
        chunks.state = S_TRAILER_NAME
    elif state == S_TRAILER_NAME and octet == 0x3A:
        chunks.state = S_TRAILER_VALUE
        return FAULT_TRAILER_NAME if is_forbidden(view, start, at) else 0
    elif state == S_TRAILER_LINE and octet == 0x0D:
        chunks.state = S_LAST_LF
    else:
        return FAULT_TRAILER_SYNTAX
    return 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def is_forbidden(
    view: cython.uchar[::1], start: cython.longlong, colon: cython.longlong
) -> cython.bint:
    """Whether the name that ends here must not be a trailer field."""
    hashed: cython.uint = FNV_BASIS
    i: cython.longlong
    at: cython.longlong = colon
    while at > start and view[at - 1] != 0x0A:
        at -= 1
    for i in range(at, colon):
        hashed = (hashed ^ LOWER[view[i]]) * cython.cast(cython.uint, FNV_PRIME)
    return is_forbidden_trailer(hashed, colon - at)


def is_forbidden_trailer(hashed, size):
    """An equal hash will do: it only refuses."""
    index: cython.int
    for index in range(FORBIDDEN_COUNT):
        if FORBIDDEN_HASH[index] == hashed and FORBIDDEN_SIZE[index] == size:
            return True
    return False
