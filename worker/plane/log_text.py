"""Values that few access logs name: TLS, HTTP/2, who picked the peer, a request's trace id, an answer's trailers."""

import cython
from cython.cimports.worker.plane.access_log import AccessLog
from cython.cimports.worker.plane.buffer import Arena
from cython.cimports.worker.plane.hashing import lower

# W3C Trace Context 3.2: "00-" trace id "-" parent id "-" flags, with so many hexadecimal digits.
TRACE_AT = cython.declare(cython.int, 3)
TRACE_DIGITS = cython.declare(cython.int, 32)
PARENT_AT = cython.declare(cython.int, 36)
PARENT_DIGITS = cython.declare(cython.int, 16)
FLAGS_AT = cython.declare(cython.int, 53)
TRACEPARENT_BYTES = cython.declare(cython.int, 55)


def put_secured(log, what, record):
    """The contract is in the .pxd."""
    if record.secured == cython.NULL:
        return log.put_absent()
    if what == 30:
        return log.put_text(record.secured.version)
    if what == 31:
        return log.put_text(record.secured.cipher)
    if what == 32:
        return log.put_text(record.secured.server_name)
    if what == 33:
        return log.put_text(record.secured.client_name)
    if what == 34:
        return log.put_bytes(b"r" if record.secured.reused else b".")
    if what == 36:
        return log.put_text(record.secured.protocol)
    if record.secured.client_name == cython.NULL:
        return log.put_bytes(b"NONE")
    return log.put_bytes(b"SUCCESS" if record.secured.verified else b"FAILED")


def put_further(log, what, record):
    """The contract is in the .pxd."""
    if what == 15:
        if record.attempts <= 0:
            return log.put_absent()
        if record.hook_peer:
            return log.put_bytes(b"hook")
        return log.put_indexed(log.policies, record.route)
    if record.minor < 20:
        return log.put_absent()
    if what == 16:
        return log.put_bytes(b"h2" if record.tls else b"h2c")
    return log.put_number(record.stream)


def put_trace_id(log, arena, head, name):
    """The contract is in the .pxd. Two such fields, or one that is malformed, say nothing that can be trusted."""
    field: cython.int
    found: cython.int = -1
    for field in range(head.count):
        if head.fields[field].name_hash != log.name_hashes[name]:
            continue
        if not log.same_name(arena, head, field, name):
            continue
        if found >= 0:
            return log.put_absent()
        found = field
    if found < 0:
        return log.put_absent()
    at: cython.longlong = head.start + head.fields[found].value
    if not is_traceparent(arena, at, head.fields[found].value_size):
        return log.put_absent()
    return log.put_value(arena, at + TRACE_AT, TRACE_DIGITS)


@cython.cfunc
@cython.exceptval(-1)
def is_traceparent(arena: Arena, at: cython.longlong, size: cython.longlong) -> cython.bint:
    """Whether this is a value of the form that Trace Context defines, or a later version's that begins like it."""
    if size < TRACEPARENT_BYTES:
        return False
    view = arena.view
    if digits(arena, at, 2) < 0 or (view[at] == 102 and view[at + 1] == 102):  # version ff is none
        return False
    if size > TRACEPARENT_BYTES and (
        digits(arena, at, 2) == 0 or view[at + TRACEPARENT_BYTES] != 45
    ):
        return False
    if view[at + 2] != 45 or view[at + PARENT_AT - 1] != 45 or view[at + FLAGS_AT - 1] != 45:
        return False
    return (
        digits(arena, at + TRACE_AT, TRACE_DIGITS) > 0
        and digits(arena, at + PARENT_AT, PARENT_DIGITS) > 0
        and digits(arena, at + FLAGS_AT, 2) >= 0
    )


@cython.cfunc
@cython.exceptval(-2)
def digits(arena: Arena, at: cython.longlong, count: cython.int) -> cython.int:
    """1: so many hexadecimal digits in lower case; 0: all of them are zeros; -1: something else is among them."""
    place: cython.int
    octet: cython.uchar
    found: cython.int = 0
    for place in range(count):
        octet = arena.view[at + place]
        if not (48 <= octet <= 57 or 97 <= octet <= 102):
            return -1
        if octet != 48:
            found = 1
    return found


def put_trailer(log, arena, record, name):
    """The contract is in the .pxd; the lines were checked when they came, each ends with CRLF."""
    at: cython.longlong = record.trailers
    end: cython.longlong = at + record.trailers_size
    stop: cython.longlong
    colon: cython.longlong
    found: cython.bint = False
    while at < end:
        stop = arena.find(at, end, 10)
        stop = end if stop < 0 else stop
        colon = arena.find(at, stop, 58)
        if colon > at and is_named(log, arena, at, colon - at, name):
            if found:
                log.put_byte(44)
                log.put_byte(32)
            put_trimmed(log, arena, colon + 1, stop, found)
            found = True
        at = stop + 1
    return 0 if found else log.put_absent()


@cython.cfunc
@cython.exceptval(-1)
def is_named(
    log: AccessLog, arena: Arena, at: cython.longlong, size: cython.longlong, name: cython.int
) -> cython.bint:
    """Whether these bytes are the name that the format wants."""
    place: cython.int
    wanted: bytes = log.names[name]
    if size != len(wanted):
        return False
    for place in range(cython.cast(cython.int, size)):
        if lower(arena.view[at + place]) != cython.cast(cython.uchar, wanted[place]):
            return False
    return True


@cython.cfunc
@cython.exceptval(-1)
def put_trimmed(
    log: AccessLog,
    arena: Arena,
    at: cython.longlong,
    stop: cython.longlong,
    further: cython.bint,
) -> cython.int:
    """A value without the blanks around it; an empty one after others is nothing."""
    while at < stop and (arena.view[at] == 32 or arena.view[at] == 9):
        at += 1
    while stop > at and arena.view[stop - 1] in (9, 13, 32):
        stop -= 1
    if stop == at and further:
        return 0
    return log.put_value(arena, at, stop - at)
