"""Goes to the background, and lets the foreground end only when the service is ready, or cannot be."""

from __future__ import annotations

import contextlib
import os


class Background:
    """The background process's ties to the foreground, cut one after the other."""

    def __init__(self, writer: int) -> None:
        self._writer = writer
        # Ours alone (close-on-exec, and workers close it): why a start fails is still said there.
        self._terminal = os.dup(2)
        os.set_inheritable(self._terminal, False)

    def say(self, text: str) -> None:
        """To whoever started us, while they wait."""
        if self._terminal >= 0:
            with contextlib.suppress(OSError):
                os.write(self._terminal, f"{text}\n".encode())

    def leave_terminal(self, log_fd: int, *, keep_stdout: bool) -> None:
        """Before the first fork: what goes to stderr from now on goes to the error log."""
        if log_fd != 2:
            os.dup2(log_fd, 2)
        if not keep_stdout:
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            os.dup2(null, 1)
            os.close(null)

    def ready(self) -> None:
        """The service accepts: the foreground may end."""
        if self._writer >= 0:
            with contextlib.suppress(OSError):
                os.write(self._writer, b"1")
            os.close(self._writer)
            os.close(self._terminal)
            self._writer = self._terminal = -1


def daemonize() -> Background:
    """Returns in the background process.

    The foreground exits 0 when the service is ready, and with the service's own exit code when it ends before.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child:
        os.close(writer)
        if os.read(reader, 1):
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) or 1)
    os.close(reader)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)
    return Background(writer)
