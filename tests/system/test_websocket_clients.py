"""WebSocket through pingpy with real clients and servers: plain, TLS, HTTP/1.1, HTTP/2; ends, refusals, a reload."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from h2_websocket import H2WebSocket
from master_rig import until
from protocol_client import Request
from protocol_rig import DOWNSTREAMS, World, running
from websocket_origin import SWITCH, RawOrigin, SocketOrigin
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

BIG = random.Random(23).randbytes(10 << 20)
IDLE_SECONDS = float(os.environ.get("PINGPY_IDLE_SECONDS", "3"))
H1, H2 = ("h1", "h1-tls"), ("h2c", "h2-tls")
OPTIONS: dict[str, Any] = {"max_size": None, "ping_interval": None, "open_timeout": 60}
HELLO = Frame(Opcode.TEXT, b"early from the origin").serialize(mask=False)
ASK = (
    b"GET /on/echo HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass
class Sockets:
    """The running pingpy and its WebSocket origins."""

    world: World
    origin: SocketOrigin
    unasked: RawOrigin

    def connect(self, down: str, path: str, **how: Any) -> ClientConnection:
        """The library's client over HTTP/1.1."""
        scheme = "wss" if down.endswith("tls") else "ws"
        door = self.world.door(down)
        address = f"{scheme}://localhost:{door.port}{path}"
        sock = socket.create_connection(("127.0.0.1", door.port))
        return connect(address, sock=sock, ssl=door.tls, **{**OPTIONS, **how})

    def over_h2(self, down: str, path: str, *fields: tuple[str, str]) -> H2WebSocket:
        return H2WebSocket(self.world.door(down), path, *fields)


def rule(path: str, port: int, more: str = "websocket = true") -> str:
    return f'[[proxy.rules]]\npath = "/{path}/*"\nupstream = "http://127.0.0.1:{port}"\n{more}\n'


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sockets]:
    folder = tmp_path_factory.mktemp("sockets")
    with SocketOrigin() as origin, RawOrigin(SWITCH + HELLO) as unasked:
        rules = (
            rule("on", origin.port)
            + rule("off", origin.port, "")
            + rule("unasked", unasked.port, "")
            + rule("wrong", unasked.port)
        )
        with running(folder, more=rules) as world:
            yield Sockets(world, origin, unasked)


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", H1)
def test_text_and_binary_of_every_size(sockets: Sockets, down: str) -> None:
    before = sockets.world.metric("pingpy_tunnels_total")
    with sockets.connect(down, "/on/echo", compression=None) as client:
        for message in ("Grüße", "", b"\0\xff", BIG, "x" * 70000):
            client.send(message)
            assert client.recv(60) == message
        for number in range(200):
            client.send(str(number))
        assert [client.recv(60) for _ in range(200)] == [str(number) for number in range(200)]
    assert sockets.world.metric("pingpy_tunnels_total") == before + 1


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", H2)
def test_the_same_over_a_stream_of_http_2(sockets: Sockets, down: str) -> None:
    before = sockets.world.metric("pingpy_tunnels_total")
    with sockets.over_h2(down, "/on/echo") as client:
        assert (client.offered, client.status) == (True, 200)
        for message in ("Grüße", "", b"\0\xff", BIG, "x" * 70000):
            client.send(message)
            assert client.receive() == message
        client.frames.send_ping(b"from the client")
        assert client.frame(Opcode.PONG).data == b"from the client"
        client.frames.send_close(4001, "well done")
        assert client.closed() == (4001, "well done")
    assert sockets.world.metric("pingpy_tunnels_total") == before + 1
    until(lambda: (4001, "well done") in sockets.origin.closed)


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", H1)
def test_pings_go_both_ways(sockets: Sockets, down: str) -> None:
    with sockets.connect(down, "/on/ping") as client:
        assert client.recv(60) == "ponged"
        assert client.ping(b"from the client").wait(60)


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", H1)
def test_messages_in_pieces_stay_in_pieces(sockets: Sockets, down: str) -> None:
    with sockets.connect(down, "/on/pieces", compression=None) as client:
        client.send(["a", "b" * 70000, "", "c"])
        assert client.recv(60) == "5"  # the library ends with an empty one
        assert list(client.recv_streaming()) == ["one ", "two ", "three", ""]


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", H1)
@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_close_codes_go_both_ways(sockets: Sockets, down: str, code: int) -> None:
    with sockets.connect(down, f"/on/close/{code}") as client:
        client.send("please")
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(60)
    assert raised.value.rcvd is not None
    assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (code, "as asked")
    with sockets.connect(down, "/on/echo") as client:
        client.close(code, f"from {down}")
    until(lambda: (code, f"from {down}") in sockets.origin.closed)


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", H1)
def test_extensions_and_subprotocols_are_theirs(sockets: Sockets, down: str) -> None:
    before = received(sockets.world)
    with sockets.connect(down, f"/on/how?{down}", subprotocols=["none", "chat"]) as client:
        assert client.subprotocol == "chat"
        assert [type(e).__name__ for e in client.protocol.extensions] == ["PerMessageDeflate"]
        assert client.recv(60) == "PerMessageDeflate chat"
        client.send("x" * 1_000_000)
        assert client.recv(60) == "x" * 1_000_000
    until(lambda: any(line.endswith(f"/on/how?{down}") for line in sockets.world.log()))
    after = received(sockets.world)
    assert all(500 < after[side] - before[side] < 50_000 for side in before), (before, after)


