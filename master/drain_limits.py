"""How long a drain leaves requests and tunnels, and when the master ends what a worker has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pingpy.config.plan import DrainPlan
from pingpy.control import Drain

MARGIN_SECONDS: Final = 2.0  # a worker ends its drain itself; this much later we do


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds from now; `accept_seconds`: for so long it goes on accepting first."""

    seconds: float
    tunnel_seconds: float
    accept_seconds: float = 0.0

    @classmethod
    def usual(cls, plan: DrainPlan) -> Limits:
        """Of a generation that another one has replaced."""
        return cls(plan.drain_seconds, plan.tunnel_drain_seconds)

    @property
    def longest(self) -> float:
        """When we end it."""
        return max(self.seconds, self.tunnel_seconds) + MARGIN_SECONDS

    def message(self, reason: str, linger_seconds: float) -> Drain:
        """For the worker."""
        linger = min(linger_seconds, self.seconds)
        return Drain(reason, self.seconds, self.tunnel_seconds, linger, self.accept_seconds)
