"""An origin of HTTP/1.1 (h11) and HTTP/2 (h2) on one port: echoes what it was sent, and misbehaves where the path asks.

Usage: protocol_origin.py CERTIFICATE KEY; prints the plain port and the TLS port, and serves until it is ended.

    /echo      the request's body and trailers; ?unsized leaves Content-Length out; x-got-length says what came
    /fields    the request's fields as JSON
    /stream    the body as it comes, piece by piece
    /long/N    N octets, without a length; /cookies, /large: many and long fields
    /hints     103 before 200          /status/N   an answer with this status
    /early     answers before the body has come, and reads no further
    /cut       half of a counted body, then the end of the connection; ?unsized: of a chunked one
    /reset     the same by RST (HTTP/2: RST_STREAM); ?first: before the head
    /of/NAME   what became of the last request whose target ended with NAME: begun, ended or gone
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import sys
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h11

Fields = list[tuple[bytes, bytes]]
PREFACE = b"PRI * HTTP/2.0\r\n"
HEAD_BYTES = 1 << 20
LARGE = b"v" * 7000
HALF = b"half of the body"
BECAME: dict[bytes, bytes] = {}  # of a query


@dataclass
class Ask:
    """A request as far as it has come."""

    stream: int
    method: bytes
    target: bytes
    fields: Fields
    body: bytearray = field(default_factory=bytearray)
    trailers: Fields = field(default_factory=list)

    @property
    def path(self) -> str:
        return urlsplit(self.target.decode()).path

    @property
    def query(self) -> bytes:
        return self.target.partition(b"?")[2]

    @property
    def unsized(self) -> bool:
        return self.target.endswith(b"?unsized")

    def get(self, name: bytes) -> bytes:
        return b", ".join(value for field, value in self.fields if field.lower() == name)


class Link(asyncio.Protocol):
    """A connection; which protocol it speaks decides what `head`, `data` and the rest write."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def abort(self) -> None:
        """End the connection by a reset."""
        sock: socket.socket = self.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def inform(self, ask: Ask, status: int, fields: Fields) -> None:
        raise NotImplementedError

    def head(self, ask: Ask, status: int, fields: Fields, length: int | None = None) -> None:
        raise NotImplementedError

    def data(self, ask: Ask, data: bytes) -> None:
        raise NotImplementedError

    def end(self, ask: Ask, trailers: Fields | None = None) -> None:
        raise NotImplementedError

    def stop(self, ask: Ask, *, reset: bool) -> None:
        raise NotImplementedError

    def ignore(self, ask: Ask) -> None:
        """The answer is out; the rest of the request is not wanted."""
        raise NotImplementedError

    def gone(self, ask: Ask | None) -> None:
        """No more of this request will come."""
        if ask is not None and BECAME[ask.query] == b"begun":
            BECAME[ask.query] = b"gone"

    # ---- what the paths mean

    def whole(self, ask: Ask, body: bytes, fields: Fields, status: int = 200) -> None:
        self.head(ask, status, fields, None if ask.unsized else len(body))
        if ask.method != b"HEAD":
            self.data(ask, body)
        self.end(ask)

    def begins(self, ask: Ask) -> None:
        """The head of a request is here."""
        BECAME[ask.query] = b"begun"
        match ask.path:
            case "/early":
                self.head(ask, 403, [(b"connection", b"close")] if ask.stream == 0 else [], 5)
                self.data(ask, b"early")
                self.end(ask)
                self.ignore(ask)
            case "/stream":
                self.head(ask, 200, [])
            case _ if ask.get(b"expect") == b"100-continue" and ask.path != "/refuse":
                self.inform(ask, 100, [])

    def goes_on(self, ask: Ask, data: bytes) -> None:
        if ask.path == "/stream":
            self.data(ask, data)
        else:
            ask.body += data

    def ends(self, ask: Ask) -> None:
        """All of it is here."""
        BECAME[ask.query] = b"ended"
        match ask.path.split("/")[1:]:
            case ["early"]:
                pass
            case ["stream"]:
                self.end(ask, ask.trailers)
            case ["echo"]:
                self.echo(ask)
            case ["fields"]:
                seen = [(n.decode(), v.decode("latin-1")) for n, v in ask.fields]
                self.whole(ask, json.dumps(seen).encode(), [])
            case ["long", size]:
                self.head(ask, 200, [])
                self.data(ask, bytes(range(256)) * (int(size) // 256))
                self.end(ask)
            case ["of", name]:
                self.whole(ask, BECAME.get(name.encode(), b"unknown"), [])
            case ["cookies"]:
                self.whole(ask, b"", [(b"set-cookie", b"c%d=v%d" % (n, n)) for n in range(40)])
            case ["large"]:
                self.whole(ask, b"", [(b"x-large-%d" % n, LARGE) for n in range(8)])
            case ["hints"]:
                self.inform(ask, 103, [(b"link", b"</style.css>; rel=preload")])
                self.whole(ask, b"after hints", [])
            case ["status", status]:
                self.head(ask, int(status), [(b"etag", b'"tag"')], None)
                self.end(ask)
            case ["cut" | "reset"]:
                self.misbehave(ask)
            case _:
                self.whole(ask, b"no such path", [], 404)

    def echo(self, ask: Ask) -> None:
        length = ask.get(b"content-length") or b"none"
        fields = [(b"x-got-length", length), (b"x-got-method", ask.method)]
        body = bytes(ask.body)
        if not ask.trailers:
            return self.whole(ask, body, fields)
        self.head(ask, 200, fields)
        self.data(ask, body)
        return self.end(ask, ask.trailers)

    def misbehave(self, ask: Ask) -> None:
        if ask.target.endswith(b"?first"):
            return self.stop(ask, reset=True)
        self.head(ask, 200, [], None if ask.unsized else 2 * len(HALF))
        self.data(ask, HALF)
        # The half shall have arrived before the end of it is heard of.
        reset = ask.path == "/reset"
        asyncio.get_running_loop().call_later(0.05, lambda: self.stop(ask, reset=reset))
        return None


class H1Link(Link):
    """HTTP/1.1: one request after the other."""

    def __init__(self) -> None:
        self.h1 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self.ask: Ask | None = None

    def connection_lost(self, error: Exception | None) -> None:
        self.gone(self.ask)

    def write(self, event: Any) -> None:
        self.transport.write(self.h1.send(event) or b"")

    def data_received(self, data: bytes) -> None:
        self.h1.receive_data(data)
        self.move()

    def move(self) -> None:
        try:
            while not self.transport.is_closing():
                match event := self.h1.next_event():
                    case h11.Request():
                        self.ask = Ask(0, event.method, event.target, list(event.headers))
                        self.begins(self.ask)
                    case h11.Data():
                        assert self.ask is not None
                        self.goes_on(self.ask, bytes(event.data))
                    case h11.EndOfMessage():
                        assert self.ask is not None
                        self.ask.trailers = list(event.headers)
                        self.ends(self.ask)
                    case _:
                        return
        except h11.RemoteProtocolError:
            self.transport.close()

    def inform(self, ask: Ask, status: int, fields: Fields) -> None:
        self.write(h11.InformationalResponse(status_code=status, headers=fields))

    def head(self, ask: Ask, status: int, fields: Fields, length: int | None = None) -> None:
        sized = [] if length is None else [(b"content-length", b"%d" % length)]
        self.write(h11.Response(status_code=status, headers=[*fields, *sized]))

    def data(self, ask: Ask, data: bytes) -> None:
        self.write(h11.Data(data=data))

    def end(self, ask: Ask, trailers: Fields | None = None) -> None:
        self.write(h11.EndOfMessage(headers=trailers or []))
        if self.h1.our_state is h11.DONE and self.h1.their_state is h11.DONE:
            self.h1.start_next_cycle()

    def stop(self, ask: Ask, *, reset: bool) -> None:
        self.abort() if reset else self.transport.close()

    def ignore(self, ask: Ask) -> None:
        """Read until the other side closes, as nginx does."""


@dataclass
class Outgoing:
    """What a stream still has to say."""

    data: bytearray = field(default_factory=bytearray)
    trailers: Fields | None = None
    ends: bool = False


class H2Link(Link):
    """HTTP/2: streams, and what their windows do not let pass yet."""

    def __init__(self) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.asks: dict[int, Ask] = {}
        self.outgoing: dict[int, Outgoing] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.h2.initiate_connection()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        for ask in self.asks.values():
            self.gone(ask)

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self.note(event)
        for stream in list(self.outgoing):
            self.pump(stream)
        self.flush()

    def note(self, event: h2.events.Event) -> None:
        stream: int = getattr(event, "stream_id", 0) or 0
        ask = self.asks.get(stream)
        match event:
            case h2.events.RequestReceived():
                pseudo = dict(event.headers)
                ask = Ask(stream, pseudo[b":method"], pseudo[b":path"], list(event.headers))
                self.asks[stream] = ask
                self.begins(ask)
            case h2.events.DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                if ask is not None:
                    self.goes_on(ask, event.data or b"")
            case h2.events.TrailersReceived() if ask is not None:
                ask.trailers = list(event.headers)
            case h2.events.StreamEnded() if ask is not None:
                self.ends(ask)
            case h2.events.StreamReset():
                self.gone(self.asks.pop(stream, None))
                self.outgoing.pop(stream, None)
            case _:
                pass

    def inform(self, ask: Ask, status: int, fields: Fields) -> None:
        self.h2.send_headers(ask.stream, [(b":status", b"%d" % status), *fields])

    def head(self, ask: Ask, status: int, fields: Fields, length: int | None = None) -> None:
        sized = [] if length is None else [(b"content-length", b"%d" % length)]
        self.h2.send_headers(ask.stream, [(b":status", b"%d" % status), *fields, *sized])
        self.outgoing[ask.stream] = Outgoing()

    def data(self, ask: Ask, data: bytes) -> None:
        if ask.stream in self.outgoing:
            self.outgoing[ask.stream].data += data
            self.pump(ask.stream)

    def end(self, ask: Ask, trailers: Fields | None = None) -> None:
        if ask.stream in self.outgoing:
            self.outgoing[ask.stream].ends = True
            self.outgoing[ask.stream].trailers = trailers
            self.pump(ask.stream)

    def pump(self, stream: int) -> None:
        out = self.outgoing[stream]
        while out.data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                return
            last = out.ends and not out.trailers and room >= len(out.data)
            self.h2.send_data(stream, bytes(out.data[:room]), end_stream=last)
            del out.data[:room]
            if last:
                del self.outgoing[stream]
                return
        if out.ends:
            if out.trailers:
                self.h2.send_headers(stream, out.trailers, end_stream=True)
            else:
                self.h2.end_stream(stream)
            del self.outgoing[stream]

    def stop(self, ask: Ask, *, reset: bool) -> None:
        if not reset:
            self.transport.close()
        elif ask.stream in self.asks:
            self.h2.reset_stream(ask.stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
            self.flush()

    def ignore(self, ask: Ask) -> None:
        """RFC 9113 8.1: reset with NO_ERROR once the answer is whole."""
        self.h2.reset_stream(ask.stream, h2.errors.ErrorCodes.NO_ERROR)
        del self.asks[ask.stream]


class Either(asyncio.Protocol):
    """A connection whose first octets tell what it speaks."""

    def __init__(self) -> None:
        self.first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.first += data
        if PREFACE.startswith(self.first):
            return
        link = H2Link() if self.first.startswith(PREFACE) else H1Link()
        self.transport.set_protocol(link)
        link.connection_made(self.transport)
        link.data_received(self.first)


async def main(certificate: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2", "http/1.1"])
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(Either, "127.0.0.1", 0)
    secure = await loop.create_server(Either, "127.0.0.1", 0, ssl=context)
    print(*[server.sockets[0].getsockname()[1] for server in (plain, secure)], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
