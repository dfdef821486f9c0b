"""Frames that speak of the connection or end a stream, and what errors of either side lead to."""

import cython
from cython.cimports.worker.plane.h2_connection import (
    CONNECTION_WINDOW,
    RESETS_KEPT,
    STREAM_WINDOW,
    H2Connection,
    H2Stream,
)
from cython.cimports.worker.plane.h2_faults import (
    W_FLOOD,
    W_FLOW_CONTROL,
    W_PROTOCOL,
    W_RESETS,
    why_of,
)
from cython.cimports.worker.plane.h2_flow import room, serve, window_moved, wrote
from cython.cimports.worker.plane.h2_frames import (
    FLAG_ACK,
    FRAME_HEAD_BYTES,
    PURSE_FULL,
    SET_ENABLE_CONNECT_PROTOCOL,
    SET_ENABLE_PUSH,
    SET_HEADER_TABLE_SIZE,
    SET_INITIAL_WINDOW_SIZE,
    SET_MAX_CONCURRENT_STREAMS,
    SET_MAX_HEADER_LIST_SIZE,
    T_GOAWAY,
    T_PING,
    T_RST_STREAM,
    T_SETTINGS,
    WINDOW_LIMIT,
    put_frame,
    put_goaway,
    put_ping_ack,
    put_rst,
    put_setting,
    put_window,
    read_setting,
)

FAULT_POINTS = cython.declare(cython.int, 10)
DEFAULT_WINDOW = cython.declare(cython.int, 65535)  # RFC 9113 6.9.2


def put_settings(owner):
    """What we want of the other side, and a window for all its streams together."""
    view = owner.services.arena.view
    start: cython.longlong = room(owner, 64)
    at: cython.longlong = start + FRAME_HEAD_BYTES
    if owner.client:
        at = put_setting(view, at, SET_ENABLE_PUSH, 0)
    else:
        at = put_setting(view, at, SET_MAX_CONCURRENT_STREAMS, owner.services.settings.streams)
        if owner.offers_connect:
            at = put_setting(view, at, SET_ENABLE_CONNECT_PROTOCOL, 1)
    at = put_setting(view, at, SET_INITIAL_WINDOW_SIZE, STREAM_WINDOW)
    at = put_setting(view, at, SET_MAX_HEADER_LIST_SIZE, owner.services.settings.limits.head_bytes)
    put_frame(
        view,
        start,
        cython.cast(cython.int, at - start - FRAME_HEAD_BYTES),
        T_SETTINGS,
        0,
        0,
    )
    at = put_window(view, at, 0, CONNECTION_WINDOW - DEFAULT_WINDOW)
    return wrote(owner, start, at)


def put_leave(owner, last_stream, error):
    at: cython.longlong = room(owner, 17)
    return wrote(owner, at, put_goaway(owner.services.arena.view, at, last_stream, error))


def put_ping(owner):
    """RFC 9113 6.7."""
    view = owner.services.arena.view
    i: cython.int
    start: cython.longlong = room(owner, FRAME_HEAD_BYTES + 8)
    at: cython.longlong = put_frame(view, start, 8, T_PING, 0, 0)
    for i in range(8):
        view[at + i] = 0
    return wrote(owner, start, at + 8)


def put_reset(owner, stream, error):
    """Frames of that stream may be on their way: its number is remembered for a while."""
    at: cython.longlong = room(owner, 13)
    owner.resets[owner.reset_count % RESETS_KEPT] = stream
    owner.reset_count += 1
    return wrote(owner, at, put_rst(owner.services.arena.view, at, stream, error))


def was_reset_lately(owner, stream):
    """RFC 9113 5.1: what was on its way when we reset a stream must be expected."""
    i: cython.int
    for i in range(min(owner.reset_count, RESETS_KEPT)):
        if owner.resets[i] == stream:
            return True
    return False


def is_idle(owner, stream):
    return stream > owner.last_stream or stream & 1 == 0


def pay(owner, points, why):
    if owner.purse.points > PURSE_FULL // 2:
        owner.charged = 0  # what was before has been forgiven
    owner.charged += points
    owner.charge = why
    owner.purse.points -= points
    return owner.fail(why) if owner.purse.points < 0 else 0


