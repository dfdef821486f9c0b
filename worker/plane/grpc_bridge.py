"""Lets browsers call gRPC: what is gRPC-Web towards the client is gRPC towards the origin, as the messages come.

A response goes through a side of its own, which stands before the one that knows the client; both protocols'
connections serve it alike. A request whose media type is not gRPC-Web's never meets any of this, whatever its route.
"""

import cython
from cython.cimports.worker.plane.exchange import Exchange, Side
from cython.cimports.worker.plane.grpc_web import (
    base64_in_begin,
    base64_is_whole,
    base64_out_begin,
    between_messages,
    decode_base64,
    encode_base64,
    follow_messages,
    messages_begin,
    put_trailer_frame,
)
from cython.cimports.worker.plane.h1_parse import F_CONTENT_TYPE, H_UPGRADE, M_POST, Head
from cython.cimports.worker.plane.h1_write import BODY_CHUNKED, BODY_NONE, Changes
from cython.cimports.worker.plane.record import (
    END_BAD_REQUEST,
    END_CLIENT_TIMEOUT,
    END_UPSTREAM_TIMEOUT,
)

from worker.plane.grpc_web import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    UNAVAILABLE,
    grpc_suffix,
    web_kind,
)

PIECE_BYTES = cython.declare(cython.longlong, 49152)  # that are encoded at once
# What the client is told when an answer that has begun cannot go on.
ENDINGS = {
    END_UPSTREAM_TIMEOUT: DEADLINE_EXCEEDED,
    END_CLIENT_TIMEOUT: DEADLINE_EXCEEDED,
    END_BAD_REQUEST: INTERNAL,
}


@cython.cfunc
def value_of(x: Exchange, head: cython.pointer(Head), index: cython.int) -> bytes:
    """The value of a field; b"" where there is none."""
    if index < 0:
        return b""
    return x.services.arena.take(
        head.start + head.fields[index].value, head.fields[index].value_size
    )


@cython.cfunc
@cython.exceptval(-2)
def index_of(x: Exchange, name: bytes) -> cython.int:
    """The first field of that name in the request, -1: there is none."""
    head: cython.pointer(Head) = cython.address(x.request)
    i: cython.int
    for i in range(head.count):
        if head.fields[i].name_size == len(name):
            found = x.services.arena.take(head.start + head.fields[i].name, len(name))
            if found.lower() == name:
                return i
    return -1


def bridge_web(x):
    head: cython.pointer(Head) = cython.address(x.request)
    side: WebSide
    if head.method != M_POST or head.flags & H_UPGRADE or x.bridge is not None:
        return 0
    kind = web_kind(value_of(x, head, head.first[F_CONTENT_TYPE]))
    if kind is None:
        return 0
    side = WebSide.__new__(WebSide)
    side.suffix, side.text_in = kind
    # PROTOCOL-WEB.md: the client may say what it wants; else it gets what it sent
    wanted = web_kind(value_of(x, head, index_of(x, b"accept")))
    side.text_out = side.text_in if wanted is None else wanted[1]
    base64_in_begin(cython.address(side.decoder))
    base64_out_begin(cython.address(side.encoder))
    messages_begin(cython.address(side.messages))
    if x.request_changes is None:
        x.request_changes = Changes()
    x.request_changes.set_field(b"content-type", b"application/grpc" + side.suffix)
    x.request_changes.remove_field(b"x-grpc-web")
    if x.line.body != BODY_NONE and not x.request_done:
        x.line.body = BODY_CHUNKED  # what Content-Length counts is not what is sent
    side.exchange = x
    side.down = x.down
    side.connection = x.down.connection
    x.down = x.bridge = side
    return 0


def decode_request(bridge, offset, size):
    side: WebSide = cython.cast(WebSide, bridge)
    if not side.text_in:
        return size
    return decode_base64(
        side.exchange.services.arena.view,
        offset,
        offset + size,
        offset,
        cython.address(side.decoder),
    )


