"""WebSocket over HTTP/2 (RFC 8441): a stream of the client as one end of a tunnel to an HTTP/1.1 origin.

The other end is a connection like that of any tunnel. Its timer is the tunnel's, since the client's connection
has many streams; what the stream's window does not let pass holds the origin.
"""

import base64
import hashlib
import os

import cython
from cython.cimports.worker.plane.exchange import Exchange
from cython.cimports.worker.plane.h2_downstream import ClientStream
from cython.cimports.worker.plane.h2_flow import drain_early, send_data
from cython.cimports.worker.plane.h2_frames import E_CANCEL
from cython.cimports.worker.plane.record import END_OK
from cython.cimports.worker.plane.tunnel import TunnelEnd

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
ACCEPT = b"sec-websocket-accept"


def upgrade_fields():
    key = base64.b64encode(os.urandom(16))
    answer = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    lines = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: %b\r\n\r\n" % key
    return lines, answer


def key_is_answered(x):
    """RFC 6455 4.1: who asked for the switch checks the answer; here it is us."""
    stream: ClientStream
    arena = x.services.arena
    i: cython.int
    if not isinstance(x.down, ClientStream):
        return True
    stream = x.down
    for i in range(x.response.count):
        if x.response.fields[i].name_size != len(ACCEPT):
            continue
        name: bytes = arena.take(x.response.start + x.response.fields[i].name, len(ACCEPT))
        if name.lower() == ACCEPT:
            value: bytes = arena.take(
                x.response.start + x.response.fields[i].value, x.response.fields[i].value_size
            )
            return value == stream.key_answer
    return False


def stream_end(side):
    end: StreamEnd
    if not isinstance(side, ClientStream):
        return None
    end = StreamEnd.__new__(StreamEnd)
    end.stream = side
    return end


@cython.cclass
class StreamEnd(TunnelEnd):
    """The client's end; the stream gives it what comes, and keeps what cannot go."""

    def take_over(self, side):
        self.before = side
        self.connection = side.connection
        self.stream.tunnel = self
        return 0

    def put(self, offset, size):
        return send_data(self.stream, offset, size, False)

    def put_end(self):
        return send_data(self.stream, 0, 0, True)

    def stop(self):
        self.stream.held = True
        return 0

    def go(self):
        self.stream.held = False
        return drain_early(self.stream)

    def is_stopped(self):
        return self.stream.sender_held

    def wait(self, after_ms):
        return self.other.connection.set_deadline(after_ms)

    def choose_sink(self):
        return 0

    def takes_raw(self):
        return None

    def left(self):
        """The tunnel has ended: well, with all that it had to say, or not."""
        x: Exchange = self.exchange
        self.exchange = None
        self.stream.exchange = None
        self.stream.tunnel = None
        if x is not None and (self.told or x.record.ending == END_OK):
            return send_data(self.stream, 0, 0, True)
        return self.stream.reset_stream(E_CANCEL)