def received(world: World) -> dict[str, int]:
    """Octets by side; what is compressed came so, and goes so."""
    sides = ("client", "upstream")
    return {s: world.metric(f'pingpy_received_bytes_total{{side="{s}"}}') for s in sides}


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", DOWNSTREAMS)
@pytest.mark.parametrize("status", [400, 403, 503])
def test_an_origin_that_refuses(sockets: Sockets, down: str, status: int) -> None:
    path = f"/on/refuse/{status}"
    if down in H2:
        with sockets.over_h2(down, path) as client:
            assert client.status == status
        return
    with pytest.raises(InvalidStatus) as raised:
        sockets.connect(down, path)
    assert raised.value.response.status_code == status
    assert raised.value.response.body == b"no\n"


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", DOWNSTREAMS)
def test_without_the_flag_no_101_appears(sockets: Sockets, down: str) -> None:
    """Neither where the origin would agree, nor where it says 101 to whatever it is asked."""
    before = sockets.world.metric("pingpy_tunnels_total")
    if down in H1:
        for path, status in (("/off/echo", 426), ("/unasked/x", 502)):
            with pytest.raises(InvalidStatus) as raised:
                sockets.connect(down, path)
            assert raised.value.response.status_code == status
        assert b"pgrade" not in sockets.unasked.got[-1]
    else:
        with sockets.over_h2(down, "/off/echo") as client:
            assert client.status == 426
    for path in ("/unasked/x", "/wrong/x"):
        answer = sockets.world.door(down).ask(Request(path))
        assert (answer.status, answer.informational, answer.whole) == (502, [], True)
        assert b"early" not in answer.body
    assert sockets.world.metric("pingpy_tunnels_total") == before


@pytest.mark.row("S23")
@pytest.mark.parametrize("down", H1)
def test_who_does_not_wait_for_the_101_loses_nothing(sockets: Sockets, down: str) -> None:
    """The fast-101 race, both ways: frames in the packet of the request, frames in the packet of the 101."""
    door = sockets.world.door(down)
    first = Frame(Opcode.TEXT, b"early from the client").serialize(mask=True)
    with door.connect() as sock:
        sock.settimeout(60)
        sock.sendall(ASK + first)
        got = b""
        while b"early from the client" not in got:
            data = sock.recv(65536)
            assert data, got
            got += data
    assert got.startswith(b"HTTP/1.1 101 ")
    with door.connect() as sock:
        sock.settimeout(60)
        sock.sendall(ASK.replace(b"/on/echo", b"/wrong/x"))
        got = b""
        while HELLO not in got:
            data = sock.recv(65536)
            assert data, got
            got += data
    assert got.partition(b"\r\n\r\n")[2] == HELLO


@pytest.mark.row("S23")
def test_a_reload_tells_everyone_why(sockets: Sockets) -> None:
    """The old generation says Close 1012 between two frames; who is new goes to the new one."""
    with ExitStack() as stack:
        over_h1, over_h2 = everybody(sockets, stack, "/on/echo")
        greet(over_h1, over_h2, "before")
        sockets.world.process.send_signal(signal.SIGHUP)
        for client in over_h1:
            with pytest.raises(ConnectionClosed) as raised:
                client.recv(120)
            assert raised.value.rcvd is not None
            assert raised.value.rcvd.code == 1012
        for stream in over_h2:
            assert stream.closed()[0] == 1012
    until(lambda: sockets.origin.closed[1001, ""] >= 4)
    with sockets.connect("h1", "/on/echo") as client:
        client.send("after")
        assert client.recv(60) == "after"


def everybody(
    sockets: Sockets, stack: ExitStack, path: str
) -> tuple[list[ClientConnection], list[H2WebSocket]]:
    """A client of each kind."""
    return (
        [stack.enter_context(sockets.connect(down, path)) for down in H1],
        [stack.enter_context(sockets.over_h2(down, path)) for down in H2],
    )


def greet(over_h1: list[ClientConnection], over_h2: list[H2WebSocket], text: str) -> None:
    """All say this, and hear it again."""
    for client in over_h1:
        client.send(text)
        assert client.recv(60) == text
    for stream in over_h2:
        stream.send(text)
        assert stream.receive() == text


@pytest.mark.row("S23")
def test_idle_tunnels_live_as_long_as_their_own_timeout(tmp_path: Path) -> None:
    """Ten minutes, scaled: every other timeout is over long before; PINGPY_IDLE_SECONDS=600 is the real thing."""
    short = ("header", "body", "idle", "send", "response")
    text = "[timeouts]\ntunnel = 3600\n" + "".join(f"{name} = 1\n" for name in short)
    with SocketOrigin() as origin, ExitStack() as stack:
        text += rule("on", origin.port)
        text += rule("short", origin.port, "websocket = true\ntimeouts = { tunnel = 1 }")
        world = stack.enter_context(running(tmp_path, more=text))
        sockets = Sockets(world, origin, RawOrigin(b""))
        over_h1, over_h2 = everybody(sockets, stack, "/on/echo")
        begun = time.monotonic()
        for down in H1:
            with sockets.connect(down, "/short/echo") as client, pytest.raises(ConnectionClosed):
                client.recv(60)
        for down in H2:
            with sockets.over_h2(down, "/short/echo") as stream:
                assert stream.closed() == (1006, "")
        until(lambda: time.monotonic() - begun > IDLE_SECONDS, IDLE_SECONDS + 60)
        greet(over_h1, over_h2, "still here")
