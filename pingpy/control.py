"""Carries the few messages between the master and its workers, and describes what a worker is born with.

One message is one JSON object in one SOCK_SEQPACKET packet; descriptors travel with the packet that
names them (SCM_RIGHTS). The order at start:

    worker  HELLO ────────────────► master
    worker  ◄─ LISTENERS (several, the last one says so), LOGS ── master
    worker  PROGRESS* READY ──────► master          FATAL instead, when it cannot
    worker  ◄─ GO ─────────────────  master
    worker  ACCEPTING ────────────► master

Later the master sends DRAIN, RESUME, REOPEN, ADOPT, RELEASE and STOP in any order. A worker told to
DRAIN answers DRAINED when nothing is left and then waits: RESUME may still come (a reload that is
rolled back), STOP is what lets it exit. A worker that drains by itself (TERM or QUIT sent to it
directly) says LEAVING, gets a replacement, and exits when it is done.
End of file on the channel means that the master is gone: the worker drains itself and exits.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from pingpy.config.source import ConfigSource

SCOUT_SLOT: Final = -1
MAX_PACKET_BYTES: Final = 128 * 1024  # below the default SO_SNDBUF, which bounds one packet
MAX_FDS: Final = 64  # the kernel takes 253 in one message; small batches keep packets small
_TEXT_LIMIT: Final = 16 * 1024  # of a FATAL's traceback, so that it always fits one packet


class ControlError(Exception):
    """The other end sent something that is not a message, or descriptors were lost on the way."""


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """All that a worker (or the scout, slot -1) is born with; its listeners come over the channel.

    `source` holds the configuration's bytes as the master read them once, so that the checker, every
    worker and the scout see the same text whatever happens to the file meanwhile.
    """

    generation: int
    slot: int
    worker_count: int
    cpu: int
    channel: socket.socket
    source: ConfigSource
    region_fd: int
    slab: int
    parent_pid: int
    config_hash: str
    orphan_timeout_seconds: float = 30.0
    upgraded: bool = False  # born in a master that took over from another one
    # Certificates and keys by the names in the configuration: the master read them with its privileges.
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    tickets_fd: int = -1  # the page of keys for TLS session tickets; -1: there are no tickets


@dataclass(frozen=True, slots=True)
class ListenerItem:
    """One listening descriptor: `address` as the configuration spells it, `slot` its place in the group."""

    id: str
    address: str
    kind: str  # "tcp4", "tcp6" or "unix"
    slot: int = 0
    slots: int = 1
    backlog: int = 4096  # asyncio's create_server(sock=...) calls listen() again: pass this


class Message:
    """A message of the channel; the class name in capitals is its type on the wire."""

    __slots__ = ()
    TYPES: ClassVar[dict[str, type[Message]]] = {}

    def __init_subclass__(cls) -> None:
        Message.TYPES[cls.__name__.upper()] = cls


# dataclass(slots=True) makes a second class, whose registration replaces the first one's.


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Worker: I run, my handlers are installed."""

    pid: int
    generation: int
    slot: int


@dataclass(frozen=True, slots=True)
class Progress(Message):
    """Worker: still busy with `phase`; extends the time it has to become ready."""

    phase: str


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """Worker: everything is built; one GO and I accept."""

    config_hash: str = ""
    rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Accepting(Message):
    """Worker: I take new connections (answer to GO and to RESUME)."""


@dataclass(frozen=True, slots=True)
class Drained(Message):
    """Worker: nothing is left; I wait for STOP or RESUME."""


@dataclass(frozen=True, slots=True)
class Leaving(Message):
    """Worker: I was told by a signal to drain; I exit by myself when done."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fatal(Message):
    """Worker: I am about to exit with a failure, for this reason."""

    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Listeners(Message):
    """Master: your listeners, one descriptor per item; more packets follow unless `last`."""

    items: tuple[ListenerItem, ...]
    last: bool = True


@dataclass(frozen=True, slots=True)
class Logs(Message):
    """Master: the log files, one descriptor per name ("access", "error")."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Go(Message):
    """Master: start to accept."""


@dataclass(frozen=True, slots=True)
class Drain(Message):
    """Master: stop accepting, finish what is there. A second DRAIN replaces the first one's limits.

    `reason` is "reload", "upgrade", "stop" or "pause"; on "stop" the readiness answer turns 503 at
    once while accepting goes on for `accept_seconds` more.
    """

    reason: str
    deadline_seconds: float
    tunnel_deadline_seconds: float
    linger_seconds: float
    accept_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Resume(Message):
    """Master: forget the drain, accept again."""


