"""Notices that something blocks the event loop, and names the line of user code that does it while it still does."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

from pingpy.loading import is_foreign
from pingpy.log import logger

BLOCKED_SECONDS = 0.5
CHECK_SECONDS = 0.1


class LagWatch:
    """Decides: told when the loop runs, and by a second thread what the loop's thread does, it finds the words."""

    def __init__(self, blocked_seconds: float = BLOCKED_SECONDS) -> None:
        self._blocked_seconds = blocked_seconds
        self._marked = 0.0
        self._culprit = ""
        self._told = False

    def mark(self, now: float, due: float) -> str:
        """The loop runs again; `due` is when it should have. Returns a line for the log when it was blocked."""
        late = now - due
        culprit, told = self._culprit, self._told
        self._marked, self._culprit, self._told = now, "", False
        if late < self._blocked_seconds:
            return ""
        if told:
            return f"the event loop runs again after {late:.1f} s, blocked by {culprit}"
        return f"the event loop was blocked for {late:.1f} s"

    def blocked(self, now: float, interval_seconds: float) -> bool:
        """Whether the loop is overdue and nothing was said of it yet."""
        if self._told or not self._marked:
            return False
        return now - self._marked >= interval_seconds + self._blocked_seconds

    def accuse(self, frame: FrameType | None, now: float, interval_seconds: float) -> str:
        """The line for the log: the innermost user code on the stack of the loop's thread."""
        self._told = True
        self._culprit = culprit(frame)
        late = now - self._marked - interval_seconds
        return f"the event loop has been blocked for {late:.1f} s by {self._culprit}"


def culprit(frame: FrameType | None) -> str:
    """Innermost frame of a user's file as `function (file:line)`, else the innermost frame at all."""
    innermost = frame
    while frame is not None:
        if is_foreign(frame.f_code.co_filename):
            return _place(frame)
        frame = frame.f_back
    return "pingpy itself" if innermost is None else _place(innermost)


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"


class LagThread:
    """Acts: a thread that looks at the loop's thread. Started only where there is user code that could block."""

    def __init__(
        self, watch: LagWatch, interval_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`interval_seconds`: how often the loop calls `watch.mark`."""
        self._watch = watch
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._observed = threading.get_ident()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)

    def start(self) -> None:
        """Called by the loop's own thread, which is the one that is watched from now on."""
        self._observed = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopping.wait(CHECK_SECONDS):
            now = self._clock()
            if self._watch.blocked(now, self._interval_seconds):
                # What pingpy must know is what the other thread does this very moment.
                frame = sys._current_frames().get(self._observed)
                logger.warning("%s", self._watch.accuse(frame, now, self._interval_seconds))
