"""Smooth weighted round robin: each peer its share, spread as evenly as it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from pingpy.balance.balancer import Balancer
from pingpy.peer import Peer
from pingpy.session import Session


class RoundRobin(Balancer):
    """A peer's turn k (from 0) is due at (2k + 1) / (2 * weight), the earliest goes first: weights 2:1 give A B A."""

    def __init__(self, peers: Iterable[Peer] | Mapping[Peer, int]) -> None:
        """See Balancer."""
        super().__init__(peers)
        self._due = {peer: Fraction(1, 2 * weight) for peer, weight in self.weights.items()}
        self._now = Fraction(0)

    def pick(self, session: Session) -> Peer:
        """The candidate whose turn is due first; what is overdue since it was down is due now, no earlier."""
        due, peer = Fraction(0), None
        for candidate in self.candidates:
            at = max(self._due[candidate], self._now)
            if peer is None or at < due:
                due, peer = at, candidate
        assert peer is not None
        self._now = due
        self._due[peer] = due + Fraction(1, self.weights[peer])
        return peer
