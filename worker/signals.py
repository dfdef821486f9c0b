"""What signals mean to a worker and to the scout: TERM and QUIT drain, USR1 reopens logs, the master's do nothing."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
from collections.abc import Callable

# A signal to the whole process group or control group is meant for the master (a closing terminal, Ctrl-C, kill -HUP).
FOR_THE_MASTER = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR2,
    signal.SIGWINCH,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGPIPE,
)


def install(
    loop: asyncio.AbstractEventLoop,
    *,
    drain: Callable[[str], None],
    reopen: Callable[[], None],
    dump_fd: int = 2,
) -> None:
    """Put the handlers in place, then let signals in: the master forks its children with them blocked."""
    faulthandler.enable(file=dump_fd, all_threads=True)
    for number in FOR_THE_MASTER:
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGQUIT):
        loop.add_signal_handler(number, drain, number.name)
    loop.add_signal_handler(signal.SIGUSR1, reopen)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
