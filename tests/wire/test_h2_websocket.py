"""WebSocket over HTTP/2 by extended CONNECT (RFC 8441), to an origin of HTTP/1.1."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.wire.h2_client import END_STREAM, WINDOW, Answer, H2Client, frame, frames_of
from tests.wire.plane_ends import End, read_head
from tests.wire.plane_rig import Rig

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PONG = b"\x8a\x00"


def ask(client: H2Client, *more: tuple[str, str]) -> int:
    stream = client.next_stream
    client.next_stream += 2
    head = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/ws"),
    ]
    fields = [*head, (":authority", "a.test"), ("sec-websocket-version", "13"), *more]
    client.h2.send_headers(stream, fields)
    client.flush()
    client.answers[stream] = Answer()
    return stream


def agree(origin: End, *, key: bytes | None = None) -> bytes:
    """The origin's 101, for the key that it got."""
    split = read_head(bytes(origin.got))
    assert split is not None
    asked = split[0].get(b"sec-websocket-key")
    assert asked is not None
    accept = base64.b64encode(hashlib.sha1((key or asked) + GUID).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )


@pytest.fixture
def make_ws(make_rig: Callable[..., Rig]) -> Callable[..., Rig]:
    def make(**options: Any) -> Rig:
        return make_rig(
            route={"websocket": True, "tunnel_ms": 60000, **options.pop("route", {})}, **options
        )

    return make


def opened(rig: Rig) -> tuple[H2Client, int, End]:
    """A client, its stream, and the origin's end of the tunnel."""
    client = H2Client(rig)
    assert client.get("/local").status == 200
    stream = ask(client)
    origin = rig.origin()
    origin.send(agree(origin))
    rig.until(lambda: client.take() and client.answers[stream].fields)
    origin.take()
    return client, stream, origin


