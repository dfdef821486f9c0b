"""Hand-off protocol v1: descriptors and state from one master to another over a SOCK_SEQPACKET socket.

    new ─ HELLO{protos,version,gen,pid} ─► old          old ─ REFUSE{why} ─► new, and that is all
    old ─ WELCOME{proto,gen,listeners,logs} ─► new
    old ─ FDS{ids,i,n} + descriptors ─► new ─ ACK{i} ─► old         (at most 64 at a time)
    old ─ STATE{name,version,bytes} + memfd ─► new ─ ACK | SKIP ─► old
    new ─ PROGRESS* READY ─► old ─ COMMIT ─► new ─ ACCEPTING ─► old
    old ─ PING ─► new ─ PONG ─► old ─ OWNER ─► new ─ OWNED ─► old ─ BYE ─► new

The superseded one also says DRAINING{workers,connections,active} each second, and RELOAD for a HUP that
had to wait for the outcome. Either side passes REOPEN on. Either side may say ABORT{why}; an unknown type is
answered with UNKNOWN and changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from master.listeners import Listeners
from pingpy import __version__
from pingpy.control import MAX_FDS, ControlError, receive_packet, send_packet

PROTOCOLS: Final = (1,)
RECEIVE_SECONDS: Final = 10.0
REGION: Final = "shared-memory"
TICKETS: Final = "ticket-keys"
_FROM_NEW: Final = "HELLO PROGRESS READY ACCEPTING OWNED ACK SKIP ABORT UNKNOWN PONG"
_FROM_OLD: Final = (
    "WELCOME REFUSE FDS STATE COMMIT OWNER DRAINING STATS BYE STOP RELOAD REOPEN PING"
)
KNOWN: Final = frozenset(f"{_FROM_NEW} {_FROM_OLD}".split())


class HandOffError(Exception):
    """The other side refused, vanished or spoke nonsense; the text is for the operator."""


def send(
    sock: socket.socket, kind: str, body: dict[str, Any], fds: list[int] | None = None
) -> None:
    """One message; raises OSError when the other side is gone."""
    send_packet(sock, json.dumps({"type": kind, **body}).encode(), fds or [])


def receive(sock: socket.socket) -> tuple[str, dict[str, Any], list[int]] | None:
    """The next message; None at end of file. Raises HandOffError, BlockingIOError, TimeoutError."""
    try:
        try:
            received = receive_packet(sock)
        except ConnectionResetError:
            received = receive_packet(sock)  # the reset overtakes what was said before it
    except ControlError as error:
        raise HandOffError(str(error)) from error
    if received is None:
        return None
    data, fds = received
    try:
        body = json.loads(data)
        return str(body.pop("type")), body, fds
    except (ValueError, KeyError, AttributeError, TypeError):
        for fd in fds:
            os.close(fd)
        raise HandOffError(f"not a hand-off message: {data[:60]!r}") from None


def hello(generation_wanted: list[str]) -> dict[str, Any]:
    """What a newcomer says first."""
    return {
        "protos": list(PROTOCOLS),
        "version": __version__,
        "pid": os.getpid(),
        "want": generation_wanted,
    }


def common_protocol(body: dict[str, Any]) -> int | None:
    """The highest protocol that both sides speak."""
    offered = body.get("protos")
    if not isinstance(offered, list):
        return None
    return max((p for p in offered if p in PROTOCOLS), default=None)


@dataclass(frozen=True, slots=True)
class State:
    """What is handed over in a memfd: the receiver looks at the version."""

    name: str
    version: int
    fd: int


class Giver:
    """The old master's side: one message after the other, each when the last one was acknowledged."""

    def __init__(
        self,
        generation: int,
        config_path: str,
        listeners: Listeners,
        logs: dict[str, int],
        states: Sequence[State],
    ) -> None:
        """`listeners` and `logs` go over by their names, `states` by theirs."""
        items: list[tuple[str, int]] = []
        described = []
        for group in listeners.groups.values():
            slots = sorted(group.listening)
            items += [(f"{group.id}#{slot}", group.fds[slot]) for slot in slots]
            described.append(
                {
                    "id": group.id,
                    "kind": group.kind,
                    "slots": len(group.listening),
                    "origin": group.origin,
                    "path": group.unix_path,
                }
            )
        items += [(f"log:{path}", fd) for path, fd in logs.items()]
        self._queue: deque[tuple[str, dict[str, Any], list[int]]] = deque()
        batches = [items[i : i + MAX_FDS] for i in range(0, len(items), MAX_FDS)]
        welcome = {
            "proto": PROTOCOLS[-1],
            "gen": generation,
            "version": __version__,
            "config_path": config_path,
            "listeners": described,
            "batches": len(batches),
            "states": len(states),
        }
        self._queue.append(("WELCOME", welcome, []))
        for number, batch in enumerate(batches):
            body = {"ids": [id_ for id_, _ in batch], "i": number, "n": len(batches)}
            self._queue.append(("FDS", body, [fd for _, fd in batch]))
        for state in states:
            size = os.fstat(state.fd).st_size
            body = {"name": state.name, "version": state.version, "bytes": size}
            self._queue.append(("STATE", body, [state.fd]))
        self._waiting = 0

    def begin(self, sock: socket.socket) -> None:
        """WELCOME and the first batch."""
        self._send_next(sock)
        self._send_next(sock)

    def acknowledged(self, sock: socket.socket) -> bool:
        """An ACK or SKIP came: the next one; True when there is none."""
        self._waiting -= 1
        self._send_next(sock)
        return self._waiting <= 0

    def _send_next(self, sock: socket.socket) -> None:
        if self._queue:
            kind, body, fds = self._queue.popleft()
            self._waiting += kind != "WELCOME"
            send(sock, kind, body, fds)


