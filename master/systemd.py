"""Speaks sd_notify, takes sockets from systemd and stores ours there, so that they survive kill -9 of everything."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Final

from pingpy.control import MAX_FDS

FIRST_FD: Final = 3
STORED_PREFIX: Final = "pingpy-stored-"
BARRIER_SECONDS: Final = 5.0


class Notifier:
    """One datagram per message to $NOTIFY_SOCKET; silent without one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        # systemd advises to ping at half of the time.
        self.watchdog_seconds = int(watchdog) / 2e6 if watchdog.isdigit() and mine else 0.0

    @property
    def active(self) -> bool:
        """Whether somebody listens."""
        return bool(self.address)

    def send(self, *lines: str, fds: Iterable[int] = ()) -> None:
        """Send; a service manager that does not listen must not stop us."""
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        data = b"".join(fd.to_bytes(4, "little") for fd in fds)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, data)] if data else []
        flags = socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.connect(address)
                sock.sendmsg(["\n".join(lines).encode()], ancillary, flags)
            except OSError:
                return

    def ready(self, status: str = "") -> None:
        """Started, or a reload is over (whatever came of it)."""
        self.send("READY=1", *_status(status))

    def reloading(self) -> None:
        """A reload begins; without the time stamp `systemctl reload` would hang or return early."""
        stamp = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.send("RELOADING=1", f"MONOTONIC_USEC={stamp}")

    def stopping(self) -> None:
        """The service ends; irrevocable, so never during an upgrade."""
        self.send("STOPPING=1")

    def status(self, text: str) -> None:
        """The line in `systemctl status`."""
        self.send(*_status(text))

    def watchdog(self) -> None:
        """Still alive."""
        self.send("WATCHDOG=1")

    def main_pid(self, pid: int) -> None:
        """Another process is the service now; only the one that was main may say so."""
        self.send(f"MAINPID={pid}")
        self.barrier()

    def barrier(self, seconds: float = BARRIER_SECONDS) -> bool:
        """Wait until systemd has read everything so far: it closes the pipe it is given."""
        if not self.address:
            return True
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self.send("BARRIER=1", fds=[writer])
            os.close(writer)
            poll = select.poll()
            poll.register(reader, select.POLLHUP)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(reader)

    def store(self, id_: str, fds: list[int]) -> None:
        """Leave duplicates of a listener's sockets with systemd; those it has already it ignores."""
        for start in range(0, len(fds), MAX_FDS):
            self.send("FDSTORE=1", f"FDNAME={stored_name(id_)}", fds=fds[start : start + MAX_FDS])

    def unstore(self, id_: str) -> None:
        """Forget a listener's."""
        self.send("FDSTOREREMOVE=1", f"FDNAME={stored_name(id_)}")


def stored_name(id_: str) -> str:
    """The name of a listener in systemd's store, where a colon separates names."""
    return STORED_PREFIX + id_.replace(":", "_")[:200]


def _status(text: str) -> list[str]:
    first = text.split("\n", 1)[0]
    return [f"STATUS={first[:300]}"] if first else []


@dataclass(frozen=True, slots=True)
class Passed:
    """A socket from systemd, known by its address."""

    fd: int
    id: str
    kind: str
    unix_path: str
    stored: bool  # it is one that we left there ourselves


def passed_sockets(environ: MutableMapping[str, str]) -> list[Passed]:
    """The listening sockets in LISTEN_FDS, by address; the variables are removed so that no child reads them."""
    count = environ.pop("LISTEN_FDS", "0")
    pid = environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    environ.pop("LISTEN_PIDFDID", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for index in range(int(count)):
        fd = FIRST_FD + index
        try:
            os.set_inheritable(fd, False)
            # systemd's own are blocking: a worker would hang in accept() once a sibling has taken the client.
            os.set_blocking(fd, False)
            id_, kind, path = identify(fd)
        except OSError:
            continue
        name = names[index] if index < len(names) else ""
        found.append(Passed(fd, id_, kind, path, name.startswith(STORED_PREFIX)))
    return found


def identify(fd: int) -> tuple[str, str, str]:
    """A socket's listener id as the plan spells it, its kind, and its path if it has one. Raises OSError."""
    sock = socket.socket(fileno=fd)
    try:
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            return f"unix:{name}", "unix", str(name)
        host, port = name[0], name[1]
        if sock.family == socket.AF_INET6:
            return f"tcp6/[{host}]:{port}", "tcp6", ""
        return f"tcp4/{host}:{port}", "tcp4", ""
    finally:
        sock.detach()
