"""A client of HTTP/1.1 (h11) and HTTP/2 (h2), plain or over TLS, that reads while it sends and remembers all it saw."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import h11

Fields = list[tuple[bytes, bytes]]
PIECE_BYTES = 16384
HEAD_BYTES = 1 << 20
SECONDS = 60


@dataclass(frozen=True)
class Request:
    """What is asked. `sized`: the body has a Content-Length; `waits`: for 100 (Continue)."""

    path: str
    method: str = "GET"
    body: bytes | None = None
    fields: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    sized: bool = True
    waits: bool = False

    def lines(self) -> list[tuple[str, str]]:
        """The fields that are sent besides those which name the target."""
        lines = list(self.fields)
        if self.waits:
            lines.append(("expect", "100-continue"))
        if self.body is not None and self.sized:
            lines.append(("content-length", str(len(self.body))))
        return lines


@dataclass
class Answer:
    """What came. `whole`: it ended as it should; `problem`: how it did not."""

    status: int = 0
    fields: Fields = field(default_factory=list)
    informational: list[tuple[int, Fields]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: Fields = field(default_factory=list)
    whole: bool = False
    problem: str = ""

    def get(self, name: bytes) -> bytes | None:
        values = [value for field, value in self.fields if field.lower() == name]
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def all(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field.lower() == name]

    def learn(self, status: int, fields: Iterable[tuple[bytes, bytes]]) -> None:
        self.status, self.fields = status, [(bytes(n), bytes(v)) for n, v in fields]


class H1Talk:
    """One exchange on one connection."""

    def __init__(self, request: Request) -> None:
        self.h1 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self.answer = Answer()
        self.request = request
        lines = [("Host", "a.test"), *request.lines()]
        if request.body is not None and not request.sized:
            lines.append(("Transfer-Encoding", "chunked"))
        self.unsent = self.h1.send(
            h11.Request(method=request.method, target=request.path, headers=lines)
        )
        self.body = request.body or b""
        self.ready, self.at, self.ended = not request.waits, 0, False

    def wants_to_send(self) -> bytes:
        if not self.unsent and self.ready and not self.ended:
            if self.at < len(self.body):
                piece = self.body[self.at : self.at + PIECE_BYTES]
                self.unsent = self.h1.send(h11.Data(data=piece)) or b""
                self.at += len(piece)
            else:
                self.ended = True
                trailers = list(self.request.trailers)
                self.unsent = self.h1.send(h11.EndOfMessage(headers=trailers)) or b""
        return self.unsent or b""

    def sent(self, count: int) -> None:
        self.unsent = (self.unsent or b"")[count:]

    def receive(self, data: bytes) -> None:
        self.h1.receive_data(data)
        while not self.answer.whole:
            match event := self.h1.next_event():
                case h11.InformationalResponse():
                    self.answer.informational.append((event.status_code, list(event.headers)))
                    self.ready = self.ready or event.status_code == 100
                case h11.Response():
                    self.answer.learn(event.status_code, event.headers)
                    self.ready = True
                case h11.Data():
                    self.answer.body += event.data
                case h11.EndOfMessage():
                    self.answer.trailers = list(event.headers)
                    self.answer.whole = True
                case _:
                    return


class H2Talk:
    """One exchange on stream 1 of a new connection."""

    def __init__(self, request: Request, scheme: str) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_BYTES,
            },
        )
        self.h2.max_inbound_frame_size = 1 << 14
        self.h2.initiate_connection()
        self.answer = Answer()
        self.request = request
        head = [
            (":method", request.method),
            (":scheme", scheme),
            (":authority", "a.test"),
            (":path", request.path),
        ]
        alone = request.body is None and not request.trailers
        self.h2.send_headers(1, [*head, *request.lines()], end_stream=alone)
        self.body = request.body or b""
        self.ready, self.at, self.ended = not request.waits, 0, alone
        self.unsent = b""

    def wants_to_send(self) -> bytes:
        if not self.unsent and self.ready and not self.ended:
            self.send_piece()
        self.unsent += self.h2.data_to_send()
        return self.unsent

    def send_piece(self) -> None:
        left = len(self.body) - self.at
        room = min(self.h2.local_flow_control_window(1), PIECE_BYTES)
        if left and room <= 0:
            return
        size = min(left, room)
        last = size == left
        if size or not self.request.trailers:
            piece = self.body[self.at : self.at + size]
            self.h2.send_data(1, piece, end_stream=last and not self.request.trailers)
        self.at += size
        if last and self.request.trailers:
            self.h2.send_headers(1, list(self.request.trailers), end_stream=True)
        self.ended = last

    def sent(self, count: int) -> None:
        self.unsent = self.unsent[count:]

    def receive(self, data: bytes) -> None:
        if not data and not self.answer.whole:
            raise EOFError("the connection ended")
        for event in self.h2.receive_data(data):
            self.note(event)

    def note(self, event: Any) -> None:
        match event:
            case h2.events.InformationalResponseReceived():
                status = int(dict(event.headers)[b":status"])
                self.answer.informational.append((status, list(event.headers)))
                self.ready = self.ready or status == 100
            case h2.events.ResponseReceived():
                self.answer.learn(int(dict(event.headers)[b":status"]), event.headers)
                self.ready = True
            case h2.events.DataReceived():
                self.answer.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, 1)
            case h2.events.TrailersReceived():
                self.answer.trailers = [(bytes(n), bytes(v)) for n, v in event.headers]
            case h2.events.StreamEnded():
                self.answer.whole = True
            case h2.events.StreamReset() if not self.answer.whole:
                raise ConnectionResetError(f"stream reset: {event.error_code}")
            case _:
                pass


@dataclass(frozen=True)
class Door:
    """Where a client goes in, and how."""

    port: int
    http2: bool
    tls: ssl.SSLContext | None = None

    def connect(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is not None:
            wrapped = self.tls.wrap_socket(
                sock, server_hostname="localhost", suppress_ragged_eofs=False
            )
            assert wrapped.selected_alpn_protocol() == ("h2" if self.http2 else "http/1.1")
            sock = wrapped
        sock.setblocking(False)
        return sock

    def talk(self, request: Request) -> H1Talk | H2Talk:
        scheme = "http" if self.tls is None else "https"
        return H2Talk(request, scheme) if self.http2 else H1Talk(request)

    def break_off(self, request: Request, wait: Callable[[], object]) -> None:
        """Send half of the body, wait, and leave: HTTP/2 over TLS by RST_STREAM, the others without a word."""
        talk = self.talk(request)
        deadline = time.monotonic() + SECONDS
        with self.connect() as sock:
            while talk.at < len(talk.body) // 2:
                assert time.monotonic() < deadline, "half of the body does not go"
                move(sock, talk)
            wait()
            if isinstance(talk, H2Talk) and self.tls is not None:
                talk.h2.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
                talk.ended = True
                while talk.wants_to_send():
                    move(sock, talk)

    def ask(self, request: Request) -> Answer:
        """One exchange on a connection of its own; never raises for what the other side does."""
        talk = self.talk(request)
        deadline = time.monotonic() + SECONDS
        with self.connect() as sock:
            try:
                while not talk.answer.whole:
                    assert time.monotonic() < deadline, f"no answer in {SECONDS} s: {request.path}"
                    move(sock, talk)
            except (OSError, EOFError, h11.RemoteProtocolError) as error:
                talk.answer.problem = f"{type(error).__name__}: {error}"
            except h2.exceptions.ProtocolError as error:
                talk.answer.problem = f"the h2 library refuses what came: {error!r}"
        return talk.answer


def move(sock: socket.socket, talk: H1Talk | H2Talk) -> None:
    """Send what goes, take what is there; wait where there is nothing to do."""
    moved = False
    data = talk.wants_to_send()
    if data:
        try:
            talk.sent(sock.send(data))
            moved = True
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            talk.sent(len(data))  # an answer may have come before
    try:
        talk.receive(sock.recv(1 << 18))
        moved = True
    except (BlockingIOError, ssl.SSLWantReadError):
        pass
    if not moved:
        select.select([sock], [sock] if data else [], [], 1)
