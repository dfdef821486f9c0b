"""Moves payload through the windows of HTTP/2, both ways, and keeps what must wait, in order and bounded.

Out: a stream sends at once what its window, the connection's and the kernel let pass. The rest stays in the
stream's own queue while its sender is held, so that at most one read of it is ever there; streams that only the
connection holds up are served a frame each in turn. In: a window is opened again for what was passed on, and
for nothing else, so the other side of a slow exchange stops by itself (`h2_credit`).
"""

import cython
from cython.cimports.worker.plane.h2_blocks import pairs, put_trailer_block, text_end, text_memory
from cython.cimports.worker.plane.h2_connection import H2Connection, H2Stream
from cython.cimports.worker.plane.h2_control import is_idle, stream_fault, was_reset_lately
from cython.cimports.worker.plane.h2_credit import (
    credit,
    credit_stream,
    lend_window,
    settle_loan,
)
from cython.cimports.worker.plane.h2_faults import (
    W_FLOW_CONTROL,
    W_PROTOCOL,
    W_STREAM_CLOSED,
)
from cython.cimports.worker.plane.h2_frames import (
    E_FLOW_CONTROL,
    E_PROTOCOL,
    E_STREAM_CLOSED,
    FLAG_END_STREAM,
    FRAME_BYTES,
    FRAME_HEAD_BYTES,
    T_DATA,
    WINDOW_LIMIT,
    purse_earn,
    put_frame,
)
from cython.cimports.worker.plane.h2_heads import H2Head, trailer_text

RUN_BYTES = cython.declare(cython.longlong, 16384)  # output of one connection that stands together
COPY_BYTES = cython.declare(cython.longlong, 4096)  # below, copying is cheaper than another vector
MESSAGE_OCTETS = cython.declare(
    cython.longlong, 16384
)  # worth four frames that would cost a point each
UNSENT_BYTES = cython.declare(cython.longlong, 1 << 18)  # of a connection's output that may wait


# ---- output


def room(owner, size):
    """In the run that this turn's output is in, or in a new one."""
    if owner.connection.slices and owner.run + size <= owner.run_end:
        return owner.run
    if not owner.connection.chain.bytes and size < RUN_BYTES:
        owner.run = owner.connection.host.turn_memory(RUN_BYTES)
        owner.run_end = owner.run + RUN_BYTES
        return owner.run
    owner.run_end = 0
    return owner.connection.host.turn_memory(size)


def wrote(owner, at, end):
    """Queue it; the next output stands behind it, if it can."""
    if owner.run_end:
        owner.run = end
    return owner.connection.write(at, end - at)


def congested(owner):
    """Whether the kernel has not taken what there is, or there is so much that it may not."""
    connection = owner.connection
    if not connection.blocked and connection.pending() > UNSENT_BYTES:
        connection.blocked = True  # so that on_drained is said when all of it is out
        owner.on_blocked()
    return connection.blocked


@cython.cfunc
@cython.exceptval(-1)
def put_data(
    stream: H2Stream,
    offset: cython.longlong,
    size: cython.longlong,
    last: cython.bint,
    copied: cython.bint,
) -> cython.int:
    """One DATA frame; `copied`: the octets do not stay where they are until the turn ends."""
    owner: H2Connection = stream.owner
    arena = owner.services.arena
    at: cython.longlong = room(owner, FRAME_HEAD_BYTES + (size if copied else 0))
    end: cython.longlong = put_frame(
        arena.view,
        at,
        cython.cast(cython.int, size),
        T_DATA,
        FLAG_END_STREAM if last else 0,
        stream.id,
    )
    if copied:
        if size:
            arena.copy(end, offset, size)
        wrote(owner, at, end + size)
    else:
        wrote(owner, at, end)
        owner.connection.write(offset, size)
    stream.send_window -= size
    owner.send_window -= size
    stream.sent += size
    purse_earn(cython.address(owner.purse), size)
    return 0


def ended(stream):
    """A message that went through to its end pays for its own frames."""
    stream.end_sent = True
    purse_earn(cython.address(stream.owner.purse), MESSAGE_OCTETS)
    stream.send_due_ms = 0
    return stream.close_stream() if stream.remote_done else stream.sent_all()


