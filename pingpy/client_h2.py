"""HTTP/2 for the client: one request and its response, trailers included, on the h2 library, without I/O."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from h2.settings import SettingCodes, Settings

from pingpy.client import MAX_HEAD_BYTES, ClientResponse
from pingpy.errors import BadResponse, UpstreamClosed
from pingpy.http import Headers

# Frames after which an answer should have come; a peer that sends more is not answering.
MAX_EVENTS = 1000
# What may come beside the body: heads, padding, frames of the connection.
MORE_BYTES = 256 * 1024
FRAME_KIND_AT, SETTINGS_KIND = 3, b"\4"  # RFC 9113 3.4: a server's first frame is SETTINGS
OUR_SETTINGS = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES}


class Http2Engine:
    """One request on a connection of its own (RFC 9113): by prior knowledge, or after ALPN."""

    def __init__(
        self,
        method: str,
        target: str,
        authority: str,
        headers: Headers,
        body: bytes = b"",
        *,
        scheme: str = "http",
        max_body_bytes: int = 65536,
    ) -> None:
        self.response: ClientResponse | None = None
        pseudo = [
            (b":method", method.encode("ascii")),
            (b":scheme", scheme.encode("ascii")),
            (b":authority", authority.encode("ascii")),
            (b":path", target.encode("ascii")),
        ]
        self._fields = pseudo + [(name.lower(), value) for name, value in headers]
        self._request_body = body
        self._max_body_bytes = max_body_bytes
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        self._head: list[tuple[bytes, bytes]] | None = None
        self._trailers: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._events = self._received = 0
        self._first = b""

    def opening(self) -> bytes:
        """The preface, our settings, and the request; its body must fit the window that every peer begins with."""
        connection = self._connection
        connection.local_settings = Settings(client=True, initial_values=OUR_SETTINGS)
        connection.initiate_connection()
        connection.send_headers(1, self._fields, end_stream=not self._request_body)
        if self._request_body:
            connection.send_data(1, self._request_body, end_stream=True)
        return connection.data_to_send()

    def receive(self, data: bytes) -> bytes:
        """Take frames in; what is returned acknowledges settings, pings and windows."""
        if self.response is not None:
            return b""
        self._check(data)
        try:
            events = self._connection.receive_data(data)
            for event in events:
                self._take(event)
        except (h2.exceptions.H2Error, h2.exceptions.ProtocolError) as error:
            raise BadResponse(f"not an HTTP/2 response: {error}") from error
        self._events += len(events)
        return self._connection.data_to_send()

    def _check(self, data: bytes) -> None:
        """What the library does not look at: it would wait for all of a frame that an HTTP/1 status line announces."""
        self._first = (self._first + data)[: FRAME_KIND_AT + 1]
        if self._first[FRAME_KIND_AT:] not in (b"", SETTINGS_KIND):
            raise BadResponse("not an HTTP/2 response: it does not begin with SETTINGS")
        self._received += len(data)
        if self._events > MAX_EVENTS or self._received > self._max_body_bytes + MORE_BYTES:
            raise BadResponse(f"{self._events} frames, {self._received} bytes and no response")

    def end_of_input(self) -> None:
        """A stream ends by its own flag, never by the connection's close."""
        if self.response is None:
            raise UpstreamClosed("the connection closed before the response was complete")

    def _take(self, event: h2.events.Event) -> None:
        if self.response is not None:
            return
        match event:
            case h2.events.ResponseReceived():
                self._head = list(event.headers)
            case h2.events.DataReceived():
                self._body += event.data or b""
                self._connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
                if len(self._body) > self._max_body_bytes:
                    self._finish()
            case h2.events.TrailersReceived():
                self._trailers = list(event.headers or ())
            case h2.events.StreamEnded():
                self._finish()
            case h2.events.StreamReset():
                raise UpstreamClosed(f"the stream was reset: {_named(event.error_code)}")
            case h2.events.ConnectionTerminated():
                raise UpstreamClosed(f"the peer ended the connection: {_named(event.error_code)}")
            case _:
                pass

    def _finish(self) -> None:
        head = self._head or []
        status = dict(head).get(b":status", b"")
        if not status.isdigit():
            raise BadResponse("a response without a status")
        self.response = ClientResponse(
            int(status),
            Headers.from_wire([(name, value) for name, value in head if name[:1] != b":"]),
            self._body[: self._max_body_bytes],
            len(self._body) > self._max_body_bytes,
            Headers.from_wire(self._trailers),
        )


def _named(code: int | None) -> str:
    """The error code in the words of RFC 9113 section 7."""
    try:
        return h2.errors.ErrorCodes(code or 0).name
    except ValueError:
        return f"code {code}"
