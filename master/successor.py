"""Starts the code on disk as a new master, with one end of an upgrade channel."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Final

from master import signals
from master.process import close_all_but

CHANNEL_VARIABLE: Final = "PINGPY_UPGRADE"
_EXCERPT_BYTES: Final = 2000
# What described our own birth would mislead the successor.
_NOT_INHERITED: Final = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID")


@dataclass(frozen=True, slots=True)
class Origin:
    """How this program was started, noted before anything changes it."""

    command: tuple[str, ...]
    folder: str
    environ: Mapping[str, str]

    @classmethod
    def note(cls) -> Origin:
        """To be called first thing."""
        environ = {k: v for k, v in os.environ.items() if k not in _NOT_INHERITED}
        environ.pop(CHANNEL_VARIABLE, None)
        return cls(tuple(restart_command(sys.orig_argv)), os.getcwd(), environ)


def restart_command(argv: Sequence[str]) -> list[str]:
    """The command that runs the code on disk.

    A script is started by itself: its first line names the interpreter of the version that is
    installed now, which after the exchange of a link need not be the one that runs us. Otherwise our
    own interpreter, by its absolute name as it was found (a link stays a link).
    """
    rest = list(argv[1:])
    if rest and os.path.isfile(rest[0]) and os.access(rest[0], os.X_OK):
        return [os.path.abspath(rest[0]), *rest[1:]]
    # -m needs the current folder when it runs from a checkout; refuse_strangers() watches over that.
    safe = [] if "-P" in rest or "-m" in rest else ["-P"]
    return [sys.executable or argv[0], *safe, *rest]


@dataclass(slots=True)
class Successor:
    """A new master that we started: its process, our end of the channel, and what it said on stderr at first."""

    pid: int
    pidfd: int
    channel: socket.socket
    stderr_fd: int

    def excerpt(self) -> str:
        """The end of what it wrote before it took over its own stderr: why it died."""
        size = os.fstat(self.stderr_fd).st_size
        text = os.pread(self.stderr_fd, _EXCERPT_BYTES, max(0, size - _EXCERPT_BYTES))
        lines = text.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def launch(origin: Origin) -> Successor:
    """Fork and exec; raises OSError when not even the fork succeeds."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stderr_fd = os.memfd_create("pingpy-successor-stderr", os.MFD_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        os.close(stderr_fd)
        raise
    if pid == 0:
        _exec(origin, theirs, stderr_fd)
    theirs.close()
    ours.setblocking(False)
    return Successor(pid, os.pidfd_open(pid), ours, stderr_fd)


def _exec(origin: Origin, channel: socket.socket, stderr_fd: int) -> None:
    """In the child. Signals stay blocked across the exec: there is no window in which one kills."""
    with contextlib.suppress(BaseException):
        real_stderr = os.dup(2)
        close_all_but({channel.fileno(), real_stderr, stderr_fd})
        os.dup2(stderr_fd, 2)
        os.set_inheritable(channel.fileno(), True)
        os.set_inheritable(real_stderr, True)
        environ = dict(origin.environ)
        environ[CHANNEL_VARIABLE] = f"{channel.fileno()}:{real_stderr}"
        try:
            os.chdir(origin.folder)
            os.execve(origin.command[0], origin.command, environ)
        except OSError as error:
            os.write(2, f"cannot execute {origin.command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def inherited_channel(environ: MutableMapping[str, str]) -> socket.socket | None:
    """The new master's end; takes its own stderr back, since from now on it can speak for itself."""
    text = environ.pop(CHANNEL_VARIABLE, "")
    if not text:
        return None
    signals.block()
    channel_fd, _, stderr_fd = text.partition(":")
    if stderr_fd:
        os.dup2(int(stderr_fd), 2)
        os.close(int(stderr_fd))
    fd = int(channel_fd)
    os.set_inheritable(fd, False)
    return socket.socket(fileno=fd)
