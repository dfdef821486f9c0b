"""Consistent hashing as nginx's `hash ... consistent` and libketama do it: the same key meets the same peer."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence

from pingpy.balance.balancer import Balancer
from pingpy.peer import Peer
from pingpy.session import Session

POINTS_PER_WEIGHT = 160
# A ring is 8 bytes a point; beyond this size weights are scaled down together, which keeps their proportions.
MOST_POINTS = 4_000_000


def ring(peers: Sequence[tuple[bytes, int]]) -> tuple[array[int], array[int]]:
    """Sorted points and, for each, the position of its peer; `peers`: (address as text, weight)."""
    total = sum(weight for _, weight in peers)
    scale = max(1.0, total * POINTS_PER_WEIGHT / MOST_POINTS)
    points: dict[int, int] = {}
    for position, (text, weight) in enumerate(peers):
        count = int(weight * POINTS_PER_WEIGHT / scale)
        for point in points_of(text, max(count, 1) if weight else 0):
            # Of equal points nginx keeps one; which one is left open by its sort, here it is the earlier peer's.
            points.setdefault(point, position)
    ordered = sorted(points)
    return array("I", ordered), array("i", [points[point] for point in ordered])


def points_of(text: bytes, count: int) -> Iterable[int]:
    """One peer's points: CRC-32 of host, NUL, port and the point before (ngx_http_upstream_update_chash)."""
    start = zlib.crc32(_host_and_port(text))
    previous = 0
    for _ in range(count):
        previous = zlib.crc32(previous.to_bytes(4, "little"), start)
        yield previous


def _host_and_port(text: bytes) -> bytes:
    if text.lower().startswith(b"unix:"):
        return text[5:] + b"\0"
    host, colon, port = text.rpartition(b":")
    return host + b"\0" + port if colon and port.isdigit() else text + b"\0"


class Ketama(Balancer):
    """For hooks: the key is what `key(session)` returns, by default the request's target."""

    def __init__(
        self,
        peers: Iterable[Peer] | Mapping[Peer, int],
        key: Callable[[Session], bytes] | None = None,
    ) -> None:
        """See Balancer."""
        super().__init__(peers)
        self._key = key or (lambda session: session.request.target.encode())
        self._peers = list(self.weights)
        members = [(peer.address.encode(), weight) for peer, weight in self.weights.items()]
        self._points, self._owners = ring(members)

    def pick(self, session: Session) -> Peer:
        """The owner of the first point at or after the key's hash; the next one's when it is down."""
        up = set(self.candidates)
        at = bisect_left(self._points, zlib.crc32(self._key(session)))
        for step in range(len(self._points)):
            peer = self._peers[self._owners[(at + step) % len(self._points)]]
            if peer in up:
                return peer
        raise AssertionError("every peer has a point")
