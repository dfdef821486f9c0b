"""The peer table that all workers and scouts of the host share: requests in flight, health, overrides.

Each cell of 64 bytes belongs to one peer for good, is found by hash, and changes by atomic operations only.
"""

import cython
from cython.cimports.worker.plane.atomic import (
    pingpy_atomic_add,
    pingpy_atomic_bump,
    pingpy_atomic_claim,
    pingpy_atomic_get,
    pingpy_atomic_seen,
    pingpy_atomic_set,
    pingpy_atomic_set_word,
)

from pingpy.shared import layout

# Mirrors of pingpy/shared/layout.py as C constants.
PEERS = cython.declare(cython.int, layout.PEERS)
PEER_WORDS = cython.declare(cython.int, layout.PEER_WORDS)
PEER_INTS = cython.declare(cython.int, layout.PEER_WORDS * 2)
PEER_PROBES = cython.declare(cython.int, layout.PEER_PROBES)
IN_FLIGHT = cython.declare(cython.int, layout.I_IN_FLIGHT)
LEFT_BEHIND = cython.declare(cython.int, layout.I_LEFT_BEHIND)
PROBE = cython.declare(cython.int, layout.I_PROBE)
FAILURES = cython.declare(cython.int, layout.I_FAILURES)
WEIGHT = cython.declare(cython.int, layout.I_WEIGHT)
DRAINED = cython.declare(cython.int, layout.I_DRAINED)
MARKINGS = cython.declare(cython.int, layout.I_MARKINGS)
DOWN_UNTIL_MS = cython.declare(cython.int, layout.P_DOWN_UNTIL_MS)
WINDOW_MS = cython.declare(cython.int, layout.P_WINDOW_MS)
PROBED_MS = cython.declare(cython.int, layout.P_PROBED_MS)
PROBE_DOWN = cython.declare(cython.int, layout.PROBE_DOWN)
CHANGES = cython.declare(cython.int, layout.HI_PEER_CHANGES)


