"""The fault matrix's HTTP/2 client: frames by hand, because a client may still hear of its streams after a GOAWAY."""

from __future__ import annotations

import asyncio

from hpack import Decoder, Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
END_STREAM = ACK = 1
END_HEADERS = 4
WINDOW = (1 << 30).to_bytes(4, "big")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """RFC 9113 section 4.1."""
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


class Stream:
    """One request: its status once there is one, what has come of it, whether that is all."""

    def __init__(self) -> None:
        self.status, self.size, self.whole = b"", 0, False


class H2Connection:
    """Requests in rounds; `last` is what a GOAWAY has said of the highest stream that is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.encoder, self.decoder = Encoder(), Decoder()
        self.next, self.last = 1, (1 << 31) - 1
        self.leaving = False
        self.streams: dict[int, Stream] = {}
        settings = b"\0\4" + WINDOW  # SETTINGS_INITIAL_WINDOW_SIZE
        writer.write(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, WINDOW))

    def request(self, target: str) -> int:
        """Send a GET; its stream."""
        number, self.next = self.next, self.next + 2
        fields = {":method": "GET", ":path": target, ":scheme": "http", ":authority": "x.test"}
        block = self.encoder.encode(list(fields.items()))
        self.writer.write(frame(HEADERS, END_HEADERS | END_STREAM, number, block))
        self.streams[number] = Stream()
        return number

    async def settle(self) -> dict[int, Stream]:
        """Wait for all that was asked; those whose answer is owed, by number: a GOAWAY may except the last ones.

        Raises what the reader raises: the connection ended with streams open that it owes an answer.
        """
        while any(not s.whole for n, s in self.streams.items() if n <= self.last):
            await self.take_frame()
        answered = {n: s for n, s in self.streams.items() if n <= self.last}
        self.streams = {}
        return answered

    async def take_frame(self) -> None:
        head = await self.reader.readexactly(9)
        payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
        kind, flags, number = head[3], head[4], int.from_bytes(head[5:9], "big")
        stream = self.streams.get(number)
        if kind == SETTINGS and not flags & ACK:
            self.writer.write(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.writer.write(frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.leaving = True
            self.last = int.from_bytes(payload[:4], "big")
        elif kind == RST_STREAM and stream is not None:
            raise ConnectionError(f"stream {number} was reset: {payload.hex()}")
        elif kind == HEADERS and stream is not None:
            fields = dict(self.decoder.decode(payload, raw=True))
            stream.status = stream.status or fields.get(b":status", b"")
        elif kind == DATA and stream is not None:
            stream.size += len(payload)
        if kind in (HEADERS, DATA) and stream is not None and flags & END_STREAM:
            stream.whole = True

    def begun(self) -> bool:
        """Whether an answer that is owed has begun and is not whole."""
        return any(s.status and not s.whole for n, s in self.streams.items() if n <= self.last)
