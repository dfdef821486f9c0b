"""Collects the actions that an event leads to, and what the pure parts need from outside: numbers and jitter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from master import actions


class Outbox:
    """Passed to every part of the supervisor; drained once per event."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self.jitter = jitter
        self._actions: list[actions.Action] = []
        self._numbers = count(1)

    def put(self, action: actions.Action) -> None:
        """Append an action."""
        self._actions.append(action)

    def log(self, level: str, text: str) -> None:
        """Append a line for the error log."""
        self._actions.append(actions.Log(level, text))

    def next_number(self) -> int:
        """A number never given before: workers, tickets."""
        return next(self._numbers)

    def take(self) -> list[actions.Action]:
        """All actions since the last call."""
        taken, self._actions = self._actions, []
        return taken
