"""Raw frames of an HTTP/2 client that breaks the rules, and what the plane says to them."""

from __future__ import annotations

import hpack

from tests.wire.h2_client import (
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    RST,
    SETTINGS,
    frame,
    frames_of,
)
from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig

NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL = range(9)
COMPRESSION, CALM = 9, 11
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HELLO = PREFACE + frame(SETTINGS, 0, 0)
LOCAL = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/local")]
PROXIED = [*LOCAL[:3], (":path", "/x")]
MEMORY_BYTES = 4 << 20


def block(fields: list[tuple[str, str]]) -> bytes:
    """A field block that leaves no trace in the dynamic table."""
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields])


def request(stream: int, fields: list[tuple[str, str]] = LOCAL, flags: int = END_STREAM) -> bytes:
    return frame(HEADERS, END_HEADERS | flags, stream, block(fields))


def begin(rig: Rig) -> End:
    return rig.client(HELLO)


def goaway(rig: Rig, client: End) -> int:
    """The error of the GOAWAY that ends this connection."""
    rig.ended(client)
    ends = [payload for kind, _, _, payload in frames_of(bytes(client.got)) if kind == GOAWAY]
    assert ends, bytes(client.got)
    return int.from_bytes(ends[-1][4:8], "big")


def reset(rig: Rig, client: End, stream: int) -> int:
    """The error that this stream is reset with; the connection lives on."""

    def found() -> list[bytes]:
        frames = frames_of(bytes(client.got))
        return [payload for kind, _, at, payload in frames if kind == RST and at == stream]

    rig.until(lambda: found() or client.ended)
    assert not client.ended
    return int.from_bytes(found()[0], "big")


def served(rig: Rig) -> None:
    """Somebody else is served."""
    other = rig.client(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    assert rig.response(other).status == 200
