"""The end of the service: how long each kind of stop waits, and when it cuts what is left.

GRACEFUL ─ second TERM/INT/QUIT ─► FAST ─ again ─► AT_ONCE
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from math import inf
from typing import Final

from master.crew import Crew
from master.outbox import Outbox

FAST_SECONDS: Final = 2.0


class Haste(IntEnum):
    """How much may be cut."""

    GRACEFUL = 1
    FAST = 2
    AT_ONCE = 3


class Stopping:
    """Drains all generations, then cuts them; its owner leaves when nobody is left."""

    def __init__(self, haste: Haste, out: Outbox, exit_code: int = 0) -> None:
        self.haste = haste
        self.out = out
        self.exit_code = exit_code
        self.cut_at = inf

    def begin(self, crews: Iterable[Crew], now: float) -> None:
        """Start, or start again with more haste."""
        self.out.log("info", f"stopping: {self.haste.name.lower().replace('_', ' ')}")
        self.cut_at = -inf
        for crew in crews:
            if self.haste is Haste.AT_ONCE:
                crew.kill_all()
                continue
            graceful = crew.plan.drain.graceful_seconds
            seconds = FAST_SECONDS if self.haste is Haste.FAST else graceful
            crew.drain("stop", now, seconds=seconds, tunnel_seconds=seconds)
            crew.retire(now)
            self.cut_at = max(self.cut_at, now + seconds)
        if self.cut_at == -inf:
            self.cut_at = inf

    def hurry(self, haste: Haste, crews: Iterable[Crew], now: float) -> None:
        """A further signal: never slower than before."""
        self.haste = max(self.haste, haste)
        self.begin(crews, now)

    def tick(self, crews: Iterable[Crew], now: float) -> None:
        """The time is over."""
        if now >= self.cut_at:
            self.cut_at = inf
            for crew in crews:
                crew.stop_all(now)
