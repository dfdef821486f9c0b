"""WebSocket through the plane: who may switch, bytes both ways, back-pressure, ends, and real endpoints."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig

ASK = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
AGREE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
GET = b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG = random.Random(3).randbytes(4_000_000)
WEBSOCKET = {"websocket": True, "tunnel_ms": 3600000}


@pytest.fixture
def tunnels(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(route=WEBSOCKET)


def after_head(end: End) -> bytes:
    return bytes(end.got).partition(b"\r\n\r\n")[2]


def open_one(plane: Rig, number: int = 0, **how: Any) -> tuple[End, End]:
    client = plane.client(ASK, **how)
    origin = plane.origin(number)
    origin.send(AGREE)
    plane.until(lambda: b"\r\n\r\n" in client.got)
    return client, origin


def counted(plane: Rig) -> int:
    return int(plane.plane.stats()["tunnels"])


def test_the_switch_is_asked_for_and_answered_in_full(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    asked = bytes(origin.got).lower()
    assert asked.count(b"\r\nupgrade: websocket\r\n") == 1
    assert asked.count(b"\r\nconnection: upgrade\r\n") == 1
    assert b"sec-websocket-key: " in asked
    answer = bytes(client.got).lower()
    assert answer.startswith(b"http/1.1 101 ")
    assert answer.count(b"\r\nupgrade: websocket\r\n") == 1
    assert answer.count(b"\r\nconnection: upgrade\r\n") == 1
    assert b"content-length" not in answer
    assert b"transfer-encoding" not in answer
    assert b"connection: close" not in answer
    assert counted(tunnels) == 1
    assert tunnels.plane.stats()["active"] == 0


def test_bytes_pass_both_ways_and_are_counted(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    asked, answered = len(ASK), len(client.got)
    origin.take()
    for _ in range(3):
        client.send(b"GET / HTTP/1.1\r\n\r\n")  # nothing is read as HTTP any more
        origin.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 2)
        tunnels.settle()
    assert bytes(origin.got) == b"GET / HTTP/1.1\r\n\r\n" * 3
    assert after_head(client) == b"HTTP/1.1 100 Continue\r\n\r\n" * 6
    client.close()
    tunnels.clients.remove(client)
    tunnels.ended(origin)
    origin.close()
    line = tunnels.lines(1)[0]
    assert (line.status, line.ending) == (101, "ok")
    assert line.request_bytes == asked + 18 * 3
    assert line.bytes_sent == answered + 25 * 6
    assert counted(tunnels) == 0


def test_what_either_side_sends_before_the_switch_is_complete_is_not_lost(tunnels: Rig) -> None:
    client = tunnels.client(ASK + b"early from the client")
    origin = tunnels.origin()
    tunnels.settle()
    assert after_head(origin) == b""  # a request that may be refused is not followed by frames
    origin.send(AGREE + b"early from the origin")
    tunnels.until(lambda: after_head(origin) == b"early from the client")
    tunnels.until(lambda: after_head(client) == b"early from the origin")


def test_a_switch_that_is_refused_leaves_http(tunnels: Rig) -> None:
    client = tunnels.client(ASK + GET)
    tunnels.origin().send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    tunnels.until(lambda: b"GET /2 " in tunnels.origins[0].ends[0].got)
    tunnels.origin().send(OK)
    assert [m.status for m in tunnels.responses(client, 2)] == [403, 200]
    assert counted(tunnels) == 0


@pytest.mark.parametrize(
    "asking",
    [
        ASK.replace(b"WebSocket", b"h2c", 1),
        ASK.replace(b"WebSocket", b"websocket, h2c", 1),
        ASK.replace(b"Upgrade: WebSocket\r\n", b"Upgrade: websocket\r\nUpgrade: h2c\r\n"),
        ASK.replace(b", Upgrade", b""),
        ASK.replace(b"HTTP/1.1", b"HTTP/1.0"),
        ASK.replace(b"GET", b"POST").replace(b"Host", b"Content-Length: 3\r\nHost", 1) + b"abc",
        GET,
    ],
)
def test_nothing_else_is_asked_for_and_no_answer_to_it_is_believed(
    tunnels: Rig, asking: bytes
) -> None:
    client = tunnels.client(asking)
    origin = tunnels.origin()
    assert b"pgrade" not in origin.got
    origin.send(AGREE)
    tunnels.until(lambda: b"HTTP/1.1 502 " in client.got)
    assert counted(tunnels) == 0


def test_a_route_without_websocket_never_switches(plane: Rig) -> None:
    client = plane.client(ASK)
    origin = plane.origin()
    assert b"pgrade" not in origin.got
    origin.send(AGREE + b"smuggled")
    plane.until(lambda: b"HTTP/1.1 502 " in client.got)
    assert b"smuggled" not in client.got
    assert counted(plane) == 0


@pytest.mark.parametrize("named", [b"h2c", b"websocket, h2c"])
def test_an_answer_that_switches_to_something_else_is_refused(tunnels: Rig, named: bytes) -> None:
    client = tunnels.client(ASK)
    tunnels.origin().send(AGREE.replace(b"websocket", named, 1))
    tunnels.until(lambda: b"HTTP/1.1 502 " in client.got)


def test_megabytes_both_ways_at_once(tunnels: Rig) -> None:
    client, origin = open_one(tunnels)
    origin.take()
    client.send(LONG)
    origin.send(LONG[::-1])
    tunnels.until(lambda: len(origin.got) >= len(LONG) and len(after_head(client)) >= len(LONG))
    assert bytes(origin.got) == LONG
    assert after_head(client) == LONG[::-1]
    assert tunnels.plane.stats()["spliced_bytes"] > len(LONG)


@pytest.mark.parametrize("slow_is_client", [True, False])
def test_a_side_that_does_not_read_holds_the_other_up(tunnels: Rig, slow_is_client: bool) -> None:
    tunnels.origins[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client, origin = open_one(tunnels, receive_buffer=65536)
    slow, fast = (client, origin) if slow_is_client else (origin, client)
    slow.take()
    slow.reading = False
    fast.send(LONG * 10)
    tunnels.settle()
    left = len(fast.unsent)
    assert left > 8_000_000
    assert tunnels.plane.stats()["arena_used_bytes"] - tunnels.baseline < 700_000
    slow.send(b"the other way is free")
    tunnels.until(lambda: bytes(fast.got).endswith(b"free"))
    slow.reading = True
    tunnels.until(lambda: len(slow.got) == 10 * len(LONG))
    assert bytes(slow.got) == LONG * 10


@pytest.mark.parametrize("first_is_client", [True, False])
def test_a_half_close_is_passed_on_behind_its_bytes(tunnels: Rig, first_is_client: bool) -> None:
    client, origin = open_one(tunnels)
    first, second = (client, origin) if first_is_client else (origin, client)
    first.take()
    second.take()
    first.send(LONG)
    tunnels.until(lambda: not first.unsent)
    first.half_close()
    tunnels.ended(second, "fin")
    assert bytes(second.got) == LONG
    second.send(b"still here" * 1000)
    tunnels.until(lambda: bytes(first.got) == b"still here" * 1000)
    assert not first.ended
    assert counted(tunnels) == 1
    second.close()
    tunnels.ended(first, "fin")
    assert tunnels.lines(1)[0].ending == "ok"
    assert counted(tunnels) == 0


def test_last_words_of_a_slow_half_closed_tunnel_arrive(tunnels: Rig) -> None:
    """The origin hangs up while the client does not read: both directions are shut, bytes are still to come."""
    client, origin = open_one(tunnels, receive_buffer=65536)
    client.take()
    client.half_close()
    tunnels.ended(origin)
    client.reading = False
    origin.send(LONG)
    tunnels.settle()
    while origin.unsent:
        client.reading = len(client.got) < len(LONG) // 2 or bool(origin.unsent)
        tunnels.move()
    client.reading = False
    origin.close()
    tunnels.settle()
    client.reading = True
    tunnels.ended(client, "fin")
    assert bytes(client.got) == LONG


@pytest.mark.parametrize("broken_is_client", [True, False])
def test_a_reset_ends_both_sides(tunnels: Rig, broken_is_client: bool) -> None:
    client, origin = open_one(tunnels)
    broken, other = (client, origin) if broken_is_client else (origin, client)
    other.send(b"x" * 100)
    tunnels.settle()
    broken.reset()
    (tunnels.clients if broken_is_client else tunnels.origins[0].ends).remove(broken)
    tunnels.ended(other)
    assert tunnels.lines(1)[0].ending != "ok"
    assert counted(tunnels) == 0


def test_an_idle_tunnel_ends_and_a_used_one_does_not(make_rig: Callable[..., Rig]) -> None:
    plane = make_rig(route={"websocket": True, "tunnel_ms": 400})
    client, origin = open_one(plane)
    used, its_origin = open_one(plane, 1)
    for _ in range(8):
        its_origin.send(b"tick")
        plane.settle(0.1)
    assert client.ended == "fin"
    assert origin.ended == "fin"
    assert not used.ended
    assert plane.lines(1)[0].status == 101


def test_a_drain_leaves_tunnels_until_they_are_ended(tunnels: Rig) -> None:
    ends = [open_one(tunnels, number) for number in range(3)]
    tunnels.plane.drain(0)
    tunnels.settle()
    assert counted(tunnels) == 3
    ends[0][0].send(b"goes on")
    tunnels.until(lambda: bytes(ends[0][1].got).endswith(b"goes on"))
    ends[1][1].send(b"last")
    tunnels.settle()
    tunnels.plane.end_tunnels(2)
    tunnels.until(lambda: sum(bool(client.ended) for client, _ in ends) == 2)
    assert counted(tunnels) == 1
    tunnels.plane.end_tunnels(5)
    tunnels.until(lambda: all(client.ended and origin.ended for client, origin in ends))
    assert {line.status for line in tunnels.lines(3)} == {101}


def test_a_switch_is_not_told_to_close_by_a_drain(tunnels: Rig) -> None:
    client = tunnels.client(ASK)
    origin = tunnels.origin()
    tunnels.plane.drain(0)
    origin.send(AGREE)
    tunnels.until(lambda: b"101" in client.got)
    assert b"connection: upgrade" in bytes(client.got).lower()


# ---- a real client and a real server


def run_beside(
    plane: Rig,
    work: Callable[[int], Coroutine[Any, Any, Any]],
    meanwhile: Callable[[], object] = lambda: None,
) -> Any:
    """Run this with its own WebSocket server while the plane serves; `meanwhile` is called again and again."""
    outcome: list[Any] = []
    ports: list[int] = []

    async def serve_and_work() -> Any:
        async with serve(echo, "127.0.0.1", 0, max_size=None, compression=None) as server:
            ports.append(next(iter(server.sockets)).getsockname()[1])
            await asyncio.to_thread(ready.wait, 30)
            return await asyncio.wait_for(work(plane.listener.getsockname()[1]), 30)

    def run() -> None:
        try:
            outcome.append(asyncio.run(serve_and_work()))
        except BaseException as error:
            outcome.append(error)

    ready = threading.Event()
    thread = threading.Thread(target=run)
    thread.start()
    plane.until(lambda: ports or outcome)
    plane.peers.append(plane.make_peer(ports[0]))
    plane.pool.set_peers(plane.peers[-1:])
    ready.set()
    plane.until(lambda: (meanwhile(), outcome)[1], 40)
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        if message == "close":
            await connection.close(4321, "as asked")
        await connection.send(message)


def test_text_binary_ping_and_close_codes_between_real_endpoints(tunnels: Rig) -> None:
    big = LONG * 2 + LONG[:2_485_760]  # 10 MiB less a little

    async def work(port: int) -> tuple[Any, ...]:
        address = f"ws://127.0.0.1:{port}/ws"
        async with connect(address, max_size=None, compression=None) as client:
            await client.send("Grüße")
            text = await client.recv()
            await client.send(big)
            binary = await client.recv()
            await (await client.ping(b"payload"))
            for number in range(200):
                await client.send(str(number))
            numbers = [await client.recv() for _ in range(200)]
        async with connect(address) as client:
            await client.send("close")
            try:
                await client.recv()
            except ConnectionClosed as closed:
                return text, binary, numbers, closed.rcvd.code, closed.rcvd.reason
        return ()

    text, binary, numbers, code, reason = run_beside(tunnels, work)
    assert text == "Grüße"
    assert binary == big
    assert numbers == [str(number) for number in range(200)]
    assert (code, reason) == (4321, "as asked")
    assert [line.ending for line in tunnels.lines(2)] == ["ok", "ok"]


def test_many_real_clients_at_once(tunnels: Rig) -> None:
    async def one(port: int, number: int) -> bool:
        async with connect(f"ws://127.0.0.1:{port}/ws") as client:
            for turn in range(5):
                await client.send(f"{number} {turn}")
                if await client.recv() != f"{number} {turn}":
                    return False
        return True

    async def work(port: int) -> list[bool]:
        return await asyncio.gather(*[one(port, number) for number in range(40)])

    assert run_beside(tunnels, work) == [True] * 40