@dataclass(slots=True)
class Inheritance:
    """What a newcomer has received, and the channel to the old master."""

    channel: socket.socket
    generation: int = 0
    listeners: list[tuple[str, dict[str, Any], int]] = field(default_factory=list)
    logs: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)  # descriptors by name
    complete: bool = False


def inherit(sock: socket.socket, seconds: float = RECEIVE_SECONDS) -> Inheritance:
    """The newcomer's side up to the last STATE; raises HandOffError.

    An old master that dies before everything is here leaves an incomplete set: the caller must not
    use it, since a slot without a reader would swallow connections.
    """
    deadline = time.monotonic() + seconds
    estate = Inheritance(sock)
    try:
        send(sock, "HELLO", hello(["listeners", "logs", REGION, TICKETS]))
        _, welcome, _ = _expect(sock, "WELCOME", deadline)
        estate.generation = int(welcome["gen"])
        groups = {group["id"]: group for group in welcome["listeners"]}
        for _ in range(int(welcome["batches"])):
            _, body, fds = _expect(sock, "FDS", deadline)
            if len(body["ids"]) != len(fds):
                raise HandOffError(f"{len(body['ids'])} descriptors announced, {len(fds)} came")
            for id_, fd in zip(body["ids"], fds, strict=True):
                _file(estate, groups, id_, fd)
            _acknowledge(sock, "ACK", {"i": body["i"]})
        for _ in range(int(welcome["states"])):
            _, body, fds = _expect(sock, "STATE", deadline)
            if body["name"] in (REGION, TICKETS) and len(fds) == 1:
                estate.states[body["name"]] = fds[0]
                _acknowledge(sock, "ACK", {"name": body["name"]})
            else:
                for fd in fds:
                    os.close(fd)
                _acknowledge(sock, "SKIP", {"name": body["name"]})
    except (OSError, KeyError, ValueError, TypeError) as error:
        close_all(estate)
        raise HandOffError(f"hand-over failed: {error!r}") from error
    except HandOffError:
        close_all(estate)
        raise
    estate.complete = True
    return estate


def _acknowledge(sock: socket.socket, kind: str, body: dict[str, Any]) -> None:
    """An old master that is gone by now has still given what it gave; whether it was all shows when we read on."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        send(sock, kind, body)


def _file(estate: Inheritance, groups: dict[str, Any], id_: str, fd: int) -> None:
    if id_.startswith("log:"):
        estate.logs[id_.removeprefix("log:")] = fd
        return
    name, _, _ = id_.rpartition("#")
    estate.listeners.append((name, groups[name], fd))


def _expect(
    sock: socket.socket, kind: str, deadline: float
) -> tuple[str, dict[str, Any], list[int]]:
    while True:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            received = receive(sock)
        finally:
            sock.settimeout(None)
        if received is None:
            raise HandOffError("the old master closed the channel")
        name, body, fds = received
        if name == kind:
            return received
        for fd in fds:
            os.close(fd)
        if name in ("REFUSE", "ABORT"):
            raise HandOffError(f"the old master refused: {body.get('why', 'no reason given')}")
        if name not in KNOWN:
            send(sock, "UNKNOWN", {"name": name})


def close_all(estate: Inheritance) -> None:
    """Give up what was received: an orphaned listener would keep taking connections nobody accepts."""
    fds = [fd for _, _, fd in estate.listeners] + list(estate.logs.values())
    for fd in [*fds, *estate.states.values()]:
        with contextlib.suppress(OSError):
            os.close(fd)
    estate.listeners, estate.logs, estate.states = [], {}, {}
