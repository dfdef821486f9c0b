from array import array
from collections.abc import Iterable, Mapping

from worker.plane.peer_cells import PeerCells

class Cells(PeerCells):
    """This process's series, and the shared peers."""

    def name_listeners(self, names: Iterable[str]) -> None:
        """What Record.listener counts through."""
    def name_routes(self, labels: Iterable[str]) -> None:
        """What Record.route counts through."""
    def name_peer(self, peer: int, pool: str, target: str) -> None:
        """The labels of a peer's cell."""
    def named_peers(self) -> dict[int, tuple[str, str]]:
        """Pool and target of every cell that name_peer() named."""
    def queue_gauge(self, pool: str) -> int:
        """The word that counts requests waiting for this pool."""
    def counter(self, name: str, labels: Mapping[str, str] | None) -> int:
        """The word of any other counter of this process."""
    def gauge(self, name: str, labels: Mapping[str, str] | None) -> int:
        """The word of any other gauge of this process."""
    def add_word(self, word: int, amount: int) -> None: ...
    def set_word(self, word: int, value: int) -> None: ...
    def value(self, counter: int) -> int:
        """What this process has counted so far."""

def add_words(
    words: memoryview,
    places: array[int],
    sums: array[int],
    totals: array[int],
    present: bytearray,
) -> None:
    """totals[sums[i]] += words[places[i]], and mark these totals as present."""
