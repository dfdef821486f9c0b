"""Says errors of our own in the client's words: to a gRPC call as a gRPC status, to all others as an HTTP status.

A gRPC client looks for grpc-status in an answer that is HTTP 200, and guesses when it finds none. RFC 9113 and the gRPC
protocol let a response be one header block ("Trailers-Only"): that is what it gets.
"""

import cython
from cython.cimports.worker.plane.exchange import Exchange
from cython.cimports.worker.plane.h1_parse import F_CONTENT_TYPE
from cython.cimports.worker.plane.record import END_UPSTREAM_SILENT

from worker.plane.grpc_web import (
    DEADLINE_EXCEEDED,
    GRPC,
    INTERNAL,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    UNKNOWN,
)
from worker.plane.reply import REASONS

# gRPC's own table for HTTP statuses (http-grpc-status-mapping.md), and beside it what only a proxy can know: that the
# time was over, or that something was too large.
STATUSES = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    405: INTERNAL,
    408: DEADLINE_EXCEEDED,
    413: RESOURCE_EXHAUSTED,
    414: RESOURCE_EXHAUSTED,
    429: UNAVAILABLE,
    431: RESOURCE_EXHAUSTED,
    500: INTERNAL,
    501: UNIMPLEMENTED,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}


def send_answer(x, status, lines, body):
    """The contract is in the .pxd."""
    kind: bytes = grpc_media_type(x) if status >= 400 else None
    if kind is None:
        return x.down.send_reply(x, status, lines, body)
    reason = REASONS.get(status, "Error")
    said = b"Content-Type: %b\r\ngrpc-status: %d\r\ngrpc-message: %d %b\r\n" % (
        kind,
        code_of(x, status),
        status,
        reason.encode(),
    )
    if (
        lines is not None
    ):  # what a rule or a filter says beside it stays: Retry-After, WWW-Authenticate
        said += without(lines, b"content-type")
    x.record.status = 200
    return x.down.send_reply(x, 200, said, b"")


@cython.cfunc
@cython.exceptval(-1)
def code_of(x: Exchange, status: cython.int) -> cython.int:
    """A dead connection is no deadline of the call's: clients may try it again."""
    if x.record.ending == END_UPSTREAM_SILENT:
        return UNAVAILABLE
    return STATUSES.get(status, UNKNOWN)


def end_call(x, status):
    """The contract is in the .pxd."""
    at: cython.longlong
    if x.record.ending != END_UPSTREAM_SILENT or x.bridge is not None or x.request.minor != 20:
        return False
    if grpc_media_type(x) is None:
        return False
    reason = REASONS.get(status, "Error")
    lines: bytes = b"grpc-status: %d\r\ngrpc-message: %d %b\r\n" % (
        code_of(x, status),
        status,
        reason.encode(),
    )
    at = x.services.host.turn_memory(len(lines))
    x.services.arena.put(at, lines)
    x.down.send_trailers(x, at, len(lines))
    return True


def grpc_media_type(x):
    """The contract is in the .pxd."""
    index: cython.int = x.request.first[F_CONTENT_TYPE]
    if index < 0:
        return None
    value = x.services.arena.take(
        x.request.start + x.request.fields[index].value, x.request.fields[index].value_size
    )
    kind: bytes = value.partition(b";")[0].strip().lower()
    if kind == GRPC or kind.startswith((GRPC + b"+", GRPC + b"-web")):
        return kind
    return None


@cython.cfunc
def without(lines: bytes, lower: bytes) -> bytes:
    """Field lines without those of this name."""
    kept = [
        line for line in lines.split(b"\r\n") if line and line.partition(b":")[0].lower() != lower
    ]
    return b"".join([line + b"\r\n" for line in kept])
