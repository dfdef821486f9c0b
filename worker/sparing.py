"""Lets a few lines of one kind into the error log, then one in a while: a flood must not fill the disk."""

from __future__ import annotations

from collections.abc import Callable

# Enough to see what an operator is just trying out; then at most 3,000 lines of one kind in a day.
BURST_LINES = 5
LINE_SECONDS = 30.0


class Sparing:
    """A purse of lines for each kind; the kinds are few and fixed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._purses: dict[int, tuple[float, float]] = {}  # lines, and when that was worked out
        self._untold: dict[int, int] = {}

    def allow(self, kind: int) -> str | None:
        """What the line must say of those that were held back before it ("" if none were); None: hold it back too."""
        now = self._clock()
        lines, since = self._purses.get(kind, (float(BURST_LINES), now))
        lines = min(lines + (now - since) / LINE_SECONDS, BURST_LINES)
        if lines < 1:
            self._purses[kind] = (lines, now)
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return None
        self._purses[kind] = (lines - 1, now)
        untold = self._untold.pop(kind, 0)
        return f" (and {untold} more of this kind before it)" if untold else ""
