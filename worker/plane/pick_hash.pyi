from array import array
from collections.abc import Callable
from typing import Any

from worker.plane.cells import Cells
from worker.plane.pick import Pool

class AddressHash(Pool): ...

class ConsistentHash(Pool):
    def __init__(
        self,
        name: bytes,
        cells: Cells,
        build: Callable[[list[tuple[bytes, int]]], tuple[array[int], array[int]]],
        **options: Any,
    ) -> None:
        """`build`: (a peer's text, its weight) for each peer -> sorted points, and the peer of each."""
