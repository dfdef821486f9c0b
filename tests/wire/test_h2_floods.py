"""HTTP/2 clients that wear us out: floods, resets, windows that stay shut; all is bounded, all others are served."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from tests.wire.h2_client import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    RST,
    SETTINGS,
    WINDOW,
    frame,
)
from tests.wire.h2_raw import (
    CALM,
    CANCEL,
    HELLO,
    LOCAL,
    MEMORY_BYTES,
    NO_ERROR,
    PROXIED,
    begin,
    block,
    goaway,
    request,
    reset,
    served,
)
from tests.wire.plane_rig import Rig

# ---- floods


def flood(rig: Rig, data: bytes, times: int, error: int = CALM, first: bytes = b"") -> None:
    """Send this until the connection is ended; nobody else notices, and no memory stays."""
    client = begin(rig)
    client.send(first)
    most = 0
    for n in range(times):
        client.send(data)
        if n % 50 == 0:
            rig.move()
            most = max(most, rig.plane.stats()["arena_used_bytes"] - rig.baseline)
            served(rig) if n % 500 == 0 else None
        if client.ended:
            break
    assert goaway(rig, client) == error
    assert most < MEMORY_BYTES
    served(rig)


FLOODS = {
    "pings": frame(PING, 0, 0, bytes(8)),
    "settings": frame(SETTINGS, 0, 0),
    "settings with values": frame(SETTINGS, 0, 0, b"\0\4\0\0\x80\0" * 100),
    "windows": frame(WINDOW, 0, 0, b"\0\0\0\1"),
    "priorities": frame(PRIORITY, 0, 1, bytes(4) + b"\x10"),
    "unknown frames": frame(77, 0, 0, b"abc"),
    "empty data": frame(DATA, 0, 1),
    "padded nothing": frame(DATA, PADDED, 1, b"\x03abc"),
    "empty continuations": frame(CONTINUATION, 0, 3),
}


@pytest.mark.parametrize("name", list(FLOODS))
def test_a_flood(plane: Rig, name: str) -> None:
    first = request(1, PROXIED, 0)
    if name == "empty continuations":
        first += frame(HEADERS, END_STREAM, 3, b"\x82")
    flood(plane, FLOODS[name], 20000, first=first)


def test_continuations_without_end(plane: Rig) -> None:
    first = frame(HEADERS, END_STREAM, 1, b"\x82")
    flood(plane, frame(CONTINUATION, 0, 1, b"\0\1a\1b" * 100), 20000, first=first)


def test_a_field_block_is_not_kept_beyond_what_a_head_may_have(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(head_bytes=1024, header_ms=120000)
    client = begin(rig)
    client.send(frame(HEADERS, END_STREAM, 1, b"\0\1a\1b" * 3000))
    rig.settle()
    assert not client.ended
    client.send(frame(CONTINUATION, 0, 1, b"\0\1a\1b" * 2000))
    assert goaway(rig, client) == CALM


def test_a_field_block_that_unpacks_to_much(plane: Rig) -> None:
    """An HPACK bomb: one entry of 4 KB, named again by one octet each."""
    large = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000  # a literal of 4,000 octets, to be indexed
    client = begin(plane)
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, large + b"\xbe" * 10000))
    assert goaway(plane, client) == CALM
    served(plane)


def test_rapid_reset(plane: Rig) -> None:
    client = begin(plane)
    stream = 1
    most = 0
    while not client.ended and stream < 20000:
        client.send(request(stream, PROXIED) + frame(RST, 0, stream, b"\0\0\0\x08"))
        stream += 2
        if stream % 101 == 0:
            plane.move()
            most = max(most, plane.plane.stats()["upstream_opened"])
    assert goaway(plane, client) == CALM
    assert most < 300
    served(plane)


MADE = {
    "a window of 0": lambda stream: frame(WINDOW, 0, stream, bytes(4)),
    "a window that overflows": lambda stream: frame(WINDOW, 0, stream, b"\x7f\xff\xff\xff"),
    "data behind the end": lambda stream: frame(DATA, 0, stream, b"x"),
    "a priority of another size": lambda stream: frame(PRIORITY, 0, stream, bytes(4)),
}


@pytest.mark.parametrize("name", list(MADE))
def test_made_you_reset(plane: Rig, name: str) -> None:
    """CVE-2025-8671: the client has us reset what it asked for, and asks again."""
    client = begin(plane)
    stream = 1
    while not client.ended and stream < 20000:
        client.send(request(stream, PROXIED) + MADE[name](stream))
        stream += 2
        if stream % 101 == 0:
            plane.move()
    assert goaway(plane, client) == CALM
    assert plane.plane.stats()["upstream_opened"] < 300
    served(plane)


def test_ten_thousand_streams(plane: Rig) -> None:
    client = begin(plane)
    for n in range(10000):
        client.send(request(2 * n + 1, PROXIED))
        if n % 100 == 0:
            plane.move()
        if client.ended:
            break
    assert goaway(plane, client) == CALM
    assert plane.plane.stats()["upstream_opened"] <= 100
    served(plane)


def test_answers_that_are_not_read(make_rig: Callable[..., Rig]) -> None:
    """Heads need no window: who asks on and on and reads nothing is not looked at any more."""
    head = b"X-Long: " + b"y" * 3000 + b"\r\n"
    local = {"reply_kind": 1, "reply_status": 200, "reply_head": head, "reply_body": b"here"}
    rig = make_rig(send_ms=2000, built_in=[(b"/local", local)])
    client = rig.client(HELLO, receive_buffer=4096)
    client.reading = False
    large = block([*LOCAL, ("x", "y" * 4000)])
    for n in range(20000):
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, large))
        rig.move()
        if len(client.unsent) > 200000:
            break
    assert len(client.unsent) > 200000, client.ended
    assert rig.plane.stats()["arena_used_bytes"] - rig.baseline < MEMORY_BYTES
    served(rig)
    rig.until(lambda: rig.plane.stats()["clients"] == 1)


def test_a_window_that_stays_shut(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(send_ms=300)
    client = rig.client(PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0"))
    client.send(request(1, PROXIED))
    origin = rig.origin().send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100000))
    assert reset(rig, client, 1) == CANCEL
    rig.ended(origin)
    assert rig.lines(1)[0].ending == "client_gone"
    # a window that opens by an octet now and then is no better
    client.send(request(3, PROXIED))
    origin = rig.origin(1).send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + bytes(100000)
    )
    for _ in range(40):
        client.send(frame(WINDOW, 0, 3, b"\0\0\0\1"))
        rig.settle(0.02)
        if origin.ended:
            break
    assert reset(rig, client, 3) == CANCEL
    served(rig)


def test_a_body_that_does_not_come(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(body_ms=200)
    client = begin(rig).send(request(1, PROXIED, 0))
    rig.origin()
    assert rig.lines(1)[0].status == 408
    assert reset(rig, client, 1) == NO_ERROR
    client.send(request(3, PROXIED, 0))
    rig.origin(1)
    for _ in range(40):
        client.send(frame(DATA, 0, 3, b"x"))
        rig.settle(0.02)
    assert [line.status for line in rig.lines(2)] == [408, 408]
    served(rig)


def test_a_field_block_that_does_not_end(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(header_ms=200)
    client = begin(rig).send(request(1, PROXIED, 0) + frame(HEADERS, END_STREAM, 3, b"\x82"))
    assert goaway(rig, client) == CALM
    served(rig)


def test_a_frame_that_does_not_end(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(idle_ms=200)
    client = begin(rig).send(struct.pack("!I", 100)[1:] + b"\1\5\0\0\0\1abc")
    assert goaway(rig, client) == NO_ERROR
    served(rig)


def test_many_half_open_connections(plane: Rig) -> None:
    clients = [plane.client(PREFACE[: n % 25]) for n in range(200)]
    plane.settle()
    assert plane.plane.stats()["arena_used_bytes"] - plane.baseline < 200 * 2048
    served(plane)
    for client in clients:
        client.close()
