"""The end of the service: how long each kind of stop waits, and when it cuts what is left.

GRACEFUL ─ second TERM/INT/QUIT ─► FAST ─ again ─► AT_ONCE

A graceful stop may first go on accepting for `pre_stop_delay`, not ready, until balancers in front have noticed.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from math import inf
from typing import Final

from master import actions
from master.crew import Crew, Mode
from master.drain_limits import Limits
from master.outbox import Outbox

FAST_SECONDS: Final = 2.0


class Haste(IntEnum):
    """How much may be cut."""

    GRACEFUL = 1
    FAST = 2
    AT_ONCE = 3


class Stopping:
    """Drains all generations, then cuts them; its owner leaves when nobody is left."""

    def __init__(self, haste: Haste, out: Outbox, exit_code: int = 0, *, unlink: bool) -> None:
        """`unlink`: the paths of Unix sockets are ours to remove."""
        self.unlink = unlink
        self.haste = haste
        self.out = out
        self.exit_code = exit_code
        self.cut_at = inf
        self.refuse_at = inf  # when the listeners are given up

    def begin(self, crews: Iterable[Crew], now: float) -> None:
        """Start, or start again with more haste."""
        self.out.log("info", f"stopping: {self.haste.name.lower().replace('_', ' ')}")
        self.cut_at, self.refuse_at = -inf, now
        for crew in crews:
            if self.haste is Haste.AT_ONCE:
                crew.kill_all()
                continue
            graceful = crew.plan.drain.graceful_seconds
            seconds = FAST_SECONDS if self.haste is Haste.FAST else graceful
            wait = 0.0
            if self.haste is Haste.GRACEFUL and crew.mode is Mode.SERVING:
                wait = crew.plan.drain.pre_stop_seconds
            crew.drain("stop", now, Limits(wait + seconds, wait + seconds, wait))
            self.refuse_at = max(self.refuse_at, now + wait)
            self.cut_at = max(self.cut_at, now + wait + seconds)
        if self.cut_at == -inf:
            self.cut_at = inf

    def hurry(self, haste: Haste, crews: Iterable[Crew], now: float) -> None:
        """A further signal: never slower than before."""
        self.haste = max(self.haste, haste)
        self.begin(crews, now)

    def next_deadline(self) -> float:
        """When tick() is wanted."""
        return min(self.refuse_at, self.cut_at)

    def tick(self, crews: Iterable[Crew], now: float) -> None:
        """Nobody may come in any more; the time is over."""
        if now >= self.refuse_at:
            self.refuse_at = inf
            for crew in crews:
                crew.retire(now)
            self.out.put(actions.CloseListeners(unlink=self.unlink))
        if now >= self.cut_at:
            self.cut_at = inf
            for crew in crews:
                crew.stop_all(now)
