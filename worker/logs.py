"""A worker's log files: taken from the master, exchanged on its word, reopened by path when told so directly."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable

from pingpy.config.plan import Plan
from pingpy.log import logger, reopen
from worker.channel import close_quietly

ACCESS = "access"
ERROR = "error"
QUIET_SECONDS = 60.0


class LogFiles:
    """`use_access_log`: takes a descriptor over as the access log, and closes the one before.

    `lines_dropped`: how many lines of it were lost so far, because the disk was full or the reader of a pipe slow.
    """

    def __init__(
        self, plan: Plan, use_access_log: Callable[[int], None], lines_dropped: Callable[[], int]
    ) -> None:
        self._plan = plan
        self._use_access_log = use_access_log
        self._lines_dropped = lines_dropped
        self._told_dropped = 0
        self._quiet_until_seconds = 0.0

    def watch(self, now_seconds: float) -> None:
        """Tell of lines that were lost since the last time, at most once a minute."""
        dropped = self._lines_dropped()
        if dropped > self._told_dropped and now_seconds >= self._quiet_until_seconds:
            lost = dropped - self._told_dropped
            logger.error("access log: %d lines could not be written and are lost", lost)
            self._told_dropped = dropped
            self._quiet_until_seconds = now_seconds + QUIET_SECONDS

    def take(self, names: tuple[str, ...], fds: list[int]) -> None:
        """New descriptors from the master, which may open what a worker may not."""
        for name, fd in zip(names, fds, strict=True):
            self._exchange(name, fd)

    def reopen_by_path(self) -> None:
        """A signal came to this worker alone: open the files as far as its user may; failure keeps the old ones."""
        for name, log in ((ACCESS, self._plan.access_log), (ERROR, self._plan.error_log)):
            if log.kind != "path":
                continue
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            try:
                fd = os.open(log.path, flags, 0o640)
            except OSError as error:
                logger.warning("%s log not reopened: %s", name, error)
            else:
                self._exchange(name, fd)

    def _exchange(self, name: str, fd: int) -> None:
        if name == ACCESS:
            self._use_access_log(fd)
        elif name == ERROR:
            use_error_log(fd)
        else:
            close_quietly(fd)


def use_error_log(fd: int) -> None:
    """Log to this descriptor from now on, and close the one before."""
    old = reopen(fd)
    # Its dump of a wedged process must not go to a number that something else has by then.
    faulthandler.enable(file=fd, all_threads=True)
    # The standard streams stay: a library may still write to them, and their numbers must not be given away.
    if old > 2:
        close_quietly(old)
