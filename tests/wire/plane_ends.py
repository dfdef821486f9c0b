"""The two ends of a plane under test: scripted sockets that send when told and remember all that came."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class End:
    """One socket, not blocking. `ended`: how the other side ended it ("", "fin" or "reset")."""

    socket: socket.socket
    got: bytearray = field(default_factory=bytearray)
    ended: str = ""
    reading: bool = True
    unsent: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.socket.setblocking(False)
        if self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> End:
        """Send now what the kernel takes; move() sends the rest."""
        self.unsent += data
        self.move()
        return self

    def move(self) -> bool:
        """Send and receive what is possible; whether anything moved."""
        moved = False
        while self.unsent and self.socket.fileno() >= 0:
            try:
                sent = self.socket.send(self.unsent)
            except BlockingIOError:
                break
            except OSError:
                self.unsent.clear()
                break
            del self.unsent[:sent]
            moved = True
        while self.reading and not self.ended and self.socket.fileno() >= 0:
            try:
                data = self.socket.recv(262144)
            except BlockingIOError:
                break
            except OSError:
                self.ended = "reset"
                return True
            moved = True
            if not data:
                self.ended = "fin"
            self.got += data
        return moved

    def take(self) -> bytes:
        """What came so far; it is forgotten."""
        data = bytes(self.got)
        self.got.clear()
        return data

    def half_close(self) -> None:
        """Send no more."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close in good order."""
        self.socket.close()

    def reset(self) -> None:
        """Close so that the plane sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def move_all(movable: Iterable[Any]) -> bool:
    """Let everyone move; whether anyone did."""
    return True in [one.move() for one in movable]


class Origin:
    """A listening socket and the connections that the plane made to it."""

    def __init__(self, *, backlog: int = 128, listening: bool = True) -> None:
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.ends: list[End] = []
        self.receive_buffer = 0
        self.accepting = True
        self.listening = listening
        if listening:
            self.socket.listen(backlog)
        self.socket.setblocking(False)

    def move(self) -> bool:
        """Accept, send and receive what is possible."""
        moved = False
        while self.listening and self.accepting:
            try:
                taken, _ = self.socket.accept()
            except BlockingIOError:
                break
            moved = True
            self.ends.append(self.wrap(taken))
        return move_all(self.ends) or moved

    def wrap(self, taken: socket.socket) -> End:
        """Our end of a connection that was accepted."""
        return End(taken)

    def heads(self) -> int:
        """How many request heads all connections have got."""
        return sum(bytes(end.got).count(b" HTTP/1.1\r\n") for end in self.ends)

    def close(self) -> None:
        self.listening = False
        self.socket.close()
        for end in self.ends:
            end.close()


@dataclass
class Message:
    """One response, or one request as an origin got it, read by a small reader of our own."""

    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: bytes = b""
    whole: bool = False

    @property
    def status(self) -> int:
        return int(self.line.split(b" ")[1])

    def get(self, name: bytes) -> bytes | None:
        """The only value of that name; two fields of one name fail the test."""
        values = self.getlist(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def getlist(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field.lower() == name.lower()]


def read_head(data: bytes) -> tuple[Message, bytes] | None:
    """A head, and what follows it."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    lines = head.split(b"\r\n")
    assert b"\n" not in head.replace(b"\r\n", b""), head
    pairs = []
    for line in lines[1:]:
        match = re.fullmatch(rb"([!-9;-~]+):[ \t]*(.*?)[ \t]*", line, re.DOTALL)
        assert match is not None, line
        pairs.append((match[1], match[2]))
    return Message(lines[0], pairs), rest


def read_messages(data: bytes, *, heads_only: Any = (), closed: bool = False) -> list[Message]:
    """All messages in these bytes. `heads_only`: indices without a body (HEAD); 1xx count like the others."""
    found: list[Message] = []
    while data:
        split = read_head(data)
        if split is None:
            found.append(Message(data, []))
            break
        message, data = split
        found.append(message)
        data = read_body(message, data, len(found) - 1 in heads_only, closed)
        if not message.whole:
            break
    return found


def read_body(message: Message, data: bytes, head_only: bool, closed: bool) -> bytes:
    """Take the body that the message's fields announce; returns what is behind it."""
    is_response = message.line.startswith(b"HTTP/")
    length, coding = message.get(b"Content-Length"), message.get(b"Transfer-Encoding")
    assert length is None or coding is None, message.fields
    bodiless = is_response and (message.status < 200 or message.status in (204, 304))
    if head_only or bodiless:
        message.whole = True
        return data
    if coding is not None:
        assert coding == b"chunked"
        return read_chunks(message, data)
    if length is not None:
        assert length.isdigit()
        message.body = data[: int(length)]
        message.whole = len(message.body) == int(length)
        return data[int(length) :]
    if is_response:
        message.body = data
        message.whole = closed
        return b""
    message.whole = True
    return data


def read_chunks(message: Message, data: bytes) -> bytes:
    """A chunked body; returns what is behind it."""
    while True:
        line, end, rest = data.partition(b"\r\n")
        if not end:
            return b""
        assert re.fullmatch(rb"[0-9a-fA-F]+", line), line
        size = int(line, 16)
        if size == 0:
            break
        message.body += rest[:size]
        if len(rest) < size + 2:
            return b""
        assert rest[size : size + 2] == b"\r\n"
        data = rest[size + 2 :]
    if rest.startswith(b"\r\n"):
        message.whole = True
        return rest[2:]
    trailers, end, rest = rest.partition(b"\r\n\r\n")
    if end:
        message.trailers = trailers + b"\r\n"
        message.whole = True
    return rest
