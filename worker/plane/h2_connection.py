"""One HTTP/2 connection, whichever side opened it: frames out of what was read, streams, and the end.

A frame is looked at once all of it is there, but for DATA, whose payload is passed on as it comes; an unfinished
frame is kept, at most one of 16 KiB. Frames are not even looked at while the other side does not read.
"""

import cython
from cython.cimports.worker.plane.exchange import Side
from cython.cimports.worker.plane.h2_alive import begin_watch, watch
from cython.cimports.worker.plane.h2_blocks import take_block
from cython.cimports.worker.plane.h2_control import (
    put_leave,
    put_reset,
    put_settings,
    stream_fault,
    take_control,
    why_flooded,
)
from cython.cimports.worker.plane.h2_credit import credit, settle_loan
from cython.cimports.worker.plane.h2_deadlines import look_at_deadlines
from cython.cimports.worker.plane.h2_faults import W_PROTOCOL, error_of, why_of
from cython.cimports.worker.plane.h2_flow import (
    begin_payload,
    congested,
    serve,
    take_payload,
    take_window_update,
)
from cython.cimports.worker.plane.h2_frames import (
    E_CANCEL,
    FLAG_PADDED,
    FRAME_BYTES,
    FRAME_HEAD_BYTES,
    PREFACE_BYTES,
    T_CONTINUATION,
    T_DATA,
    T_HEADERS,
    T_WINDOW_UPDATE,
    FrameOrder,
    frame_body,
    frame_head,
    order_begin,
    preface,
    purse_begin,
    purse_pay,
)
from cython.cimports.worker.plane.hpack import Decoder
from cython.cimports.worker.plane.hpack_encoder import Encoder

LINGER_MS = cython.declare(cython.longlong, 2000)
DISCARD_BYTES = cython.declare(cython.longlong, 1 << 18)  # after our GOAWAY for an error
DEFAULT_WINDOW = cython.declare(cython.longlong, 65535)  # RFC 9113 6.9.2


@cython.freelist(256)
@cython.cclass
class H2Stream(Side):
    """One stream: a side of an exchange."""

    def __cinit__(self):
        self.length_left = -1

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.id} open={bool(self.open)} unsent={self.unsent.bytes}"
            f" early={self.early.bytes} of {self.owner!r}>"
        )

    def ready(self):
        raise NotImplementedError

    def deliver(self, offset, size, last):
        raise NotImplementedError

    def deliver_trailers(self, offset, size):
        raise NotImplementedError

    def was_reset(self, error):
        raise NotImplementedError

    def hold_sender(self):
        raise NotImplementedError

    def free_sender(self):
        raise NotImplementedError

    def sent_all(self):
        raise NotImplementedError

    def receive_overdue(self):
        return 0

    def send_overdue(self):
        raise NotImplementedError

    def takes_raw(self):
        return None

    def close_stream(self):
        """Both ends are closed, or one was reset: nothing of it stays."""
        owner: H2Connection = self.owner
        arena = owner.services.arena
        lost: cython.longlong
        if not self.open:
            return 0
        lost = settle_loan(self, self.early.bytes)
        self.open = False
        del owner.streams[self.id]
        self.receive_due_ms = self.send_due_ms = 0
        arena.chain_clear(cython.address(self.unsent))
        arena.chain_clear(cython.address(self.early))
        if self.trailers:
            arena.free(self.trailers)
        if self.late:
            arena.free(self.late)
        self.trailers = self.late = 0
        if owner.payload_stream is self:
            owner.payload_stream = None
            lost += owner.payload_left
        if owner.dying:
            return 0
        if lost:
            credit(owner, None, lost)
        return 0 if owner.streams else owner.emptied()

    def reset_stream(self, error):
        """RFC 9113 5.4.2: what was sent is not the whole, or what comes is not wanted."""
        if not self.open:
            return 0
        put_reset(self.owner, self.id, error)
        return self.close_stream()


