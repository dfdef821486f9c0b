"""Finds out whose time is over on an HTTP/2 connection, and sets its timer to the next deadline of all.

A deadline that moves later costs an assignment; the timer then comes up for nothing and is set again.
"""

import cython
from cython.cimports.worker.plane.h2_alive import look_for_life
from cython.cimports.worker.plane.h2_connection import H2Connection, H2Stream
from cython.cimports.worker.plane.h2_faults import W_HEADER_TIME, W_UNREAD

NEVER_MS = cython.declare(cython.longlong, 1 << 62)


def look_at_deadlines(owner):
    connection = owner.connection
    now_ms: cython.longlong = connection.host.now_ms
    stream: H2Stream
    if connection.blocked and 0 < owner.blocked_due_ms <= now_ms:
        if connection.bytes_out == owner.bytes_mark:
            if not owner.dying:
                owner.blame(W_UNREAD)
            return owner.on_failed(0)
        owner.on_blocked()
    if 0 < owner.block_due_ms <= now_ms:
        owner.block_due_ms = 0
        owner.fail(W_HEADER_TIME)
    if 0 < owner.idle_due_ms <= now_ms:
        if owner.dying:
            return connection.close()
        owner.idle_due_ms = 0
        owner.idle_overdue()
    if connection.fd < 0:
        return 0
    if 0 < owner.watch_due_ms <= now_ms:
        look_for_life(owner)
    if 0 < owner.leave_due_ms <= now_ms:
        owner.leave_due_ms = 0
        owner.idle_overdue()
    for stream in list(owner.streams.values()):
        if stream.open and 0 < stream.receive_due_ms <= now_ms:
            stream.receive_due_ms = 0
            stream.receive_overdue()
        if stream.open and 0 < stream.send_due_ms <= now_ms:
            stream.send_due_ms = 0
            stream.send_overdue()
    return sweep(owner, now_ms) if connection.fd >= 0 else 0


@cython.cfunc
@cython.exceptval(-1)
def sweep(owner: H2Connection, now_ms: cython.longlong) -> cython.int:
    """Set the timer to the next deadline, if there is any."""
    due_ms: cython.longlong = earlier(owner.idle_due_ms, NEVER_MS)
    stream: H2Stream
    due_ms = earlier(owner.watch_due_ms, due_ms)
    due_ms = earlier(owner.leave_due_ms, due_ms)
    due_ms = earlier(owner.block_due_ms, due_ms)
    due_ms = earlier(owner.blocked_due_ms, due_ms)
    for stream in owner.streams.values():
        due_ms = earlier(stream.receive_due_ms, due_ms)
        due_ms = earlier(stream.send_due_ms, due_ms)
    if due_ms < NEVER_MS:
        owner.connection.set_deadline(max(due_ms - now_ms, 0))
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def earlier(one_ms: cython.longlong, other_ms: cython.longlong) -> cython.longlong:
    """The earlier of the two; 0 is no deadline."""
    return one_ms if 0 < one_ms < other_ms else other_ms