def request_is_whole(bridge):
    return base64_is_whole(cython.address(cython.cast(WebSide, bridge).decoder))


@cython.cclass
class WebSide(Side):
    """The downstream side of a call of gRPC-Web."""

    def __repr__(self) -> str:
        return f"<WebSide text={bool(self.text_out)} of {self.down!r}>"

    def send_response(self, x, body, size, last):
        suffix = grpc_suffix(
            value_of(x, cython.address(x.response), x.response.first[F_CONTENT_TYPE])
        )
        if suffix is None:  # no answer of gRPC, and no business of ours
            return self.down.send_response(x, body, size, last)
        self.translates = True
        if x.response_changes is None:
            x.response_changes = Changes()
        x.response_changes.set_field(
            b"content-type",
            (b"application/grpc-web-text" if self.text_out else b"application/grpc-web")
            + (suffix or self.suffix),
        )
        x.response_changes.dropped.append(b"trailer")
        if last and size == 0:
            # gRPC's "Trailers-Only": the status is in the head already, and stays there
            return self.down.send_response(x, 0, 0, True)
        x.response_body = BODY_CHUNKED
        x.response_length = -1
        self.down.send_response(x, 0, 0, False)
        return self.send_body(x, body, size, last) if size or last else 0

    def send_body(self, x, offset, size, last):
        if not self.translates:
            return self.down.send_body(x, offset, size, last)
        follow_messages(x.services.arena.view, offset, offset + size, cython.address(self.messages))
        flush: cython.bint = last or between_messages(cython.address(self.messages))
        return self.send_octets(x, offset, size, last, flush)

    def send_octets(self, x, offset, size, last, flush):
        """As they are, or as base64; `flush`: the client can do something with all there is, so nothing waits."""
        end: cython.longlong = offset + size
        part: cython.longlong
        to: cython.longlong
        after: cython.longlong
        if not self.text_out:
            return self.down.send_body(x, offset, size, last)
        while True:
            part = min(end - offset, PIECE_BYTES)
            to = self.connection.host.turn_memory(4 * ((part + 2) // 3 + 1))
            after = encode_base64(
                x.services.arena.view,
                offset,
                offset + part,
                to,
                cython.address(self.encoder),
                flush and offset + part == end,
            )
            offset += part
            if after > to or (last and offset == end):
                self.down.send_body(x, to, after - to, last and offset == end)
            if offset == end or self.exchange is not x:
                return 0

    def send_trailers(self, x, offset, size):
        if not self.translates:
            return self.down.send_trailers(x, offset, size)
        return self.send_frame(x, offset, size)

    def send_frame(self, x, lines, size):
        """PROTOCOL-WEB.md: trailers are the last frame of the body."""
        frame: cython.longlong = self.connection.host.turn_memory(size + 5)
        end: cython.longlong = put_trailer_frame(x.services.arena.view, frame, lines, size)
        return self.send_octets(x, frame, end - frame, True, True)

    def send_informational(self, x):
        return self.down.send_informational(x)

    def send_reply(self, x, status, lines, body):
        return self.down.send_reply(x, status, lines, body)

    def hold(self):
        return self.down.hold()

    def go_on(self):
        return self.down.go_on()

    def cut(self):
        """Between two messages there is room for a status; within one, nothing but the end can be told."""
        x: Exchange = self.exchange
        lines: cython.longlong
        if not self.translates or not between_messages(cython.address(self.messages)):
            return self.down.cut()
        text: bytes = b"grpc-status: %d\r\ngrpc-message: the answer ended early\r\n" % ENDINGS.get(
            x.record.ending, UNAVAILABLE
        )
        lines = self.connection.host.turn_memory(len(text))
        x.services.arena.put(lines, text)
        return self.send_frame(x, lines, len(text))

    def left(self):
        down: Side = self.down
        self.exchange = None
        self.down = None
        return down.left()