def send_data(stream, offset, size, last):
    """As many frames as may leave now; the rest is kept."""
    owner: H2Connection = stream.owner
    part: cython.longlong
    if not stream.open or stream.end_queued:
        return 0
    stream.end_queued = last
    if stream.unsent.bytes == 0:
        while size > 0:
            part = min(min(size, FRAME_BYTES), min(stream.send_window, owner.send_window))
            if part <= 0 or congested(owner):
                break
            put_data(stream, offset, part, last and part == size, part <= COPY_BYTES)
            offset += part
            size -= part
            if size == 0:
                if last:
                    return ended(stream)
                # What the sender had to say went through in one go: a gRPC message is acknowledged on its own. A window
                # that is opened octet by octet never comes here.
                return purse_earn(cython.address(owner.purse), MESSAGE_OCTETS)
        if size == 0:
            if last:
                put_data(stream, 0, 0, True, True)
                ended(stream)
            return 0
    if size:  # an end alone has no place in the arena
        owner.services.arena.chain_append(cython.address(stream.unsent), offset, size)
    if not stream.send_due_ms:
        stream.sent_mark = stream.sent
        stream.send_due_ms = owner.connection.host.now_ms + owner.services.settings.send_ms
        owner.expect(stream.send_due_ms)
    if not stream.sender_held and not last:
        stream.sender_held = True
        stream.hold_sender()
    return window_moved(stream)


def send_trailers(stream, offset, size):
    """Field lines that end the body, behind what is queued of it."""
    arena = stream.owner.services.arena
    if not stream.open or stream.end_queued:
        return 0
    stream.end_queued = True
    if stream.unsent.bytes == 0:
        return put_trailer_block(stream, offset, size)
    stream.trailers = arena.alloc(size)
    stream.trailers_size = size
    return arena.copy(stream.trailers, offset, size)


def window_moved(stream):
    """Put it among those that wait for the connection, if it is not its own window that holds it up."""
    if stream.send_window > 0 and stream.unsent.bytes and not stream.waiting:
        stream.waiting = True
        stream.owner.waiting.append(stream)
    return 0


def serve(owner):
    stream: H2Stream
    while owner.waiting and owner.send_window > 0 and not owner.dying and not congested(owner):
        stream = owner.waiting.pop(0)
        stream.waiting = False
        if stream.open and stream.unsent.bytes:
            send_piece(stream)
            window_moved(stream)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def send_piece(stream: H2Stream) -> cython.int:
    """One frame of what is queued, and what must follow the last one."""
    owner: H2Connection = stream.owner
    arena = owner.services.arena
    offset: cython.longlong = 0
    last: cython.bint
    size: cython.longlong = arena.chain_front(cython.address(stream.unsent), cython.address(offset))
    size = min(min(size, FRAME_BYTES), min(stream.send_window, owner.send_window))
    if size <= 0:
        return 0
    last = stream.end_queued and size == stream.unsent.bytes and not stream.trailers
    put_data(stream, offset, size, last, True)
    arena.chain_consume(cython.address(stream.unsent), size)
    if last:
        return ended(stream)
    if stream.unsent.bytes:
        return 0
    stream.send_due_ms = 0
    if stream.trailers:
        return put_trailer_block(stream, stream.trailers, stream.trailers_size)
    if stream.sender_held:
        stream.sender_held = False
        stream.free_sender()
    return 0


def take_window_update(owner):
    """RFC 9113 6.9."""
    stream: H2Stream
    increment: cython.longlong = owner.frame.value
    if owner.frame.stream == 0:
        if owner.send_window + increment > WINDOW_LIMIT:
            return owner.fail(W_FLOW_CONTROL)
        owner.send_window += increment
        return serve(owner)
    stream = owner.streams.get(owner.frame.stream)
    if stream is None:
        return owner.fail(W_PROTOCOL) if is_idle(owner, owner.frame.stream) else 0
    if stream.send_window + increment > WINDOW_LIMIT:
        return stream_fault(owner, stream.id, E_FLOW_CONTROL)
    stream.send_window += increment
    window_moved(stream)
    return serve(owner)


# ---- input


