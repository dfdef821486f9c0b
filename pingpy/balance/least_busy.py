"""Least busy: the peer with the fewest requests in progress for its weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pingpy.balance.round_robin import RoundRobin
from pingpy.peer import Peer
from pingpy.session import Session


class LeastBusy(RoundRobin):
    """Counts this worker's requests: call `done(peer)` in the `logging` phase. Equals take turns."""

    def __init__(self, peers: Iterable[Peer] | Mapping[Peer, int]) -> None:
        """See Balancer."""
        super().__init__(peers)
        self._busy: Counter[Peer] = Counter()

    @property
    def candidates(self) -> list[Peer]:
        """Of the peers that are up, the least busy ones."""
        up = super().candidates
        least = min(self._busy[peer] / self.weights[peer] for peer in up)
        return [peer for peer in up if self._busy[peer] / self.weights[peer] == least]

    def pick(self, session: Session) -> Peer:
        """The least busy; it is one request busier now."""
        peer = super().pick(session)
        self._busy[peer] += 1
        return peer

    def done(self, peer: Peer) -> None:
        """The request is over."""
        if self._busy[peer] > 0:
            self._busy[peer] -= 1
