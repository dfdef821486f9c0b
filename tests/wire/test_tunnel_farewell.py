"""How a draining worker takes its leave of WebSocket connections: a Close frame, and never inside another frame."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig
from tests.wire.test_tunnel import LONG, after_head, counted, open_one, run_beside, tunnels
from worker.plane.ws_frames import close_frame

__all__ = ["tunnels"]  # the fixture

RESTART = close_frame(1012, masked=False)
GOING_AWAY = close_frame(1001, masked=True)


def text(data: bytes, *, masked: bool) -> bytes:
    return Frame(Opcode.TEXT, data).serialize(mask=masked)


def asked(origin: End) -> bytes:
    """What came behind the request."""
    return bytes(origin.got).partition(b"\r\n\r\n")[2]


def test_both_ends_of_a_tunnel_at_rest_are_told(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    said = text(b"hello", masked=True)
    client.send(said)
    origin.send(text(b"welcome", masked=False))
    tunnels.until(lambda: asked(origin) and after_head(client))
    tunnels.plane.drain(0)
    tunnels.plane.end_tunnels(1)
    tunnels.until(lambda: client.ended and origin.ended)
    assert after_head(client) == text(b"welcome", masked=False) + RESTART
    assert asked(origin) == said + GOING_AWAY
    assert (client.ended, origin.ended) == ("fin", "fin")
    assert [line.ending for line in tunnels.lines(1)] == ["drain_deadline"]
    assert counted(tunnels) == 0


def test_a_frame_that_has_begun_is_finished_first(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    whole = text(bytes(300), masked=False)
    origin.send(whole[:100])
    tunnels.until(lambda: len(after_head(client)) == 100)
    tunnels.plane.drain(0)
    tunnels.plane.end_tunnels(1)
    tunnels.settle()
    assert not client.ended
    assert counted(tunnels) == 1
    origin.send(whole[100:] + text(b"what nobody may see", masked=False))
    tunnels.until(lambda: client.ended)
    assert after_head(client) == whole + RESTART


def test_it_is_asked_once_and_another_one_is_found_next(tunnels: Rig) -> None:
    (client, origin), (other, _) = open_one(tunnels, 0), open_one(tunnels, 1)
    origin.send(text(bytes(300), masked=False)[:9])
    tunnels.until(lambda: after_head(client))
    tunnels.plane.drain(0)
    tunnels.plane.end_tunnels(1)
    tunnels.plane.end_tunnels(1)
    tunnels.until(lambda: other.ended or client.ended)
    assert after_head(other) == RESTART
    assert counted(tunnels) == 1


def test_a_long_frame_passes_unseen_and_its_end_is_found(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    whole = Frame(Opcode.BINARY, LONG).serialize(mask=False)
    origin.send(whole[:-1])
    tunnels.until(lambda: len(after_head(client)) == len(whole) - 1)
    assert tunnels.plane.stats()["spliced_bytes"] > len(LONG) // 4
    tunnels.plane.drain(0)
    tunnels.plane.end_tunnels(1)
    tunnels.settle()
    assert not client.ended
    origin.send(whole[-1:])
    tunnels.until(lambda: client.ended)
    assert after_head(client) == whole + RESTART


def test_who_has_said_close_already_is_not_told_again(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    theirs = close_frame(1000, masked=False)
    origin.send(theirs)
    tunnels.until(lambda: after_head(client))
    tunnels.plane.drain(0)
    tunnels.plane.end_tunnels(1)
    tunnels.until(lambda: client.ended)
    assert after_head(client) == theirs


def test_what_is_no_websocket_is_ended_without_a_frame(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    origin.send(b"no frames at all")
    tunnels.until(lambda: after_head(client))
    tunnels.plane.drain(0)
    tunnels.plane.end_tunnels(1)
    tunnels.until(lambda: client.ended and origin.ended)
    assert after_head(client) == b"no frames at all"


def test_a_real_client_and_a_real_server_hear_why(tunnels: Rig) -> None:
    serving = threading.Event()
    seen: list[Any] = []

    async def work(port: int) -> tuple[int, str]:
        async with connect(f"ws://127.0.0.1:{port}/ws") as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            serving.set()
            with pytest.raises(ConnectionClosed) as raised:
                await asyncio.wait_for(client.recv(), 20)
        closed = raised.value
        assert closed.rcvd is not None
        return closed.rcvd.code, "clean" if closed.sent is not None else "cut"

    def end_it_once_it_is_used() -> bool:
        if serving.is_set() and not seen:
            seen.append(True)
            tunnels.plane.drain(0)
            tunnels.plane.end_tunnels(1)
        return bool(seen)

    assert run_beside(tunnels, work, end_it_once_it_is_used) == (1012, "clean")
