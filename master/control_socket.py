"""The Unix socket through which the command line and a newcomer (-u) talk to the running master.

The running master always listens and the newcomer connects. 0600 in a 0700 folder; who may speak is
decided by SO_PEERCRED; a client has 3 seconds for its first packet, which is at most 64 KiB, and there
are at most 8 clients.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

MAX_CLIENTS: Final = 8
HELLO_SECONDS: Final = 3.0
MAX_REQUEST_BYTES: Final = 64 * 1024
SOCKET_NAME: Final = "control.sock"


class AlreadyRunningError(Exception):
    """Another master answers at this path."""


@dataclass(slots=True)
class Client:
    """One connection."""

    number: int
    sock: socket.socket
    pid: int
    uid: int
    deadline: float  # infinite once it has said what it wants


def make_runtime_dir(path: str) -> None:
    """A folder that only we can enter; raises OSError when it belongs to somebody else."""
    with contextlib.suppress(FileExistsError):
        os.makedirs(path, 0o700)
    found = os.stat(path)
    if found.st_uid not in (os.geteuid(), 0):
        raise PermissionError(f"{path} belongs to uid {found.st_uid}")


def listen(runtime_dir: str, *, replace: bool = False) -> socket.socket:
    """The listening socket; raises AlreadyRunningError, OSError.

    A stale path is unlinked only when nobody answers, and under a lock, so that two starting masters
    cannot unlink each other's. With `replace` (the new owner after an upgrade) the path changes hands
    by rename, without a moment in which it does not exist.
    """
    path = os.path.join(runtime_dir, SOCKET_NAME)
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        draft = f"{path}.{os.getpid()}"
        if not replace:
            _refuse_if_answered(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        sock.bind(draft)
        os.chmod(draft, 0o600)
        sock.listen(MAX_CLIENTS)
        sock.setblocking(False)
        os.replace(draft, path)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(lock)
    return sock


def _refuse_if_answered(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.settimeout(2)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return
        except (TimeoutError, BlockingIOError):
            raise AlreadyRunningError("already running, but not answering") from None
        raise AlreadyRunningError(f"already running, pid {peer_of(probe)[0]}")


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Pid and uid of the process that connected (or listens) at the other end."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, uid


class ControlSocket:
    """Accepts clients and reads their first packet."""

    def __init__(self, sock: socket.socket, allowed: Iterable[str | int]) -> None:
        self.sock = sock
        self.allow(allowed)
        self.clients: dict[int, Client] = {}
        self._next = 1

    def allow(self, users: Iterable[str | int]) -> None:
        """Root, ourselves, and these."""
        self.allowed_uids = {0, os.geteuid(), *resolve_users(users)}

    def accept(self, now: float) -> Client | None:
        """A new client; None when it was turned away (the 9th, or a stranger)."""
        try:
            sock, _ = self.sock.accept()
        except OSError:
            return None
        pid, uid = peer_of(sock)
        refusal = None
        if uid not in self.allowed_uids:
            refusal = (77, f"uid {uid} may not control this instance")
        elif len(self.clients) >= MAX_CLIENTS:
            refusal = (1, "too many control connections")
        sock.setblocking(False)
        if refusal:
            send_json(sock, {"type": "REPLY", "code": refusal[0], "text": refusal[1]})
            sock.close()
            return None
        client = Client(self._next, sock, pid, uid, now + HELLO_SECONDS)
        self._next += 1
        self.clients[client.number] = client
        return client

    def read(self, client: Client) -> dict[str, Any] | None:
        """What it wants; None when it is gone or spoke nonsense."""
        try:
            data, _, flags, _ = client.sock.recvmsg(MAX_REQUEST_BYTES)
        except BlockingIOError:
            return {}
        except OSError:
            return None
        if not data or flags & socket.MSG_TRUNC:
            return None
        with contextlib.suppress(ValueError):
            body = json.loads(data)
            if isinstance(body, dict):
                return body
        return None

    def reply(self, number: int, body: dict[str, Any]) -> None:
        """Answer; the connection stays until the client closes it."""
        client = self.clients.get(number)
        if client is not None:
            send_json(client.sock, body)

    def drop(self, client: Client) -> None:
        """Forget a client and close its connection."""
        self.clients.pop(client.number, None)
        client.sock.close()

    def release(self, client: Client) -> socket.socket:
        """Give its connection away: it becomes an upgrade channel."""
        self.clients.pop(client.number, None)
        return client.sock

    def overdue(self, now: float) -> list[Client]:
        """Clients that connected and said nothing."""
        return [client for client in self.clients.values() if now >= client.deadline]

    def next_deadline(self) -> float:
        """When overdue() is wanted."""
        return min((c.deadline for c in self.clients.values()), default=float("inf"))


def send_json(sock: socket.socket, body: dict[str, Any]) -> None:
    """One packet, without waiting: a client that does not read loses its answer."""
    flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
    with contextlib.suppress(OSError):
        sock.send(json.dumps(body).encode(), flags)


def resolve_users(users: Iterable[str | int]) -> set[int]:
    """Names to numbers; a name that does not exist grants nothing."""
    found = set()
    for user in users:
        if isinstance(user, int):
            found.add(user)
            continue
        with contextlib.suppress(KeyError):
            found.add(pwd.getpwnam(user).pw_uid)
    return found
