"""The error log: one line per event, the same form in master, workers and scout.

    2026-01-31T12:00:00.123+01:00 [warn] 4711#2 g7: message

4711 is the process, 2 the worker's slot (m the master, s the scout, c the checker), 7 the generation.
A line leaves in one write(2) on an O_APPEND descriptor, so lines of several processes never mix.
Where the descriptor is systemd's journal, each line begins with its priority, as sd-daemon(3) has it: <4>.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Final

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
MASTER: Final = "m"
SCOUT: Final = "s"
CHECKER: Final = "c"

logger: Final = logging.getLogger("pingpy")
_NAMES: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}
_PRIORITIES: Final = {"debug": "<7>", "info": "<6>", "warn": "<4>", "error": "<3>"}


class LineFormatter(logging.Formatter):
    """Writes the line described above; a line break inside a message would forge a line."""

    def __init__(self, who: str = MASTER, generation: int = 0) -> None:
        super().__init__()
        self.who = who
        self.generation = generation
        self.for_journal = False

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line; a traceback follows on indented lines."""
        moment = time.localtime(record.created)
        zone = time.strftime("%z", moment)
        stamp = (
            f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{int(record.msecs):03d}"
            f"{zone[:3]}:{zone[3:]}"
        )
        level = _NAMES.get(record.levelno, "info")
        message = record.getMessage().rstrip("\n").replace("\r", "\\r").replace("\n", "\n    ")
        line = f"{stamp} [{level}] {os.getpid()}#{self.who} g{self.generation}: {message}"
        if record.exc_info:
            text = self.formatException(record.exc_info)
            line += "\n    " + text.replace("\n", "\n    ")
        if self.for_journal:  # which takes every line for an entry
            priority = _PRIORITIES[level]
            return priority + line.replace("\n", f"\n{priority}")
        return line


class DescriptorHandler(logging.Handler):
    """Writes to a descriptor that can be exchanged; a full disk must never stop serving."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.fd = fd

    def emit(self, record: logging.LogRecord) -> None:
        """One write; what cannot be written is lost."""
        try:
            os.write(self.fd, (self.format(record) + "\n").encode("utf-8", "backslashreplace"))
        except OSError:
            return
        except Exception:
            self.handleError(record)


_handler: Final = DescriptorHandler(2)
_formatter: Final = LineFormatter()
_handler.setFormatter(_formatter)


def setup(
    level: str = "info", *, fd: int = 2, who: str | int = MASTER, generation: int = 0
) -> logging.Logger:
    """Make this process log lines of this form to `fd`; may be called again after a fork."""
    _formatter.who = str(who)
    _formatter.generation = generation
    reopen(fd)
    logger.handlers = [_handler]
    logger.propagate = False
    logger.setLevel(LEVELS[level])
    logging.raiseExceptions = False  # a broken message must not print to a stderr that may be gone
    sys.unraisablehook = _log_unraisable
    return logger


def reopen(fd: int) -> int:
    """From now on write to `fd`; returns the old descriptor, which the caller may close."""
    old, _handler.fd = _handler.fd, fd
    _formatter.for_journal = is_journal(fd, os.environ.get("JOURNAL_STREAM", ""))
    return old


def is_journal(fd: int, stream: str) -> bool:
    """Whether a descriptor is the stream that systemd names, as "device:inode" (systemd.exec(5), $JOURNAL_STREAM)."""
    if not stream:
        return False
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return f"{status.st_dev}:{status.st_ino}" == stream


def _log_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    logger.error("ignored in %r: %r", unraisable.object, unraisable.exc_value)