def test_a_tunnel_both_ways(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client = H2Client(rig)
    assert client.get("/local").status == 200
    assert client.h2.remote_settings[8] == 1
    stream = ask(client, ("sec-websocket-protocol", "chat"))
    origin = rig.origin()
    split = read_head(bytes(origin.got))
    assert split is not None
    asked = split[0]
    assert asked.line == b"GET /ws HTTP/1.1"
    assert (asked.get(b"upgrade"), asked.get(b"connection")) == (b"websocket", b"Upgrade")
    assert asked.get(b"content-length") is None
    assert asked.get(b"transfer-encoding") is None
    origin.send(agree(origin) + PONG)  # the fast-101 race
    answer = client.answers[stream]
    rig.until(lambda: client.take() and bytes(answer.body) == PONG)
    assert answer.status == 200
    assert answer.get(b"sec-websocket-protocol") == b"chat"
    assert answer.get(b"upgrade") is None
    assert rig.plane.stats()["tunnels"] == 1
    assert rig.plane.stats()["active"] == 0
    for size in (1, 1000, 70000, 400000):
        frame = b"\x82\xff" + size.to_bytes(8, "big") + bytes(4) + bytes(size)
        origin.take()
        client.send(stream, frame)
        rig.until(lambda sent=frame: client.take() and len(origin.got) == len(sent))
        assert bytes(origin.got) == frame
        answer.body.clear()
        origin.send(b"\x82\x7f" + size.to_bytes(8, "big") + bytes(size))
        rig.until(lambda n=size + 10: client.take() and len(answer.body) == n)
    assert client.get("/local").status == 200
    origin.half_close()
    rig.until(lambda: client.take() and answer.whole)
    client.send(stream, b"", ends=True)
    rig.ended(origin)
    assert rig.lines(3)[1].ending == "ok" or rig.lines(3)[2].ending == "ok"
    assert rig.plane.stats()["tunnels"] == 0


def test_a_client_that_resets_its_tunnel(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client, stream, origin = opened(rig)
    client.h2.reset_stream(stream, 8)
    client.flush()
    rig.ended(origin)
    assert client.get("/local").status == 200
    assert rig.plane.stats()["tunnels"] == 0


def test_an_origin_that_hangs_up(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client, stream, origin = opened(rig)
    origin.reset()
    answer = client.answer(stream)
    assert (answer.whole, answer.reset) == (False, 8)
    assert rig.plane.stats()["tunnels"] == 0


def test_a_connection_that_is_lost(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client, _, origin = opened(rig)
    client.end.close()
    rig.ended(origin)
    assert rig.plane.stats()["tunnels"] == 0


def test_a_slow_client_holds_the_origin(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client, stream, origin = opened(rig)
    client.credit = False
    size = 20 << 20
    origin.send(b"\x82\x7f" + size.to_bytes(8, "big") + bytes(size))
    rig.settle(0.1)
    client.take()
    assert rig.plane.stats()["arena_used_bytes"] - rig.baseline < 2 << 20
    assert len(origin.unsent) > 8 << 20
    got = len(client.answers[stream].body)
    client.credit = True
    client.h2.acknowledge_received_data(got, stream)
    client.flush()
    rig.until(lambda: client.take() and len(client.answers[stream].body) == size + 10)


def test_a_close_frame_waits_behind_what_no_window_lets_pass(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client, stream, origin = opened(rig)
    client.credit = False
    whole = b"\x82\x7f" + (70_000).to_bytes(8, "big") + bytes(70_000)
    origin.send(whole)
    rig.until(lambda: client.take() and len(client.answers[stream].body) > 65000)
    seen = len(client.answers[stream].body)
    rig.plane.drain(0)
    rig.plane.end_tunnels(1)
    rig.until(lambda: b"\x88" in origin.got)
    client.end.send(frame(WINDOW, 0, stream, (1 << 20).to_bytes(4, "big")))
    client.end.send(frame(WINDOW, 0, 0, (1 << 20).to_bytes(4, "big")))

    def sent() -> list[tuple[int, bytes]]:  # h2 itself looks at nothing behind a GOAWAY
        frames = frames_of(bytes(client.end.got))
        return [
            (flags, payload) for kind, flags, at, payload in frames if (kind, at) == (0, stream)
        ]

    rig.until(lambda: sent() and sent()[-1][0] & END_STREAM)
    rest = whole[seen:] + b"\x88\x02\x03\xf4"
    assert b"".join(payload for _, payload in sent()) == rest
    assert rig.events.faults == []


def test_an_idle_tunnel_ends(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws(route={"tunnel_ms": 200})
    client, stream, origin = opened(rig)
    assert client.answer(stream).reset == 8
    rig.ended(origin)


def test_a_drain_ends_it_with_a_close_frame(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client, stream, origin = opened(rig)
    rig.plane.drain(50)
    rig.settle(0.2)
    assert rig.plane.stats()["tunnels"] == 1
    rig.plane.end_tunnels(1)

    def sent() -> bytes:  # h2 itself looks at nothing behind a GOAWAY
        frames = frames_of(bytes(client.end.got))
        return b"".join(payload for kind, _, at, payload in frames if (kind, at) == (0, stream))

    rig.until(lambda: sent()[:4] == b"\x88\x02\x03\xf4")  # 1012, service restart
    rig.until(lambda: b"\x88" in origin.got)
    origin.close()
    rig.ended(client.end)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        None,
    ],
)
def test_an_origin_that_does_not_switch(make_ws: Callable[..., Rig], said: bytes | None) -> None:
    rig = make_ws()
    client = H2Client(rig)
    stream = ask(client)
    origin = rig.origin()
    origin.send(agree(origin, key=b"another") if said is None else said)
    answer = client.answer(stream)
    assert (answer.status, answer.whole) == (502, True)
    assert rig.plane.stats()["tunnels"] == 0


def test_an_error_of_the_origin_passes(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client = H2Client(rig)
    stream = ask(client)
    rig.origin().send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    answer = client.answer(stream)
    assert (answer.status, bytes(answer.body)) == (403, b"no")


def test_without_the_rule_it_is_not_offered(plane: Rig) -> None:
    client = H2Client(plane)
    assert client.get("/local").status == 200
    assert 8 not in client.h2.remote_settings or client.h2.remote_settings[8] == 0
    stream = ask(client)
    assert client.answer(stream).status == 405
    assert plane.origins[0].ends == []


def test_what_cannot_be_one(make_ws: Callable[..., Rig]) -> None:
    rig = make_ws()
    client = H2Client(rig)
    for field in (("sec-websocket-key", "x"), ("content-length", "3")):
        assert client.answer(ask(client, field)).status == 400
    assert rig.origins[0].ends == []
