"""What is left of a superseded master that is pid 1: were it to end before its successor, the container would."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Callable

from master import signals


def stand_in(owner: Callable[[], int | None], successor: int) -> int:
    """Pass signals on to whoever owns the service, bury orphans; returns the exit code of the last owner."""
    fd = signals.open_signalfd()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    last, code = successor, 0
    while True:
        poll.poll()
        for received in signals.read_signals(fd):
            last = owner() or last
            if received.name != "CHLD":
                with contextlib.suppress(ProcessLookupError):
                    os.kill(last, getattr(signal, f"SIG{received.name}"))
        while True:
            try:
                status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG)
            except ChildProcessError:
                return code
            if status is None:
                break
            if status.si_pid == last:
                code = status.si_status if status.si_code == os.CLD_EXITED else 1
