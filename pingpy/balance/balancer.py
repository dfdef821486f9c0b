"""The interfaces of balancing in Python: a class named in `load_balancing`, and one that a hook uses by itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pingpy.peer import Peer
from pingpy.session import Session


class PeerChooser(Protocol):
    """What `load_balancing = "module:Class"` names: made once per pool and worker, without arguments.

    `peers` are those that may be picked now: up, not drained, not at their cap, not tried before; each has `text` (its
    address) and `name`, both bytes, and `weight`. None: no peer, hence 503.
    """

    def pick(self, session: Session, peers: Sequence[Any]) -> Any | None:
        """One of `peers`, or None."""


class Balancer(ABC):
    """For `upstream_peer`: picks among its own peers, leaves out those that were marked down, unless all are."""

    def __init__(self, peers: Iterable[Peer] | Mapping[Peer, int]) -> None:
        """`peers`, or a mapping of peers to weights; a weight of 0 is never picked."""
        weights = dict(peers) if isinstance(peers, Mapping) else dict.fromkeys(peers, 1)
        if any(weight < 0 for weight in weights.values()):
            raise ValueError("a weight is 0 or more")
        self.weights = {peer: weight for peer, weight in weights.items() if weight}
        if not self.weights:
            raise ValueError("a balancer needs a peer with a weight above 0")
        self._down: set[Peer] = set()

    def down(self, peer: Peer) -> None:
        """Pick it no more, as long as another is up."""
        self._down.add(peer)

    def up(self, peer: Peer) -> None:
        """Pick it again."""
        self._down.discard(peer)

    @property
    def candidates(self) -> list[Peer]:
        """The peers that are up; all of them when none is."""
        return [peer for peer in self.weights if peer not in self._down] or list(self.weights)

    @abstractmethod
    def pick(self, session: Session) -> Peer:
        """The peer for this request."""
