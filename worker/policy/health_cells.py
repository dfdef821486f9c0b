"""Where verdicts of health probes lie in shared memory: one cell per member, found by its pool and address."""

from __future__ import annotations

import time
from typing import Protocol

from pingpy.shared import Region
from pingpy.shared.layout import I_PROBE, PEER_BYTES, PEERS_AT, PROBE_UNKNOWN


class PeerTable(Protocol):
    """The part of the plane's cells that the scout uses."""

    def claim_peer(self, pool: bytes, address: bytes) -> int:
        """The cell of a peer; -1 when there is no room for one."""

    def set_probe(self, peer: int, verdict: int, now_ms: int) -> None:
        """Write a verdict."""


def member(pool: str, address: str) -> str:
    """The key of a peer: the same address in two pools has two cells."""
    return f"{pool}|{address}"


class HealthCells:
    """Verdicts by member; a member without a cell (the table was full) counts as unknown."""

    def __init__(self, region: Region, table: PeerTable) -> None:
        self._ints = region.ints
        self._table = table
        self._claimed: dict[str, int] = {}

    def read(self, key: str) -> int:
        """The verdict in force (PROBE_*), perhaps an earlier generation's."""
        cell = self._cell(key)
        if cell < 0:
            return PROBE_UNKNOWN
        return int(self._ints[(PEERS_AT + cell * PEER_BYTES) // 4 + I_PROBE])

    def write(self, key: str, verdict: int) -> None:
        """Put a verdict in force; all workers see it with their next choice of a peer."""
        cell = self._cell(key)
        if cell >= 0:
            self._table.set_probe(cell, verdict, time.monotonic_ns() // 1_000_000)

    def _cell(self, key: str) -> int:
        cell = self._claimed.get(key)
        if cell is None:
            # An address has no "|"; a pool's name might.
            pool, _, address = key.rpartition("|")
            cell = self._claimed[key] = self._table.claim_peer(pool.encode(), address.encode())
        return cell
