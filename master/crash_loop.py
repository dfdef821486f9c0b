"""Decides how long a slot waits before its dead worker is replaced, and knows which slots wait."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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


class Vacancies:
    """The slots of one generation that wait for a replacement."""

    def __init__(self, min_uptime_seconds: float, jitter: Callable[[], float]) -> None:
        self.until: dict[int, float] = {}  # by slot: when it is to be filled
        self.reasons: dict[int, tuple[float, str]] = {}  # by slot: so many seconds empty, and why
        self._new_backoff = partial(Backoff, min_uptime_seconds, jitter)
        self._backoffs: dict[int, Backoff] = {}

    def __contains__(self, slot: int) -> bool:
        return slot in self.until

    def died(self, slot: int, cause: str, lived_ready_seconds: float | None, now: float) -> float:
        """Note a death; returns the wait in seconds, 0: fill the slot at once."""
        if slot not in self._backoffs:
            self._backoffs[slot] = self._new_backoff()
        delay = self._backoffs[slot].delay_seconds(lived_ready_seconds)
        self.reasons[slot] = (delay, cause)
        if delay:
            self.until[slot] = now + delay
        return delay

    def filled(self, slot: int) -> None:
        """Somebody is on the way, or the slot is no longer wanted."""
        self.until.pop(slot, None)

    def well(self, slot: int) -> None:
        """Who came is READY: there is nothing more to tell of the slot."""
        self.reasons.pop(slot, None)

    def due(self, now: float) -> list[int]:
        """The slots whose wait is over."""
        return [slot for slot, at in self.until.items() if now >= at]

    def forget(self) -> None:
        """Nobody is to be replaced any more."""
        self.until.clear()
