"""Padding counts against both windows of HTTP/2 and is given back at once; what is over a window is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pingpy.phases import PHASES
from tests.wire.h2_client import DATA, PADDED, RST, SETTINGS, WINDOW, frame, frames_of
from tests.wire.h2_raw import FLOW, HELLO, PROXIED, begin, goaway, request, reset
from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig

POST = [(":method", "POST"), *PROXIED[1:]]
STREAM_WINDOW = 262144
MOSTLY_PADDING = b"\xff" + b"x" + bytes(255)


def padded(stream: int) -> bytes:
    """The largest frame, with as much padding as there can be."""
    return frame(DATA, PADDED, stream, b"\xff" + bytes(16383))


async def never(*_: Any) -> None:
    """A hook that does not come back: nothing is passed on, nothing opens a window."""


def holding(make_rig: Callable[..., Rig]) -> Rig:
    slots = {phase: never if phase == "request_filter" else None for phase in ["new_ctx", *PHASES]}
    rig = make_rig(hooks=SimpleNamespace(**slots))
    rig.plane.most_loans = 0
    return rig


def let_go(rig: Rig) -> None:
    for awaitable, _ in rig.events.parked:
        awaitable.close()


def test_a_streams_window_is_used_up_by_padding_too(make_rig: Callable[..., Rig]) -> None:
    rig = holding(make_rig)
    client = begin(rig).send(request(1, POST, 0) + 16 * padded(1))
    rig.settle()
    assert not [kind for kind, *_ in frames_of(bytes(client.got)) if kind == RST]
    client.send(frame(DATA, 0, 1, b"x"))
    assert reset(rig, client, 1) == FLOW
    let_go(rig)


def test_the_connections_window_is_used_up_by_padding_too(make_rig: Callable[..., Rig]) -> None:
    rig = holding(make_rig)
    client = begin(rig)
    for stream in (1, 3, 5, 7):
        client.send(request(stream, POST, 0) + 16 * padded(stream))
    rig.settle()
    assert not client.ended
    client.send(request(9, POST, 0) + frame(DATA, 0, 9, b"x"))
    assert goaway(rig, client) == FLOW
    let_go(rig)


def opened(client: End, stream: int) -> int:
    """By how much the plane has opened this window again."""
    return sum(
        int.from_bytes(payload, "big")
        for kind, _, number, payload in frames_of(bytes(client.got))
        if kind == WINDOW and number == stream
    )


def test_a_body_of_little_but_padding_arrives(plane: Rig) -> None:
    client = plane.client(HELLO + request(1, POST, 0))
    for number in range(2000):
        end = (number + 1) * len(MOSTLY_PADDING)
        plane.until(lambda end=end: end <= STREAM_WINDOW + opened(client, 1))
        client.send(frame(DATA, PADDED, 1, MOSTLY_PADDING))
    client.send(frame(DATA, 1, 1))
    assert plane.origin(wanted=b"\r\n0\r\n\r\n").got.count(b"x") >= 2000


def test_settings_that_open_a_streams_window_beyond_its_limit(plane: Rig) -> None:
    most, start = 0x7FFFFFFF, 65535
    client = begin(plane).send(request(1, POST, 0))
    client.send(frame(WINDOW, 0, 1, (most - start).to_bytes(4, "big")))
    plane.settle()
    assert not client.ended
    client.send(frame(SETTINGS, 0, 0, b"\0\4" + (start + 1).to_bytes(4, "big")))
    assert goaway(plane, client) == FLOW
