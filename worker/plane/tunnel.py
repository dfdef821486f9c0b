"""After an origin's 101: bytes both ways, unseen, with back-pressure, half-closes and an idle timeout.

RFC 9110 7.8: only what the client asked for and the route allows can be agreed to. Allowed is `websocket`
alone: any other protocol (h2c above all) would carry requests that no rule has looked at. Where frames begin
and end is followed, for one purpose: a draining worker says goodbye with a Close frame, between two frames.
"""

import cython
from cython.cimports.worker.plane.batch import SLOT_BYTES
from cython.cimports.worker.plane.buffer import Arena
from cython.cimports.worker.plane.cells import C_TUNNELS
from cython.cimports.worker.plane.h1_parse import F_UPGRADE, H_UPGRADE, Head
from cython.cimports.worker.plane.h1_write import BODY_NONE
from cython.cimports.worker.plane.h2_tunnel import key_is_answered, stream_end
from cython.cimports.worker.plane.record import (
    END_CLIENT_GONE,
    END_CLIENT_TIMEOUT,
    END_DRAIN_DEADLINE,
    END_OK,
    END_UPSTREAM_CLOSED,
    Attempt,
)
from cython.cimports.worker.plane.ws_frames import (
    WS_CLOSE_BYTES,
    WS_GOING_AWAY,
    WS_SERVICE_RESTART,
    between_frames,
    put_close,
    track_begin,
    track_octets,
    track_unseen,
)

SPLICE_FROM_BYTES = cython.declare(cython.longlong, 65536)  # below, reading and writing is cheaper
FAREWELL_MS = cython.declare(cython.longlong, 2000)  # for the answer to our Close frame
NO_END = cython.declare(cython.longlong, 1 << 62)  # how much may pass by splice


def wants_tunnel(x):
    return (
        x.request.minor != 0
        and (x.line.body == BODY_NONE or x.line.length == 0)
        and names_websocket(x.services.arena, cython.address(x.request))
    )


def may_switch(x):
    if not x.line.upgrade or not names_websocket(x.services.arena, cython.address(x.response)):
        return False
    return key_is_answered(x)


@cython.cfunc
@cython.exceptval(-1)
def names_websocket(arena: Arena, head: cython.pointer(Head)) -> cython.bint:
    """Exactly one Upgrade field that says websocket and nothing else, nominated by Connection."""
    i: cython.int
    found: cython.int = 0
    if head.flags & H_UPGRADE == 0:
        return False
    for i in range(head.count):
        if head.fields[i].kind == F_UPGRADE:
            value = arena.take(head.start + head.fields[i].value, head.fields[i].value_size)
            if value.lower() != b"websocket":
                return False
            found += 1
    return found == 1


def open_tunnel(x, offset, size):
    client: TunnelEnd = stream_end(x.down)
    origin: TunnelEnd = TunnelEnd.__new__(TunnelEnd)
    early: cython.longlong = x.down.carry
    early_size: cython.longlong = x.down.carry_size
    attempt: cython.pointer(Attempt) = cython.address(x.record.tries[x.record.attempts - 1])
    if client is None:
        client = TunnelEnd.__new__(TunnelEnd)
    attempt.response_us = x.services.host.now_us - x.attempt_us
    x.services.cells.count_attempt(cython.address(x.record), x.record.attempts - 1)
    x.services.cells.add(C_TUNNELS, 1)
    x.services.tunnels += 1
    x.down.carry = x.down.carry_size = 0
    client.services = origin.services = x.services
    client.is_client = True
    client.exchange = origin.exchange = x
    client.other = origin
    origin.other = client
    track_begin(cython.address(client.track), True)
    track_begin(cython.address(origin.track), False)
    client.take_over(x.down)
    origin.take_over(x.up)
    x.down = client
    x.up = origin
    origin.connection.clear_deadline()
    if early:  # the client did not wait for the 101
        client.on_data(early, early_size)
        x.services.host.release(early)
    if size:  # nor did the origin, after it
        origin.on_data(offset, size)
    if x.down is not client:  # over already
        return 0
    if client.is_stopped():
        origin.stop()
    else:
        origin.go()
    client.wait(x.route.tunnel_ms)
    return client.go()


