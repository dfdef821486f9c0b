from pingpy.shared import Region

class PeerCells:
    """The shared peers, seen by one process."""

    region: Region
    slab: int
    fail_limit: int
    fail_window_ms: int
    down_ms: int
    down_max_ms: int
    def __init__(self, region: Region, slab: int) -> None: ...
    def claim_peer(self, pool: bytes, address: bytes) -> int:
        """The cell of a peer, taken if nobody has it yet; -1 when the neighbourhood is full."""
    def set_probe(self, peer: int, verdict: int, now_ms: int) -> None:
        """The scout's verdict (PROBE_*)."""
    def set_override(self, peer: int, weight: int, drained: bool) -> None:
        """An operator's weight (-1: as configured) and drain mark."""
    def peer_state(self, peer: int, now_ms: int) -> tuple[int, bool, int, int]:
        """In flight, usable, probe verdict, marked down for so many ms."""
