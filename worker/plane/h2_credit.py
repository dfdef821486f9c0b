"""Opens the windows of HTTP/2 again, for what was passed on and for what waits: a slow stream stops itself alone.

A stream's window is opened for what was passed on, and for nothing else. The connection's window is also opened for
what waits in a stream, as a loan: else a few slow exchanges would use it up and stop all others on their connection.
All loans of a worker together are bounded; beyond, a connection has its own window and no more.
"""

import cython
from cython.cimports.worker.plane.h2_connection import (
    CONNECTION_WINDOW,
    STREAM_WINDOW,
    H2Connection,
)
from cython.cimports.worker.plane.h2_flow import room, wrote
from cython.cimports.worker.plane.h2_frames import put_window


def lend_window(stream, size):
    services = stream.owner.services
    if stream.owner.dying or services.loans + size > services.most_loans:
        return 0
    services.loans += size
    stream.loan += size
    return credit(stream.owner, None, size)


def settle_loan(stream, size):
    paid: cython.longlong = min(size, stream.loan)
    stream.loan -= paid
    stream.owner.services.loans -= paid
    return size - paid


def credit(owner, stream, size):
    """RFC 9113 6.9.1: the windows are opened again in large steps."""
    if owner.dying:
        return 0
    owner.uncredited += size
    if owner.uncredited >= CONNECTION_WINDOW // 4:
        open_window(owner, 0, owner.uncredited)
        owner.receive_window += owner.uncredited
        owner.uncredited = 0
    return 0 if stream is None else credit_stream(stream, size)


def credit_stream(stream, size):
    """The same for the stream's own window."""
    owner: H2Connection = stream.owner
    if owner.dying or not stream.open or stream.remote_done:
        return 0
    stream.uncredited += size
    if stream.uncredited >= STREAM_WINDOW // 4:
        open_window(owner, stream.id, stream.uncredited)
        stream.receive_window += stream.uncredited
        stream.uncredited = 0
    return 0


@cython.cfunc
@cython.exceptval(-1)
def open_window(owner: H2Connection, number: cython.uint, size: cython.longlong) -> cython.int:
    """Send a WINDOW_UPDATE; number 0 is the connection."""
    at: cython.longlong = room(owner, 13)
    wrote(
        owner, at, put_window(owner.services.arena.view, at, number, cython.cast(cython.uint, size))
    )
    return 0
