"""Opens the log files as the master, which has the rights, and hands out descriptors.

A file that cannot be opened anew keeps its old descriptor: logging goes on in the old file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Final

from pingpy.config.plan import LogPlan, Plan

STDERR: Final = 2
STDOUT: Final = 1
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class LogFileError(Exception):
    """A log file that was asked for cannot be opened."""


class LogFiles:
    """One descriptor per path, shared by all generations that log there."""

    def __init__(self) -> None:
        self.fds: dict[str, int] = {}
        self.warnings: list[str] = []

    def open_all(self, plan: Plan) -> None:
        """Open what this plan needs and is not open; raises LogFileError."""
        self.warnings = []
        for log in (plan.access_log, plan.error_log):
            if log.kind == "path" and log.path not in self.fds:
                try:
                    self.fds[log.path] = open_log(log.path, make_folder=log.fallback)
                except OSError as error:
                    text = f"cannot open the log {log.path}: {error.strerror or error}"
                    if not log.fallback:
                        raise LogFileError(text) from error
                    self.warnings.append(f"{text}; the access log goes to stderr")

    def names_of(self, plan: Plan) -> dict[str, int]:
        """What a worker of this plan gets: "access" and "error", absent when switched off."""
        found = {"access": self._fd(plan.access_log), "error": self._fd(plan.error_log)}
        return {name: fd for name, fd in found.items() if fd >= 0}

    def error_fd(self, plan: Plan) -> int:
        """Where the error log of this plan goes."""
        fd = self._fd(plan.error_log)
        return fd if fd >= 0 else STDERR

    def reopen(self) -> tuple[list[int], list[str]]:
        """Open every path anew; returns the replaced descriptors, for the caller to close, and complaints."""
        replaced, complaints = [], []
        for path, old in list(self.fds.items()):
            try:
                self.fds[path] = open_log(path)
            except OSError as error:
                complaints.append(f"cannot reopen {path}, still writing to the old file: {error}")
                continue
            replaced.append(old)
        return replaced, complaints

    def keep_only(self, plans: Iterable[Plan]) -> None:
        """Close what no live plan names."""
        wanted = {log.path for plan in plans for log in (plan.access_log, plan.error_log)}
        for path in [path for path in self.fds if path not in wanted]:
            with contextlib.suppress(OSError):
                os.close(self.fds.pop(path))

    def _fd(self, log: LogPlan) -> int:
        match log.kind:
            case "off":
                return -1
            case "stdout":
                return STDOUT
            case "stderr":
                return STDERR
            case "path":
                return self.fds.get(log.path, STDERR)


def open_log(path: str, *, make_folder: bool = False) -> int:
    """An append-only descriptor; a folder is made only for the default place. Raises OSError."""
    if make_folder:
        with contextlib.suppress(OSError):
            os.mkdir(os.path.dirname(path), 0o750)
    return os.open(path, _FLAGS, 0o640)
