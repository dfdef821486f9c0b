"""A WebSocket client over one stream of HTTP/2 (RFC 8441): frames by `websockets`, streams by `h2`."""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import h2.events
from protocol_client import Door
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

SECONDS = 60
STREAM = 1


class H2WebSocket:
    """A connection with one tunnel. `status`: of extended CONNECT; `offered`: whether SETTINGS allow it."""

    def __init__(self, door: Door, path: str, *fields: tuple[str, str]) -> None:
        self.socket = door.connect()
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.frames = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
        self.status, self.fields = 0, {}  # type: int, dict[bytes, bytes]
        self.unsent, self.wire = b"", b""  # held up by a window, and by the kernel
        self.raw = b""  # the beginning of a frame
        self.got: list[Frame] = []
        self.settings_came = self.ended = False
        self.until(lambda: self.settings_came)
        self.offered = self.h2.remote_settings.get(8, 0) == 1  # type: ignore[call-overload]
        head = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http" if door.tls is None else "https"),
            (":authority", "a.test"),
            (":path", path),
            ("sec-websocket-version", "13"),
        ]
        self.h2.send_headers(STREAM, [*head, *fields])
        self.until(lambda: self.status)

    def __enter__(self) -> H2WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    # ---- what a test says and hears

    def send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.frames.send_text(message.encode())
        else:
            self.frames.send_binary(message)

    def receive(self) -> Any:
        """The next text or binary message, which came in one frame."""
        frame = self.frame(Opcode.TEXT, Opcode.BINARY)
        return bytes(frame.data).decode() if frame.opcode is Opcode.TEXT else bytes(frame.data)

    def frame(self, *wanted: Opcode) -> Frame:
        """The next frame of these kinds; others before it are dropped."""
        found = self.until(lambda: [frame for frame in self.got if frame.opcode in wanted])[0]
        del self.got[: self.got.index(found) + 1]
        return found

    def closed(self) -> tuple[int, str]:
        """Wait for the end of the stream; the code and reason of the Close frame that came, or 1006."""
        self.until(lambda: self.ended)
        close = self.frames.close_rcvd
        return (close.code, close.reason) if close else (1006, "")

    # ---- moving on

    def until(self, wanted: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + SECONDS
        while not (value := wanted()):
            assert time.monotonic() < deadline, "not in time"
            if not self.move():
                select.select([self.socket], [self.socket] if self.wire else [], [], 1)
        return value

    def move(self) -> bool:
        moved = self.write()
        try:
            data = self.socket.recv(1 << 18)
        except (BlockingIOError, ssl.SSLWantReadError):
            return moved
        self.ended = self.ended or not data
        self.raw += data
        while len(self.raw) >= 9 and len(self.raw) >= 9 + int.from_bytes(self.raw[:3], "big"):
            size = 9 + int.from_bytes(self.raw[:3], "big")
            frame, self.raw = self.raw[:size], self.raw[size:]
            for event in self.h2.receive_data(frame):
                self.note(event)
        return True

    def write(self) -> bool:
        self.unsent += b"".join(self.frames.data_to_send())
        room = min(self.h2.local_flow_control_window(STREAM), 16384) if self.status else 0
        while self.unsent and room > 0 and len(self.wire) < 1 << 20:
            self.h2.send_data(STREAM, self.unsent[:room])
            self.unsent = self.unsent[room:]
            self.wire += self.h2.data_to_send()
            room = min(self.h2.local_flow_control_window(STREAM), 16384)
        self.wire += self.h2.data_to_send()
        if not self.wire:
            return False
        try:
            self.wire = self.wire[self.socket.send(self.wire) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            return False
        return True

    def note(self, event: Any) -> None:
        match event:
            case h2.events.RemoteSettingsChanged():
                self.settings_came = True
            case h2.events.ResponseReceived():
                self.fields = {bytes(n): bytes(v) for n, v in event.headers}
                self.status = int(self.fields[b":status"])
            case h2.events.DataReceived():
                self.frames.receive_data(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, STREAM)
                self.got += [
                    frame for frame in self.frames.events_received() if isinstance(frame, Frame)
                ]
            case h2.events.ConnectionTerminated():
                # RFC 9113 6.8: streams go on behind a GOAWAY, which the library takes for the end.
                self.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
            case h2.events.StreamEnded() | h2.events.StreamReset():
                self.ended = True
            case _:
                pass
