"""Hosts a plane in the test's own thread: scripted clients on one side, scripted origins on the other."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pingpy.log_format import parse_format
from pingpy.shared import Region
from tests.wire.plane_ends import End, Message, Origin, move_all, read_messages
from tests.wire.tls_ends import TlsEnd
from worker.plane.access_log import AccessLog
from worker.plane.cells import Cells
from worker.plane.pick import Peer, Pool
from worker.plane.plane import Plane
from worker.plane.route import Route, RouteTable
from worker.plane.rules import RuleSet
from worker.plane.table_doors import in_flight
from worker.policy.rule_index import build

SECONDS = 30.0  # only a test that fails waits so long
REPLY_FIXED, REPLY_PYTHON = 1, 3
SETTINGS = {
    "head_bytes": 65536,
    "header_count": 100,
    "request_line_bytes": 16384,
    "header_ms": 10000,
    "body_ms": 10000,
    "idle_ms": 60000,
    "send_ms": 60000,
    "tunnel_ms": 3600000,
    "upstream_idle_ms": 30000,
    "upstream_ping_ms": 30000,
    "client_ping_ms": 0,
    "handshake_ms": 10000,
    "most_handshakes": 100,
    "handshake_rate": 4000,
    "upstream_idle_count": 256,
    "keepalive_requests": 0,
    "body_rate": 100,
    "most_clients": 0,
    "streams": 100,
    "waiting_bytes": 64 << 20,
}
LOG = "$status $termination $retries $bytes_sent $request_length $remote_addr $request"
LOCAL = (b"/local", {"reply_kind": REPLY_FIXED, "reply_status": 200, "reply_body": b"here"})


@dataclass
class Line:
    """One line of the access log."""

    status: int
    ending: str
    retries: int
    bytes_sent: int
    request_bytes: int
    client: str
    request: str


class Parked:
    """A hook's coroutine as the plane knows it; `at_once`: it runs as far as it goes before the plane hears of it."""

    def __init__(self, events: Events, awaitable: Any, *, at_once: bool) -> None:
        self.events = events
        self.awaitable = awaitable
        self.over = False
        self.result: Any = None
        self.error: Exception | None = None
        self.done: Callable[[Any, Exception | None], Any] | None = None
        if at_once:
            self.step()

    def step(self) -> None:
        """Its next step."""
        try:
            self.awaitable.send(None)
        except StopIteration as end:
            self.over, self.result = True, end.value
        except Exception as raised:
            self.over, self.error = True, raised

    def cancel(self) -> None:
        self.events.cancelled += 1
        if not self.events.stubborn:
            self.events.parked.remove(self)
            self.awaitable.close()


