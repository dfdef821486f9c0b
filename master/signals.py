"""Signals as data: blocked for ever in the master, read from a signalfd with their sender.

No handler code runs, there is no window at start in which a signal kills, and the pid and uid of the
sender come with it. CPython has no wrapper for signalfd(2), hence ctypes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# Those that mean something to the master; CHLD is here so that a foreign child wakes us (pid 1).
MASTER_SIGNALS: Final = frozenset(
    getattr(signal, f"SIG{name}")
    for name in ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "TTIN", "TTOU", "CHLD"]
)
# What a terminal, a closing session or `kill` of the whole group must not do to a worker.
IGNORED_BY_WORKERS: Final = frozenset(
    getattr(signal, f"SIG{name}")
    for name in ["HUP", "INT", "USR2", "WINCH", "TTIN", "TTOU", "PIPE"]
)
_INFO_BYTES: Final = 128
_CLOEXEC_NONBLOCK: Final = os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Received:
    """One signal: its name without SIG, and who sent it."""

    name: str
    pid: int
    uid: int


def block() -> None:
    """From now on no signal of ours does anything by itself; an exec keeps it so."""
    signal.pthread_sigmask(signal.SIG_BLOCK, MASTER_SIGNALS)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def open_signalfd(signals: Iterable[int] = MASTER_SIGNALS) -> int:
    """A descriptor that becomes readable when one of the (blocked) signals arrives; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    mask = ctypes.create_string_buffer(128)  # sigset_t of glibc and musl
    libc.sigemptyset(mask)
    for number in signals:
        libc.sigaddset(mask, int(number))
    fd: int = libc.signalfd(-1, mask, _CLOEXEC_NONBLOCK)
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"signalfd: {os.strerror(code)}")
    return fd


def read_signals(fd: int) -> list[Received]:
    """All signals that wait."""
    try:
        data = os.read(fd, 64 * _INFO_BYTES)
    except BlockingIOError:
        return []
    found = []
    for offset in range(0, len(data) - _INFO_BYTES + 1, _INFO_BYTES):
        number, _, _, pid, uid = struct.unpack_from("=IiiII", data, offset)
        found.append(Received(signal.Signals(number).name.removeprefix("SIG"), pid, uid))
    return found


def reset_in_worker() -> None:
    """In a forked child: nothing of the master's is left, and what is not for workers is ignored.

    TERM, QUIT, USR1 and CHLD stay blocked until the child has installed its handlers.
    """
    for number in MASTER_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    for number in IGNORED_BY_WORKERS:
        signal.signal(number, signal.SIG_IGN)