@dataclass(frozen=True, slots=True)
class Reopen(Message):
    """Master: new descriptors for these logs, opened by me; the old ones may be closed."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adopt(Message):
    """Master: also accept from these, whose own worker is missing."""

    items: tuple[ListenerItem, ...]


@dataclass(frozen=True, slots=True)
class Release(Message):
    """Master: stop accepting from these adopted listeners, and close them."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop(Message):
    """Master: exit now; whatever is left is cut."""


@dataclass(frozen=True, slots=True)
class Unknown(Message):
    """A type this version does not know: logged and ignored, never fatal."""

    name: str


def encode(message: Message) -> bytes:
    """The packet of a message."""
    body = asdict(message)  # type: ignore[call-overload]
    if isinstance(message, Fatal):
        body["message"] = message.message[:_TEXT_LIMIT]
        body["traceback"] = message.traceback[-_TEXT_LIMIT:]
    return json.dumps({"type": type(message).__name__.upper(), **body}).encode()


def decode(packet: bytes) -> Message:
    """The message of a packet; raises ControlError when it is not one."""
    try:
        body = json.loads(packet)
        name = body.pop("type")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ControlError(f"not a control message: {packet[:80]!r}") from error
    kind = Message.TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        return Unknown(str(name)[:80])
    try:
        return _build(kind, body)
    except (TypeError, ValueError) as error:
        raise ControlError(f"malformed {name}: {error}") from error


def _build(kind: type[Message], body: dict[str, Any]) -> Message:
    # Fields this version does not know are dropped: a newer peer may say more.
    values = {}
    for part in fields(kind):  # type: ignore[arg-type]
        if part.name not in body:
            if part.default is MISSING:
                raise ValueError(f"{part.name} is missing")
            continue
        value = body[part.name]
        if part.name == "items":
            known = {item.name for item in fields(ListenerItem)}
            value = tuple(
                ListenerItem(**{key: entry[key] for key in entry if key in known})
                for entry in value
            )
        elif isinstance(value, list):
            value = tuple(value)
        values[part.name] = value
    return kind(**values)


def send_packet(
    sock: socket.socket, packet: bytes, fds: Sequence[int] = (), *, wait: bool = True
) -> None:
    """Send one packet with its descriptors; raises OSError, BlockingIOError when it would wait."""
    ancillary = []
    if fds:
        data = b"".join(fd.to_bytes(4, "little") for fd in fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, data)]
    flags = socket.MSG_NOSIGNAL | (0 if wait else socket.MSG_DONTWAIT)
    sock.sendmsg([packet], ancillary, flags)


def receive_packet(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """One packet and its descriptors, all close-on-exec; None at end of file.

    Not socket.recv_fds: it ignores its flags, so what it receives leaks into every later exec.
    Raises ControlError when the packet or the list of descriptors was cut short.
    """
    space = socket.CMSG_SPACE(4 * MAX_FDS)
    data, ancillary, flags, _ = sock.recvmsg(MAX_PACKET_BYTES, space, socket.MSG_CMSG_CLOEXEC)
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            usable = len(payload) - len(payload) % 4
            fds += [int.from_bytes(payload[i : i + 4], "little") for i in range(0, usable, 4)]
    if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
        for fd in fds:
            os.close(fd)
        raise ControlError("a control message was cut short: descriptors or bytes were lost")
    if not data:
        return None
    return data, fds


class Channel:
    """One end of a control channel."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def fileno(self) -> int:
        """The descriptor, for a poll."""
        return self.sock.fileno()

    def send(self, message: Message, fds: Sequence[int] = (), *, wait: bool = True) -> None:
        """Send one message with its descriptors; at most MAX_FDS of them."""
        if len(fds) > MAX_FDS:
            raise ControlError(f"{len(fds)} descriptors in one message, at most {MAX_FDS}")
        send_packet(self.sock, encode(message), fds, wait=wait)

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message and its descriptors; None when the other end is gone.

        Follows the socket's blocking mode (BlockingIOError when nothing is there).
        """
        try:
            received = receive_packet(self.sock)
        except ConnectionResetError:
            # It died with our last message unread; what it said before (FATAL!) is still here.
            received = receive_packet(self.sock)
        if received is None:
            return None
        packet, fds = received
        try:
            return decode(packet), fds
        except ControlError:
            for fd in fds:
                os.close(fd)
            raise

    def close(self) -> None:
        """Close this end; the other one reads end of file."""
        self.sock.close()


def pair() -> tuple[Channel, Channel]:
    """Two connected ends, close-on-exec."""
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(left), Channel(right)