@cython.cclass
class PeerCells:
    """The shared peers, seen by one process: its own share of the counts is kept in its slab."""

    def __init__(self, region, slab: cython.int):
        self.region = region
        self.slab = slab
        self.words = region.words
        self.ints = region.ints
        self.share = region.slab(slab).first_in_flight
        self.peers_word = layout.PEERS_AT // 8
        self.peers_int = layout.PEERS_AT // 4
        self.fail_limit = 3
        self.fail_window_ms = 10_000
        self.down_ms = 10_000
        self.down_max_ms = 60_000

    def claim_peer(self, pool: bytes, address: bytes):
        """The cell of a peer, taken if nobody has it yet; -1 when the neighbourhood is full."""
        key: cython.longlong = layout.peer_hash(pool, address)
        cell: cython.int = cython.cast(cython.int, key & (PEERS - 1))
        _step: cython.int
        for _step in range(PEER_PROBES):
            if pingpy_atomic_claim(
                cython.address(self.words[self.peers_word + cell * PEER_WORDS]), key
            ):
                return cell
            cell = (cell + 1) & (PEERS - 1)
        return -1

    def set_probe(self, peer: cython.int, verdict: cython.int, now_ms: cython.longlong):
        """The scout's verdict (PROBE_*)."""
        at: cython.longlong = self.peers_int + cython.cast(cython.longlong, peer) * PEER_INTS
        if self.ints[at + PROBE] != verdict:
            self.words[self.peers_word + peer * PEER_WORDS + PROBED_MS] = now_ms
            pingpy_atomic_set(cython.address(self.ints[at + PROBE]), verdict)
            pingpy_atomic_bump(cython.address(self.ints[CHANGES]))

    def set_override(self, peer: cython.int, weight: cython.int, drained: cython.bint):
        """An operator's weight (-1: as configured) and drain mark."""
        at: cython.longlong = self.peers_int + cython.cast(cython.longlong, peer) * PEER_INTS
        pingpy_atomic_set(cython.address(self.ints[at + WEIGHT]), weight + 1)
        pingpy_atomic_set(cython.address(self.ints[at + DRAINED]), drained)
        pingpy_atomic_bump(cython.address(self.ints[CHANGES]))

    def peer_state(self, peer: cython.int, now_ms: cython.longlong):
        """(in flight, usable, probe verdict, marked down for ms): for metrics and status."""
        if not 0 <= peer < PEERS:
            return 0, True, 0, 0
        at: cython.longlong = self.peers_word + cython.cast(cython.longlong, peer) * PEER_WORDS
        left = max(0, self.words[at + DOWN_UNTIL_MS] - now_ms)
        probe = self.ints[at * 2 + PROBE]
        return self.in_flight(peer), bool(self.usable(peer, now_ms)), probe, left

    def enter_peer(self, peer):
        """One more request at this peer; our share is kept too, for the case that we die."""
        if peer < 0:
            return 0
        self.ints[self.share + peer] += 1
        pingpy_atomic_add(
            cython.address(
                self.ints[
                    self.peers_int + cython.cast(cython.longlong, peer) * PEER_INTS + IN_FLIGHT
                ]
            ),
            1,
        )
        return 0

    def leave_peer(self, peer):
        """One less."""
        if peer < 0:
            return 0
        pingpy_atomic_add(
            cython.address(
                self.ints[
                    self.peers_int + cython.cast(cython.longlong, peer) * PEER_INTS + IN_FLIGHT
                ]
            ),
            -1,
        )
        self.ints[self.share + peer] -= 1
        return 0

    def in_flight(self, peer):
        """Requests at this peer, those of dead workers taken off."""
        at: cython.longlong
        count: cython.int
        if peer < 0:
            return 0
        at = self.peers_int + cython.cast(cython.longlong, peer) * PEER_INTS
        count = pingpy_atomic_get(cython.address(self.ints[at + IN_FLIGHT]))
        count -= self.ints[at + LEFT_BEHIND]
        return count if count > 0 else 0

    def usable(self, peer, now_ms):
        """Not down by probe, not marked by failures, not drained by an operator."""
        at: cython.longlong
        if peer < 0:
            return True
        at = self.peers_word + cython.cast(cython.longlong, peer) * PEER_WORDS
        if self.ints[at * 2 + PROBE] == PROBE_DOWN or self.ints[at * 2 + DRAINED]:
            return False
        return self.words[at + DOWN_UNTIL_MS] <= now_ms

    def peer_failed(self, peer, now_ms):
        """A failure; enough of them in a row, close together, mark the peer down, twice as long each time."""
        at: cython.longlong
        failures: cython.int
        markings: cython.int
        down_ms: cython.longlong
        if peer < 0 or self.fail_limit <= 0:
            return 0
        at = self.peers_word + cython.cast(cython.longlong, peer) * PEER_WORDS
        if now_ms - self.words[at + WINDOW_MS] > self.fail_window_ms:
            self.words[at + WINDOW_MS] = now_ms
            pingpy_atomic_set(cython.address(self.ints[at * 2 + FAILURES]), 0)
        failures = pingpy_atomic_add(cython.address(self.ints[at * 2 + FAILURES]), 1)
        if failures < self.fail_limit or self.words[at + DOWN_UNTIL_MS] > now_ms:
            return 0
        pingpy_atomic_set(cython.address(self.ints[at * 2 + FAILURES]), 0)
        markings = pingpy_atomic_add(cython.address(self.ints[at * 2 + MARKINGS]), 1)
        down_ms = self.down_ms << min(markings - 1, 16)
        pingpy_atomic_set_word(
            cython.address(self.words[at + DOWN_UNTIL_MS]), now_ms + min(down_ms, self.down_max_ms)
        )
        pingpy_atomic_bump(cython.address(self.ints[CHANGES]))
        return 0

    def peer_worked(self, peer):
        """A success ends the row of failures; nothing is written when there was none."""
        at: cython.longlong
        if peer < 0:
            return 0
        at = self.peers_int + cython.cast(cython.longlong, peer) * PEER_INTS
        if self.ints[at + FAILURES]:
            pingpy_atomic_set(cython.address(self.ints[at + FAILURES]), 0)
        if self.ints[at + MARKINGS]:
            pingpy_atomic_set(cython.address(self.ints[at + MARKINGS]), 0)
        return 0

    def peer_changes(self):
        """How often any peer has become usable or unusable or got another weight; a mark that runs out is not told."""
        return pingpy_atomic_seen(cython.address(self.ints[CHANGES]))

    def weight_override(self, peer):
        """What an operator set at run time, or -1."""
        if peer < 0:
            return -1
        return (
            self.ints[self.peers_int + cython.cast(cython.longlong, peer) * PEER_INTS + WEIGHT] - 1
        )
