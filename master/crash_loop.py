"""Decides how long a slot waits before its dead worker is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FIRST_DELAY_SECONDS: Final = 0.1
LONGEST_DELAY_SECONDS: Final = 30.0
HEALTHY_SECONDS: Final = 60.0


class Backoff:
    """One slot's: the first quick death costs nothing, each further one doubles the wait."""

    def __init__(self, min_uptime_seconds: float, jitter: Callable[[], float]) -> None:
        """`jitter`: numbers from 0 to 1, so that the slots of a broken host do not knock in step."""
        self.min_uptime_seconds = min_uptime_seconds
        self.jitter = jitter
        self.quick_deaths = 0

    def delay_seconds(self, lived_ready_seconds: float | None) -> float:
        """The wait after a death; the argument is how long the worker was READY, None if it never was."""
        if lived_ready_seconds is not None and lived_ready_seconds >= HEALTHY_SECONDS:
            self.quick_deaths = 0
        if lived_ready_seconds is not None and lived_ready_seconds >= self.min_uptime_seconds:
            return 0.0
        self.quick_deaths += 1
        if self.quick_deaths == 1:
            return 0.0
        doubled: float = FIRST_DELAY_SECONDS * 2 ** min(self.quick_deaths - 2, 16)
        return min(LONGEST_DELAY_SECONDS, doubled) * (1 - 0.2 * self.jitter())