@cython.cclass
class TunnelEnd(Side):
    """The handler of a tunnel's connection; it puts what it reads to the other one's output."""

    def __cinit__(self):
        self.eager = True  # what came before a hang-up is still read

    def __repr__(self) -> str:
        side = "client" if self.is_client else "origin"
        return f"<TunnelEnd {side} finished={bool(self.finished)} {self.connection!r}>"

    def take_over(self, side):
        """Be the handler of this side's connection from now on."""
        self.before = side
        self.connection = side.connection
        self.connection.handler = self
        side.exchange = None
        return 0

    def count(self, size):
        """Bytes have come: note them, and that the tunnel is not idle."""
        x: Exchange = self.exchange
        attempt: cython.pointer(Attempt) = cython.address(x.record.tries[x.record.attempts - 1])
        client: TunnelEnd = self if self.is_client else self.other
        if self.is_client:
            x.record.request_bytes += size
            attempt.bytes_sent += size
        else:
            x.record.bytes_sent += size
            x.record.body_bytes_sent += size
            attempt.bytes_received += size
        return client.wait(x.route.tunnel_ms)

    def put(self, offset, size):
        return self.connection.write(offset, size)

    def put_end(self):
        return self.connection.finish_sending()

    def stop(self):
        return self.connection.pause()

    def go(self):
        return self.connection.resume()

    def is_stopped(self):
        return self.connection.blocked

    def wait(self, after_ms):
        return self.connection.set_deadline(after_ms)

    def takes_raw(self):
        return self.connection

    def on_data(self, offset, size):
        after: cython.longlong
        if self.exchange is None:
            return 0
        after = track_octets(
            self.services.arena.view,
            offset,
            offset + size,
            cython.address(self.track),
            self.leaving,
        )
        self.count(after - offset)
        self.connection.wide = size >= SLOT_BYTES
        self.choose_sink()
        self.other.put(offset, after - offset)
        if self.leaving and between_frames(cython.address(self.track)):
            return self.end_for_drain()
        return 0

    def choose_sink(self):
        """What is left of a long frame goes by splice, and so does all that is no frame; the next head is read."""
        self.connection.sink = None
        if not self.exchange.record.tls and (
            self.track.lost or self.track.left >= SPLICE_FROM_BYTES
        ):
            self.connection.sink = self.other.takes_raw()
            self.connection.sink_left = NO_END if self.track.lost else self.track.left
        return 0

    def on_spliced(self, size):
        if self.exchange is None:
            return 0
        track_unseen(cython.address(self.track), size)
        self.count(size)
        if self.leaving and between_frames(cython.address(self.track)):
            return self.end_for_drain()
        return 0

    def on_eof(self):
        """A half-close is passed on, behind the bytes that came before it."""
        if self.exchange is None:
            return self.connection.finish() if self.told else 0
        if self.finished:
            return 0
        self.finished = True
        if self.other.finished:
            return self.end(END_OK)
        return self.other.put_end()

    def on_failed(self, error):
        self.connection.close()
        return self.end(END_CLIENT_GONE if self.is_client else END_UPSTREAM_CLOSED)

    def on_blocked(self):
        if self.other is not None:
            self.other.stop()
        return 0

    def on_drained(self):
        if self.other is not None:
            self.other.go()
        return 0

    def on_deadline(self):
        """Idle for too long; or the tunnel has ended and its last bytes are not taken."""
        if self.exchange is None:
            return self.connection.close()
        return self.end(END_CLIENT_TIMEOUT)

    def on_closed(self):
        return self.before.on_closed()

    def end(self, ending):
        """The one end of a tunnel: both connections close once their output is out, and the line is written."""
        x: Exchange = self.exchange
        if x is None:
            return 0
        x.record.ending = ending
        self.services.tunnels -= 1
        self.other.other = None
        self.other = None
        x.drop_upstream(False)
        return x.finish()

    def leads(self):
        """The client's; or the origin's, where the client has only a stream."""
        return self.is_client or (self.other is not None and self.other.takes_raw() is None)

    def may_be_ended(self):
        return self.exchange is not None and not self.other.leaving

    def end_for_drain(self):
        """The time that a draining worker gives its tunnels is over.

        RFC 6455 5.4: a Close frame stands between two frames. How far the client has come with its own stops nobody.
        """
        origin: TunnelEnd = self.other if self.is_client else self
        client: TunnelEnd = origin.other
        if not (origin.track.lost or between_frames(cython.address(origin.track))):
            origin.leaving = True
            return 0
        client.say_close(WS_SERVICE_RESTART)
        origin.say_close(WS_GOING_AWAY)
        return self.end(END_DRAIN_DEADLINE)

    def say_close(self, code):
        """A Close frame behind what this peer got so far, where its frames are known and none has ended them."""
        at: cython.longlong
        sender: TunnelEnd = self.other
        if between_frames(cython.address(sender.track)) and not sender.track.closed:
            at = self.connection.host.turn_memory(WS_CLOSE_BYTES)
            self.put(at, put_close(self.services.arena.view, at, code, not self.is_client) - at)
            self.told = True
        return 0

    # ---- what the exchange says

    def cut(self):
        return self.left()

    def left(self):
        self.exchange = None
        if self.connection.fd < 0:
            return 0
        self.connection.sink = None
        if self.told:  # RFC 6455 7.1.1: the peer answers with its own, then we close
            self.connection.set_deadline(FAREWELL_MS)
            self.connection.finish_sending()
            return self.connection.resume()
        self.connection.set_deadline(self.services.settings.send_ms)
        return self.connection.finish()