class Events:
    """What the plane told; hooks' coroutines are collected and go on when the test says so."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.refusals: list[tuple[int, str]] = []
        self.raised: list[tuple[str, Exception]] = []
        self.troubles: list[int] = []
        self.unwelcomed: list[tuple[str, str]] = []
        self.broke: list[tuple[str, str]] = []
        self.kinds: list[int] = []  # of both
        self.cancelled = 0
        self.stubborn = False  # hooks go on though they are cancelled
        self.at_once = False  # hooks begin in the middle of the plane's turn
        self.parked: list[Parked] = []

    def fault(self, error: Exception, where: str) -> None:
        self.faults.append(where + "\n" + "".join(traceback.format_exception(error)))

    def refused(self, status: int, cause: str, session: Any, peer: str) -> None:
        self.refusals.append((status, cause))

    def hook_raised(self, session: Any, phase: str, error: Exception) -> None:
        self.raised.append((phase, error))

    def unwelcome(self, listener: str, client: str, cause: str, kind: int) -> None:
        assert listener == "test"
        self.unwelcomed.append((client, cause))
        self.kinds.append(kind)

    def broken(self, peer: str, cause: str, kind: int) -> None:
        self.broke.append((peer, cause))
        self.kinds.append(kind)

    def trouble(self, errno: int) -> None:
        self.troubles.append(errno)

    def run(self, awaitable: Any) -> Parked:
        hook = Parked(self, awaitable, at_once=self.at_once)
        if not hook.over:
            self.parked.append(hook)
        return hook

    def make_peer(self, text: str) -> str:
        return text

    def plane_peer(self, chosen: Any) -> Any:
        if not isinstance(chosen, Peer):
            raise ValueError(f"not a peer: {chosen!r}")
        return chosen

    def make_address(self, host: str, port: int) -> tuple[str, int]:
        return host, port

    def let_go(self) -> None:
        """Run every parked coroutine to its end."""
        parked, self.parked = self.parked, []
        for hook in parked:
            while not hook.over:
                hook.step()
            assert hook.done is not None
            hook.done(hook.result, hook.error)


class Rig:
    """One plane, its listener, and as many origins as are asked for."""

    def __init__(
        self,
        *,
        origins: int = 1,
        origin_class: type[Origin] = Origin,
        peer: dict[str, Any] | None = None,
        pool: dict[str, Any] | None = None,
        route: dict[str, Any] | None = None,
        built_in: Iterable[tuple[bytes, dict[str, Any]]] = (LOCAL,),
        trusted: Iterable[tuple[bytes, int]] = (),
        announced: Iterable[tuple[bytes, int]] = (),
        announced_listeners: Iterable[int] | None = None,
        hooks: Any = None,
        log: str = LOG,
        tls: Any = None,
        scheme: Any = "auto",
        **settings: int,
    ) -> None:
        self.events = Events()
        self.region = Region.create()
        self.cells = Cells(self.region, self.region.claim_slab(1, 0, "worker"))
        self.plane = self.new_plane(
            settings,
            trusted=list(trusted),
            announced=list(announced),
            announced_listeners=announced_listeners,
        )
        self.origins = [origin_class() for _ in range(origins)]
        self.pool = Pool(b"pool", self.cells, **(pool or {}))
        self.peers = [self.make_peer(origin.port, **(peer or {})) for origin in self.origins]
        self.pool.set_peers(self.peers)
        options = {"connect_ms": 5000, "response_ms": 60000, **(route or {})}
        self.route = Route(b"all", pool=self.pool, **options)
        routes = [(path, Route(b"own", **given)) for path, given in built_in]
        table = RouteTable([], RuleSet(build([])), default=self.route, built_in=routes)
        self.plane.use_routes(table)
        if hooks is not None:
            self.plane.use_hooks(hooks)
        self.log_file = TemporaryFile()  # noqa: SIM115 - as long as the rig
        self.log = AccessLog(parse_format(log), self.log_file.fileno(), self.cells)
        self.plane.use_log(self.log)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.plane.use_tls(tls, (scheme,))
        self.plane.add_listener(self.listener.fileno(), 0, "test")
        self.clients: list[End] = []
        self.ticked = 0.0
        self.settle(0)
        self.baseline = self.plane.stats()["arena_used_bytes"]

    def new_plane(self, settings: dict[str, int], **options: Any) -> Plane:
        return Plane(
            cells=self.cells,
            events=self.events,
            arena_bytes=settings.pop("arena_bytes", 128 << 20),
            settings={**SETTINGS, **settings},
            **options,
        )

    def make_peer(self, port: int, **options: Any) -> Peer:
        text = b"127.0.0.1:%d" % port
        raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + bytes([127, 0, 0, 1])
        cell = self.cells.claim_peer(b"pool", text)
        return Peer(cell=cell, text=text, sockaddr=raw + bytes(8), family=2, **options)

    # ---- moving on

    def move(self) -> bool:
        """One round of everybody; whether anything happened."""
        moved = move_all([*self.clients, *self.origins])
        if select.select([self.plane.fileno()], [], [], 0)[0]:
            moved = True
        while self.plane.ready():
            moved = True
        if time.monotonic() - self.ticked >= 0.02:
            self.ticked = time.monotonic()
            self.plane.tick()
        return moved

    def until(self, wanted: Callable[[], Any], seconds: float = SECONDS) -> Any:
        """Move on until this holds; the plane must never have raised."""
        deadline = time.monotonic() + seconds
        while True:
            moved = self.move()
            assert self.events.faults == [], self.events.faults[0]
            value = wanted()
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not in time: {self.state()}")
            if not moved:
                select.select([self.plane.fileno()], [], [], 0.002)

    def settle(self, quiet_seconds: float = 0.03) -> None:
        """Move on until nothing has happened for a while."""
        since = time.monotonic()
        while time.monotonic() - since < quiet_seconds:
            if self.move():
                since = time.monotonic()
            else:
                time.sleep(0.001)
        assert self.events.faults == [], self.events.faults[0]

    def state(self) -> str:
        """What a failing test wants to know."""
        shown = [f"client {bytes(c.got[:300])!r} ended={c.ended!r}" for c in self.clients]
        for origin in self.origins:
            shown += [f"origin {bytes(e.got[:300])!r} ended={e.ended!r}" for e in origin.ends]
        return "\n".join([str(self.plane.stats()), str(self.events.refusals), *shown])

    # ---- the two sides

    def client(
        self,
        data: bytes = b"",
        *,
        receive_buffer: int = 0,
        secure: Any = None,
        server_name: str = "localhost",
        session: Any = None,
    ) -> End:
        """A connection of a client, which sends this at once; `secure`: over TLS, with this context."""
        made = socket.socket()
        if receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        made.connect(self.listener.getsockname())
        end = End(made) if secure is None else TlsEnd(made, secure, server_name, session)
        self.clients.append(end)
        return end.send(data)

    def origin(self, number: int = 0, *, peer: int = 0, wanted: bytes = b"\r\n\r\n") -> End:
        """The connection of that number to this origin, once this has come over it."""
        ends = self.origins[peer].ends
        self.until(lambda: len(ends) > number and wanted in ends[number].got)
        return ends[number]

    def responses(self, end: End, count: int, **how: Any) -> list[Message]:
        """So many whole messages from there, and nothing behind them."""

        def whole() -> list[Message]:
            found = read_messages(bytes(end.got), closed=end.ended == "fin", **how)
            return found if len(found) >= count and found[count - 1].whole else []

        found: list[Message] = self.until(whole)
        assert len(found) == count, found
        return found

    def response(self, end: End, **how: Any) -> Message:
        return self.responses(end, 1, **how)[0]

    def ended(self, end: End, how: str = "") -> None:
        """Wait for the plane's end of this connection."""
        self.until(lambda: end.ended)
        assert end.ended == (how or end.ended)

    def lines(self, count: int) -> list[Line]:
        """So many lines of the access log, and no more."""

        def written() -> list[Line]:
            self.log.write_out()
            # through /proc: an offset of its own, the plane appends at the file's
            text = Path(f"/proc/self/fd/{self.log_file.fileno()}").read_text("latin-1")
            rows = [row.split(" ", 6) for row in text.splitlines()]
            return [
                Line(int(a), b, int(c), int(d), int(e), client, request)
                for a, b, c, d, e, client, request in rows
            ]

        self.until(lambda: len(written()) >= count)
        found = written()
        assert len(found) == count, found
        return found

    def close(self) -> None:
        """Everybody leaves; nothing may stay behind in the plane."""
        for end in self.clients:
            end.close()
        for origin in self.origins:
            origin.close()
        self.plane.remove_listener(self.listener.fileno())
        self.plane.close_all()
        self.until(lambda: self.plane.stats()["clients"] == 0, 1.0)
        self.settle(0.005)
        stats = self.plane.stats()
        assert (stats["clients"], stats["active"], stats["idle_upstream"]) == (0, 0, 0), stats
        assert stats["arena_used_bytes"] == self.baseline, (stats, self.baseline)
        for peer in self.peers:
            assert in_flight(self.cells, peer.cell) == 0
        self.listener.close()
        self.log_file.close()
        os.close(self.region.fd)  # the mapping stays as long as a plane looks at it