@cython.cclass
class H2Connection(Handler):
    """The frames of one connection; a role says what they mean."""

    def __cinit__(self):
        self.streams = {}
        self.waiting = []
        self.decoder = Decoder()
        self.encoder = Encoder()

    def __repr__(self) -> str:
        state = "dying" if self.dying else "leaving" if self.leaving else "open"
        return f"<{type(self).__name__} {state} streams={len(self.streams)} {self.connection!r}>"

    def take_fields(self, stream, count, last):
        raise NotImplementedError

    def peer_leaves(self, last_stream, error):
        return 0

    def settings_came(self):
        return 0

    def emptied(self):
        raise NotImplementedError

    def idle_overdue(self):
        raise NotImplementedError

    def lost(self):
        raise NotImplementedError

    def blame(self, why):
        raise NotImplementedError

    def begin(self):
        """`connection`, `services` and `client` are set: say our settings."""
        order_begin(cython.address(self.order), self.client)
        purse_begin(cython.address(self.purse), self.connection.host.now_ms)
        self.preface_due = not self.client
        self.receive_window = CONNECTION_WINDOW
        self.send_window = self.stream_window = DEFAULT_WINDOW
        self.peer_streams = 100  # until the other side says (RFC 9113 6.5.2 would allow any number)
        begin_watch(self)
        return put_settings(self)

    def open_stream(self, stream):
        """A new stream; its id is set, and is the highest so far."""
        stream.owner = self
        stream.connection = self.connection
        stream.open = True
        stream.receive_window = STREAM_WINDOW
        stream.send_window = self.stream_window
        self.last_stream = stream.id
        self.streams[stream.id] = stream
        self.idle_due_ms = 0
        return watch(self)

    # ---- bytes in

    def on_data(self, offset, size):
        end: cython.longlong = offset + size
        self.heard_ms = self.connection.host.now_ms
        self.asked = False
        if self.dying:
            self.receive_window -= size
            return self.connection.close() if self.receive_window < -DISCARD_BYTES else 0
        if self.carry:
            offset = self.complete(offset, end)
            if offset < 0:
                return 0
        return self.process(offset, end)

    def process(self, offset, end):
        """Frame after frame, as far as it goes; the rest is kept."""
        position: cython.longlong = offset
        used: cython.int
        while position < end and not self.dying and self.connection.fd >= 0:
            if self.payload_left or self.padding_left:
                position += take_payload(self, position, end)
                continue
            if congested(self):
                return self.keep_backlog(position, end - position)
            used = self.take_frame(position, end)
            if used == 0:
                return self.keep_part(position, end - position)
            if used < 0:
                return 0
            position += used
        return 0

    def take_frame(self, at, end):
        """One frame, or the head of a DATA frame. Its size; 0: more is needed, -1: the connection has failed."""
        view = self.services.arena.view
        before: FrameOrder = self.order
        verdict: cython.int
        if self.preface_due:
            verdict = preface(view, at, end)
            self.preface_due = verdict <= 0
            return self.give_up(W_PROTOCOL) if verdict < 0 else verdict
        verdict = frame_head(view, at, end, cython.address(self.frame), cython.address(self.order))
        if verdict > 0:
            verdict = frame_body(view, at + FRAME_HEAD_BYTES, end, cython.address(self.frame))
            if verdict == 0:
                self.order = before  # the head will be shown again
        if verdict == 0:
            return 0
        if verdict < 0 and self.frame.error_stream == 0:
            return self.give_up(why_of(self.frame.error))
        if verdict < 0:
            self.payload_left = self.frame.size  # nobody wants it
            self.payload_stream = None
            self.payload_last = False
            stream_fault(self, self.frame.error_stream, self.frame.error)
            return FRAME_HEAD_BYTES
        if not purse_pay(
            cython.address(self.purse), cython.address(self.frame), self.connection.host.now_ms
        ):
            return self.give_up(why_flooded(self))
        self.act(at)
        if self.frame.kind == T_DATA:
            return cython.cast(cython.int, self.frame.data - at)
        return verdict

    def give_up(self, why):
        """`fail`, for take_frame."""
        self.fail(why)
        return -1

    def act(self, at):
        """Do what the frame says."""
        kind: cython.int = self.frame.kind
        if kind == T_DATA:
            return begin_payload(self)
        if kind == T_HEADERS or kind == T_CONTINUATION:
            return take_block(self)
        if kind == T_WINDOW_UPDATE:
            return take_window_update(self)
        return take_control(self, at + FRAME_HEAD_BYTES)

    # ---- frames in parts

    def needed(self):
        """How much of the kept frame must be there before it can be looked at."""
        view = self.services.arena.view
        size: cython.longlong
        if self.preface_due:
            return PREFACE_BYTES
        if self.carry_size < FRAME_HEAD_BYTES:
            return FRAME_HEAD_BYTES
        size = view[self.carry] << 16 | view[self.carry + 1] << 8 | view[self.carry + 2]
        if size > FRAME_BYTES:
            return FRAME_HEAD_BYTES  # it is refused by its head
        if view[self.carry + 3] == T_DATA:
            return FRAME_HEAD_BYTES + (1 if size and view[self.carry + 4] & FLAG_PADDED else 0)
        return FRAME_HEAD_BYTES + size

    def keep_part(self, offset, size):
        """Put the beginning of a frame aside."""
        self.carry = self.services.arena.alloc(size)
        self.services.arena.copy(self.carry, offset, size)
        self.carry_size = size
        return 0

    def complete(self, offset, end):
        """Add to the kept frame what it lacks, look at it, and return what follows; -1: there is nothing to do."""
        arena = self.services.arena
        block: cython.longlong
        part: cython.longlong
        while self.carry_size < self.needed():
            if offset >= end:
                return -1
            if self.needed() > arena.block_size(self.carry):
                block = arena.alloc(self.needed())
                arena.copy(block, self.carry, self.carry_size)
                arena.free(self.carry)
                self.carry = block
            part = min(self.needed() - self.carry_size, end - offset)
            arena.copy(self.carry + self.carry_size, offset, part)
            self.carry_size += part
            offset += part
        block = self.carry
        part = self.carry_size
        self.carry = self.carry_size = 0
        self.connection.host.release(block)
        return -1 if self.take_frame(block, block + part) < 0 else offset

    def keep_backlog(self, offset, size):
        """The other side does not take what we have for it: no further frame until it does."""
        self.backlog = self.services.arena.alloc(size)
        self.services.arena.copy(self.backlog, offset, size)
        self.backlog_size = size
        return self.connection.pause()

    # ---- errors and the end

    def fail(self, why):
        """RFC 9113 5.4.1: say why, and look at no further frame."""
        if self.dying:
            return 0
        self.dying = True
        put_leave(self, 0 if self.client else self.last_stream, error_of(why))
        self.blame(why)
        self.end_streams()
        return self.wind_up()

    def end_streams(self):
        """The connection has no future; nor have its streams."""
        stream: H2Stream
        for stream in list(self.streams.values()):
            stream.close_stream()
            stream.was_reset(E_CANCEL)
        return 0

    def wind_up(self):
        """Close once all is out and the other side has read it: our direction first."""
        self.dying = True
        self.receive_window = 0
        self.connection.finish_sending()
        self.idle_due_ms = self.connection.host.now_ms + LINGER_MS
        self.expect(self.idle_due_ms)
        return self.connection.resume()

    # ---- events other than bytes

    def on_eof(self):
        return self.connection.close() if self.dying else self.on_failed(0)

    def on_failed(self, error):
        return self.connection.close()

    def on_closed(self):
        self.dying = True
        for block in (self.carry, self.backlog, self.block):
            if block:
                self.connection.host.release(block)
        self.carry = self.backlog = self.block = 0
        self.lost()
        return self.end_streams()

    def on_blocked(self):
        self.bytes_mark = self.connection.bytes_out
        self.blocked_due_ms = self.connection.host.now_ms + self.services.settings.send_ms
        return self.expect(self.blocked_due_ms)

    def on_drained(self):
        block: cython.longlong = self.backlog
        self.blocked_due_ms = 0
        if self.dying:
            return 0
        serve(self)
        if block and not congested(self):
            self.backlog = 0
            self.connection.host.release(block)
            self.connection.resume()
            self.process(block, block + self.backlog_size)
        return 0

    def expect(self, due_ms):
        """Have on_deadline called by then; it finds out whose time is over."""
        if self.connection.deadline_ms == 0 or due_ms < self.connection.deadline_ms:
            return self.connection.set_deadline(due_ms - self.connection.host.now_ms)
        return 0

    def on_deadline(self):
        return look_at_deadlines(self)
