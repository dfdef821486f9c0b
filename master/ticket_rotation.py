"""Decides when the keys of TLS session tickets are renewed: as long after the last time as a ticket lives."""

from __future__ import annotations

from math import inf

from master import actions
from master.outbox import Outbox


class TicketRotation:
    """One key back still decrypts, so that a ticket of the last moment before a renewal lives as long as any other."""

    def __init__(self, out: Outbox) -> None:
        self.out = out
        self.rotated_at = 0.0
        self.deadline = inf

    def advance(self, now: float, lifetime_seconds: float) -> None:
        """Look at the time; a lifetime of 0: there are no tickets, or it is not for us to renew their keys now."""
        if not lifetime_seconds:
            self.deadline = inf
            return
        if now >= self.rotated_at + lifetime_seconds:
            self.rotated_at = now
            self.out.put(actions.RotateTickets(now))
        self.deadline = self.rotated_at + lifetime_seconds