def begin_payload(owner):
    """Judge a DATA frame by its head; its payload comes in pieces."""
    frame = cython.address(owner.frame)
    stream: H2Stream = owner.streams.get(frame.stream)
    error: cython.int = 0
    owner.payload_left = frame.data_size
    owner.padding_left = frame.padding
    owner.payload_last = False
    owner.payload_stream = None
    owner.receive_window -= frame.size
    purse_earn(cython.address(owner.purse), frame.data_size)
    if owner.receive_window < 0:
        return owner.fail(W_FLOW_CONTROL)
    if stream is None:
        if is_idle(owner, frame.stream):
            return owner.fail(W_PROTOCOL)
        if not was_reset_lately(owner, frame.stream):
            return owner.fail(W_STREAM_CLOSED)
        return credit(owner, None, frame.size)
    stream.receive_window -= frame.size
    if stream.remote_done:
        error = E_STREAM_CLOSED
    elif stream.receive_window < 0:
        error = E_FLOW_CONTROL
    elif stream.length_left >= 0:
        # RFC 9113 8.1.1: Content-Length is what the DATA frames have, or the message is malformed
        stream.length_left -= frame.data_size
        if stream.length_left < 0 or (frame.flags & FLAG_END_STREAM and stream.length_left):
            error = E_PROTOCOL
    if error:
        credit(owner, None, frame.size)
        return stream_fault(owner, stream.id, error)
    owner.payload_stream = stream
    owner.payload_last = frame.flags & FLAG_END_STREAM != 0
    if frame.size > frame.data_size:
        credit(owner, stream, frame.size - frame.data_size)
    if frame.data_size == 0 and owner.payload_last:
        return arrive(stream, 0, 0, True)
    return 0


def take_payload(owner, at, end):
    """What there is of the payload, or of the padding behind it."""
    size: cython.longlong
    stream: H2Stream = owner.payload_stream
    if owner.payload_left == 0:
        size = min(owner.padding_left, end - at)
        owner.padding_left -= size
        return cython.cast(cython.int, size)
    size = min(owner.payload_left, end - at)
    owner.payload_left -= size
    if stream is not None:
        arrive(stream, at, size, owner.payload_last and owner.payload_left == 0)
    return cython.cast(cython.int, size)


def arrive(stream, offset, size, last):
    """Payload for an exchange that takes it now, later, or not at all any more."""
    owner: H2Connection = stream.owner
    stream.received += size
    if last:
        stream.remote_done = True
    if stream.exchange is None:
        if last and stream.end_sent:
            stream.close_stream()
        return credit(owner, None, size)
    if stream.early.bytes or not stream.ready() or (stream.held and size):
        if size:
            owner.services.arena.chain_append(cython.address(stream.early), offset, size)
            return lend_window(stream, size)
        return 0
    if last:
        stream.told_end = True
    stream.deliver(offset, size, last)
    if last and stream.open and stream.end_sent:
        stream.close_stream()
    return credit(owner, stream, size)


def take_trailers(stream, count, last, response):
    """RFC 9113 8.1: a second field block ends the message, and goes on behind its body."""
    owner: H2Connection = stream.owner
    arena = owner.services.arena
    head: H2Head
    text: cython.longlong = text_memory(owner)
    size: cython.int
    if stream.remote_done:
        return stream_fault(owner, stream.id, E_STREAM_CLOSED)
    size = trailer_text(
        arena.view, pairs(), count, text, text_end(owner), response, cython.address(head)
    )
    if not last or size < 0 or stream.length_left > 0:
        return stream_fault(owner, stream.id, E_PROTOCOL)
    stream.remote_done = True
    if stream.exchange is None:
        return stream.close_stream() if stream.end_sent else 0
    if size:
        stream.late = arena.alloc(size)
        stream.late_size = size
        arena.copy(stream.late, text, size)
    return drain_early(stream)


def drain_early(stream):
    """What came too early, as far as it is taken; then the end, if that has come."""
    kept: H2Stream = stream  # whoever calls may have it from the exchange, which may end in here
    owner: H2Connection = kept.owner
    arena = owner.services.arena
    exchange = stream.exchange
    offset: cython.longlong = 0
    size: cython.longlong = 0
    block: cython.longlong
    unpaid: cython.longlong
    last: cython.bint
    while stream.early.bytes and not stream.held and stream.open and stream.ready():
        block = arena.chain_take(
            cython.address(stream.early), cython.address(offset), cython.address(size)
        )
        owner.connection.host.release(block)
        last = stream.early.bytes == 0 and stream.remote_done and not stream.late
        if last:
            stream.told_end = True
        unpaid = settle_loan(stream, size)
        stream.deliver(offset, size, last)
        credit(owner, None, unpaid)
        credit_stream(stream, size)
        if stream.exchange is not exchange:
            return 0
    if stream.early.bytes == 0 and stream.remote_done and not stream.told_end and stream.ready():
        stream.told_end = True
        if not stream.late:
            return stream.deliver(0, 0, True)
        block = stream.late
        stream.late = 0
        owner.connection.host.release(block)
        return stream.deliver_trailers(block, stream.late_size)
    return 0