def why_flooded(owner):
    return owner.charge if owner.charged > PURSE_FULL // 4 else W_FLOOD


def stream_fault(owner, stream, error):
    known: H2Stream = owner.streams.get(stream)
    if is_idle(owner, stream):
        return owner.fail(W_PROTOCOL)  # RFC 9113 6.4: a stream that is idle cannot be reset
    put_reset(owner, stream, error)
    if known is not None:
        known.close_stream()
        known.was_reset(error)
    return pay(owner, FAULT_POINTS, W_RESETS)


def take_control(owner, at):
    """Priorities and unknown kinds say nothing to us (RFC 9113 4.1, 5.3.2)."""
    kind: cython.int = owner.frame.kind
    if kind == T_RST_STREAM:
        return take_reset(owner)
    if kind == T_SETTINGS:
        return take_settings(owner, at)
    if kind == T_PING:
        return take_ping(owner, at)
    if kind == T_GOAWAY:  # RFC 9113 6.8
        return owner.peer_leaves(owner.frame.last_stream, owner.frame.value)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def take_reset(owner: H2Connection) -> cython.int:
    """RFC 9113 6.4."""
    stream: H2Stream = owner.streams.get(owner.frame.stream)
    if stream is None:
        return owner.fail(W_PROTOCOL) if is_idle(owner, owner.frame.stream) else 0
    if owner.client and stream.remote_done and stream.exchange is not None:
        # RFC 9113 8.1: the whole response is here, and the rest of the request is not wanted
        owner.services.arena.chain_clear(cython.address(stream.unsent))
        stream.end_queued = stream.end_sent = True
        stream.send_due_ms = 0
        return stream.free_sender() if stream.sender_held else 0
    stream.close_stream()
    return stream.was_reset(owner.frame.value)


@cython.cfunc
@cython.exceptval(-1)
def take_settings(owner: H2Connection, at: cython.longlong) -> cython.int:
    """RFC 9113 6.5: each setting in its order, then our acknowledgement."""
    view = owner.services.arena.view
    end: cython.longlong = at + owner.frame.size
    name: cython.int = 0
    value: cython.uint = 0
    error: cython.int
    if owner.frame.flags & FLAG_ACK:
        return 0
    while at < end:
        error = read_setting(view, at, owner.client, cython.address(name), cython.address(value))
        if error:
            return owner.fail(why_of(error))
        if name == SET_HEADER_TABLE_SIZE:
            owner.encoder.allow(value)
        elif name == SET_INITIAL_WINDOW_SIZE:
            move_windows(owner, value)
        elif name == SET_MAX_CONCURRENT_STREAMS:
            owner.peer_streams = value
        elif name == SET_ENABLE_CONNECT_PROTOCOL:
            owner.peer_connect = value == 1
        at += 6
    if owner.dying:
        return 0
    at = room(owner, FRAME_HEAD_BYTES)
    wrote(owner, at, put_frame(view, at, 0, T_SETTINGS, FLAG_ACK, 0))
    owner.settings_came()
    return serve(owner)


@cython.cfunc
@cython.exceptval(-1)
def move_windows(owner: H2Connection, value: cython.longlong) -> cython.int:
    """RFC 9113 6.9.2: every open stream's window moves by the difference; it may become negative."""
    stream: H2Stream
    by: cython.longlong = value - owner.stream_window
    owner.stream_window = value
    for stream in owner.streams.values():
        stream.send_window += by
        if stream.send_window > WINDOW_LIMIT:
            return owner.fail(W_FLOW_CONTROL)
        window_moved(stream)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def take_ping(owner: H2Connection, at: cython.longlong) -> cython.int:
    """RFC 9113 6.7."""
    to: cython.longlong
    if owner.frame.flags & FLAG_ACK:
        owner.answer_mark = owner.connection.bytes_in  # that it was heard is known (h2_alive)
        return 0
    to = room(owner, 17)
    return wrote(owner, to, put_ping_ack(owner.services.arena.view, to, at))
