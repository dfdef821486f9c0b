"""An HTTP/2 origin on the `h2` library: reads requests off the plane's connections, answers when the test says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig


@dataclass
class Asked:
    """One request as the origin got it."""

    stream: int
    fields: list[tuple[bytes, bytes]]
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    whole: bool = False
    reset: int | None = None

    def get(self, name: bytes) -> bytes | None:
        values = [value for field, value in self.fields if field == name]
        assert len(values) < 2, (name, values)
        return values[0] if values else None


class H2Link:
    """One connection that the plane made."""

    def __init__(self, end: End, settings: dict[Any, int]) -> None:
        self.end = end
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=settings)
        self.h2.initiate_connection()
        self.asked: dict[int, Asked] = {}
        self.left: int | None = None
        self.pings = 0
        self.credit = True
        self.flush()

    def flush(self) -> None:
        self.end.send(self.h2.data_to_send())

    def move(self) -> None:
        data = self.end.take()
        if data:
            for event in self.h2.receive_data(data):
                self.note(event)
            self.flush()

    def note(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                assert event.stream_id is not None
                self.asked[event.stream_id] = Asked(event.stream_id, list(event.headers))
            case h2.events.DataReceived():
                assert event.stream_id is not None
                self.asked[event.stream_id].body += event.data or b""
                if self.credit and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                assert event.stream_id is not None
                self.asked[event.stream_id].trailers = list(event.headers)
            case h2.events.StreamEnded():
                assert event.stream_id is not None
                self.asked[event.stream_id].whole = True
            case h2.events.StreamReset():
                assert event.stream_id is not None
                self.asked[event.stream_id].reset = event.error_code
            case h2.events.ConnectionTerminated():
                self.left = event.error_code
            case h2.events.PingReceived():
                self.pings += 1
            case _:
                pass


class H2Origin:
    """All connections to one origin of the rig, in the order in which they came."""

    def __init__(self, rig: Rig, number: int = 0, **settings: int) -> None:
        self.rig = rig
        self.origin = rig.origins[number]
        self.links: list[H2Link] = []
        self.settings = {h2.settings.SettingCodes[name.upper()]: v for name, v in settings.items()}

    def move(self) -> bool:
        for end in self.origin.ends[len(self.links) :]:
            self.links.append(H2Link(end, self.settings))
        for link in self.links:
            link.move()
        return True

    def until(self, wanted: Any) -> Any:
        return self.rig.until(lambda: self.move() and wanted())

    def request(self, number: int = 0, *, whole: bool = True) -> tuple[H2Link, Asked]:
        """The request of that number, over all connections; its end has come, too."""

        def found() -> Any:
            all_asked = [(link, asked) for link in self.links for asked in link.asked.values()]
            ready = [pair for pair in all_asked if pair[1].whole or not whole]
            return ready[number : number + 1]

        link, asked = self.until(found)[0]
        return link, asked

    def answer(
        self,
        link: H2Link,
        asked: Asked,
        body: bytes | None = b"ok",
        *,
        status: int = 200,
        fields: Any = (),
        trailers: Any = None,
        ends: bool = True,
    ) -> None:
        """A whole response, as far as the windows let it go at once or while everybody moves on."""
        head = [(":status", str(status)), *fields]
        link.h2.send_headers(asked.stream, head, end_stream=ends and body is None and not trailers)
        if body is not None:
            self.send(link, asked, body, ends=ends and not trailers)
        if trailers:
            link.h2.send_headers(asked.stream, list(trailers), end_stream=True)
        link.flush()

    def send(self, link: H2Link, asked: Asked, data: bytes, *, ends: bool = False) -> None:
        while True:
            room = min(link.h2.local_flow_control_window(asked.stream), 16384)
            part, data = data[:room], data[room:]
            if part or not data:
                link.h2.send_data(asked.stream, part, end_stream=ends and not data)
            link.flush()
            if not data:
                return
            if room <= 0:
                self.until(lambda: link.h2.local_flow_control_window(asked.stream) > 0)
