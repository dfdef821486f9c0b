"""An HTTP/2 client on the `h2` library, for tests of the plane: requests with bodies, answers by stream, raw frames."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings

from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame, right or wrong."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def frames_of(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of every whole frame."""
    found = []
    while len(data) >= 9:
        size = int.from_bytes(data[:3], "big")
        kind, flags, stream = struct.unpack("!BBI", data[3:9])
        if len(data) < 9 + size:
            break
        found.append((kind, flags, stream, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


@dataclass
class Answer:
    """What came on one stream."""

    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    informational: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    whole: bool = False
    reset: int | None = None
    frames: int = 0  # of DATA

    @property
    def status(self) -> int:
        return int(dict(self.fields)[b":status"])

    def get(self, name: bytes) -> bytes | None:
        values = [value for field, value in self.fields if field == name]
        assert len(values) < 2, (name, values)
        return values[0] if values else None


class H2Client:
    """One connection of a client to the rig's plane; `window`: what each stream may send before we say so."""

    def __init__(
        self,
        rig: Rig,
        *,
        window: int = 65535,
        connection_window: int = 0,
        receive_buffer: int = 0,
        credit: bool = True,
        start: bool = True,
    ) -> None:
        self.rig = rig
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.end: End = rig.client(receive_buffer=receive_buffer)
        self.answers: dict[int, Answer] = {}
        self.goaways: list[tuple[int, int]] = []  # error code, last stream
        self.pings: list[bytes] = []  # answers to ours
        self.asked = 0  # PINGs of the plane
        self.credit = credit
        self.next_stream = 1
        self.seen = 0
        if start:
            self.h2.local_settings = h2.settings.Settings(
                client=True,
                initial_values={
                    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
                    h2.settings.SettingCodes.ENABLE_PUSH: 0,
                },
            )
            self.h2.initiate_connection()
            if connection_window:
                self.h2.increment_flow_control_window(connection_window)
            self.flush()

    # ---- out

    def flush(self) -> None:
        self.end.send(self.h2.data_to_send())

    def raw(self, data: bytes) -> None:
        """Bytes of the test's own."""
        self.flush()
        self.end.send(data)

    def request(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        fields: Any = (),
        body: bytes | None = None,
        ends: bool = True,
        trailers: Any = None,
    ) -> int:
        """Send a request; returns its stream. A body goes as far as the windows let it: see send()."""
        stream = self.next_stream
        self.next_stream += 2
        head = [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)]
        self.h2.send_headers(
            stream, [*head, *fields], end_stream=body is None and ends and not trailers
        )
        self.answers[stream] = Answer()
        if body is not None:
            self.send(stream, body, ends=ends and trailers is None)
        if trailers is not None:
            self.h2.send_headers(stream, list(trailers), end_stream=True)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, ends: bool = False) -> None:
        """Body bytes, moving on while the windows are shut."""
        while True:
            room = min(self.h2.local_flow_control_window(stream), 16384)
            part, data = data[:room], data[room:]
            if part or not data:
                self.h2.send_data(stream, part, end_stream=ends and not data)
            self.flush()
            if not data:
                return
            if room <= 0:
                self.rig.until(
                    lambda: self.take() and self.h2.local_flow_control_window(stream) > 0
                )

    # ---- in

    def take(self) -> bool:
        """Look at what has come."""
        data = self.end.take()
        if data:
            self.seen += len(data)
            for event in self.h2.receive_data(data):
                self.note(event)
            self.flush()
        return True

    def note(self, event: Any) -> None:
        stream = getattr(event, "stream_id", None)
        answer = self.answers.setdefault(stream, Answer()) if stream else Answer()
        if isinstance(event, h2.events.InformationalResponseReceived):
            answer.informational.append(list(event.headers))
        elif isinstance(event, h2.events.ResponseReceived):
            answer.fields = [(bytes(name), bytes(value)) for name, value in event.headers]
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            answer.frames += 1
            if self.credit and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            answer.whole = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = event.error_code
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append((event.error_code, event.last_stream_id))
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings.append(event.ping_data)
        elif isinstance(event, h2.events.PingReceived):
            self.asked += 1

    def answer(self, stream: int) -> Answer:
        """The whole answer on this stream, or how it was reset."""
        self.rig.until(
            lambda: (
                self.take()
                and (self.answers[stream].whole or self.answers[stream].reset is not None)
            )
        )
        return self.answers[stream]

    def get(self, path: str = "/", **how: Any) -> Answer:
        return self.answer(self.request(path, **how))

    def goaway(self) -> tuple[int, int]:
        """The last GOAWAY: error code and last stream."""
        self.rig.until(lambda: self.take() and self.goaways)
        return self.goaways[-1]
