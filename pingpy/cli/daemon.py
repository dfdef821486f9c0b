"""Goes to the background, and lets the foreground end only when the service is ready, or cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable


def daemonize() -> Callable[[], None]:
    """Returns in the background process, with the function that releases the foreground.

    The foreground exits 0 when that is called, and with the service's own exit code when it ends before.
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
    released = False

    def release() -> None:
        nonlocal released
        if not released:
            released = True
            os.dup2(null, 1)
            if os.isatty(2):
                os.dup2(null, 2)
            os.write(writer, b"1")
            os.close(writer)

    return release
