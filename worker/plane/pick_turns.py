"""Picking by turns: smooth weighted round robin, and least connections with ties taken by turns.

Round robin: a peer's turn k (from 0) is due at (2k + 1) / (2 * weight); the earliest goes first, by a heap. The half
step makes weights 2:1 give A B A, not A A B; in any run of sum(weights) requests each peer has exactly its weight.
Due times are compared as whole numbers, so nothing drifts. Of equal weights the same turns simply go round: no heap.
"""

import array
import math

import cython
from cython.cimports.worker.plane.atomic import pingpy_prefetch
from cython.cimports.worker.plane.pick import Pool

from pingpy.shared import layout

MANY_TURNS = cython.declare(cython.longlong, 1 << 44)  # times a 16-bit weight still fits 63 bits
EXACT = cython.declare(cython.int, 32)  # peers that least connections compares one by one
CELL_INTS = cython.declare(cython.longlong, layout.PEER_WORDS * 2)
SAMPLE = cython.declare(cython.int, 32)  # of more peers, so many: the cost must not grow with them


@cython.cclass
class RoundRobin(Pool):
    """Smooth weighted round robin: O(1) where all weights are equal, else O(log n)."""

    def __init__(self, name, cells, *, worker: cython.int = 0, workers: cython.int = 1, **options):
        self.worker = worker
        self.workers = max(workers, 1)
        Pool.__init__(self, name, cells, worker=worker, **options)

    def adopt(self):
        """New arrays for new peers."""
        Pool.adopt(self)
        room = max(self.count, 1)
        self.heap = array.array("i", [0]) * room
        self.taken = array.array("q", [0]) * room
        self.share = array.array("i", [1]) * room
        self.heap_size = 0
        self.equal = False
        return 0

    def prepare(self):
        """Candidates or weights changed: begin a round, first at this worker's own point of it, later at any.

        Not where the old round was left: a peer that comes back would find all its missed turns due at once.
        """
        index: cython.int
        position: cython.int
        phase: cython.longlong
        if self.live_count == 0:
            self.heap_size = 0
            return 0
        divisor: cython.int = math.gcd(
            *[self.weights[self.live[position]] for position in range(self.live_count)]
        )
        if self.begun:
            phase = self.draw(65536)
            self.first = self.draw(self.count)
        else:
            phase = (self.worker % self.workers) * 65536 // self.workers
            self.first = (self.worker % self.workers) * self.count // self.workers
            self.begun = True
        self.equal = True
        for position in range(self.live_count):
            index = self.live[position]
            self.share[index] = self.weights[index] // divisor
            self.equal = self.equal and self.share[index] == 1
            # turns due before `phase`: the k with (2k + 1) / (2 * share) < phase / 65536
            self.taken[index] = (2 * phase * self.share[index] + 65535) // 131072
            self.heap[position] = index
        self.heap_size = self.live_count
        if self.equal:
            self.at = 0
            while self.at < self.heap_size and self.heap[self.at] < self.first:
                self.at += 1
            self.at %= self.heap_size
            return 0
        for position in range(self.heap_size // 2 - 1, -1, -1):
            self.sink(position)
        return 0

    def choose(self, key, tried, now_ms):
        """The earliest turn of a candidate that is allowed; the others keep theirs."""
        size: cython.int = self.heap_size
        index: cython.int = -1
        if self.equal:
            return self.go_round(tried, now_ms)
        while self.heap_size > 0:
            index = self.heap[0]
            if self.allowed(index, tried, now_ms):
                break
            self.heap_size -= 1
            self.heap[0], self.heap[self.heap_size] = self.heap[self.heap_size], index
            self.sink(0)
            index = -1
        if index >= 0:
            self.taken[index] += 1
            self.sink(0)
        while self.heap_size < size:
            self.heap_size += 1
            self.rise(self.heap_size - 1)
        if index >= 0 and self.taken[index] > MANY_TURNS:
            self.prepare()
        return index

    def go_round(self, tried, now_ms):
        """The next of equals that is allowed; those passed over are the next after it."""
        passed: cython.int = 0
        place: cython.int = self.at
        index: cython.int = -1
        while passed < self.heap_size:
            index = self.heap[place]
            if self.allowed(index, tried, now_ms):
                break
            passed += 1
            place = place + 1 if place + 1 < self.heap_size else 0
        if passed == self.heap_size:
            return -1
        while passed > 0:
            passed -= 1
            self.heap[place] = self.heap[place - 1 if place > 0 else self.heap_size - 1]
            place = place - 1 if place > 0 else self.heap_size - 1
        self.heap[self.at] = index
        self.at = self.at + 1 if self.at + 1 < self.heap_size else 0
        self.fetch(self.heap[self.at])
        return index

    def fetch(self, index):
        """Tell the processor what the next pick will touch: of a thousand peers nothing is in its cache by then."""
        peer: cython.int = self.cell[index]
        if peer >= 0:
            pingpy_prefetch(
                cython.address(self.cells.ints[self.cells.peers_int + peer * CELL_INTS])
            )
            pingpy_prefetch(cython.address(self.cells.ints[self.cells.share + peer]))
        pingpy_prefetch(cython.cast(cython.p_void, self.peers[index]))
        return 0

    def before(self, left, right):
        """Whether left's next turn is due first."""
        left_due: cython.longlong = (2 * self.taken[left] + 1) * self.share[right]
        right_due: cython.longlong = (2 * self.taken[right] + 1) * self.share[left]
        if left_due != right_due:
            return left_due < right_due
        if (left >= self.first) != (right >= self.first):
            return left >= self.first
        return left < right

    def sink(self, at):
        """Restore the heap below a position."""
        child: cython.int
        index: cython.int
        if at >= self.heap_size:
            return 0
        index = self.heap[at]
        while True:
            child = 2 * at + 1
            if child >= self.heap_size:
                break
            if child + 1 < self.heap_size and self.before(self.heap[child + 1], self.heap[child]):
                child += 1
            if not self.before(self.heap[child], index):
                break
            self.heap[at] = self.heap[child]
            at = child
        self.heap[at] = index
        return 0

    def rise(self, at):
        """Restore the heap above a position."""
        index: cython.int = self.heap[at]
        while at > 0 and self.before(index, self.heap[(at - 1) // 2]):
            self.heap[at] = self.heap[(at - 1) // 2]
            at = (at - 1) // 2
        self.heap[at] = index
        return 0


@cython.cclass
class LeastConnections(Pool):
    """Fewest requests in flight per weight, counted over all workers of the host; among equals by turns.

    With more than 32 peers, the best of 32 drawn at random: the cost stays flat, and the best of so many is as good.
    """

    def __init__(self, name, cells, *, worker: cython.int = 0, workers: cython.int = 1, **options):
        self.worker = worker
        self.workers = max(workers, 1)
        Pool.__init__(self, name, cells, worker=worker, **options)

    def adopt(self):
        """New arrays for new peers."""
        Pool.adopt(self)
        self.due = array.array("d", [0.0]) * max(self.count, 1)
        return 0

    def prepare(self):
        """Candidates or weights changed: all turns begin anew."""
        position: cython.int
        index: cython.int
        self.now = 0.0
        self.first = (self.worker % self.workers) * self.live_count // self.workers
        for position in range(self.live_count):
            index = self.live[position]
            self.due[index] = 0.5 / self.weights[index]
        return 0

    def choose(self, key, tried, now_ms):
        """Compare the candidates, or a sample of many."""
        step: cython.int
        index: cython.int
        count: cython.int
        best: cython.int = -1
        best_count: cython.int = 0
        tries: cython.int = self.live_count
        place: cython.int = self.first
        if self.live_count > EXACT:
            tries = SAMPLE
            place = self.draw(self.live_count)
        for step in range(self.live_count):
            if step >= tries and best >= 0:
                break
            index = self.live[place]
            place += 1
            if place == self.live_count:
                place = 0
            count = self.cells.in_flight(self.cell[index])
            if best >= 0 and not self.lower(index, count, best, best_count):
                continue
            if self.allowed(index, tried, now_ms):
                best = index
                best_count = count
        if best >= 0:
            if self.due[best] > self.now:
                self.now = self.due[best]
            self.due[best] = self.now + 1.0 / self.weights[best]
            if self.now > 1e9:
                self.prepare()
        return best

    def lower(self, left, left_count, right, right_count):
        """Whether left has less to do for its weight, or as much and an earlier turn."""
        left_load: cython.longlong = cython.cast(cython.longlong, left_count) * self.weights[right]
        right_load: cython.longlong = cython.cast(cython.longlong, right_count) * self.weights[left]
        if left_load != right_load:
            return left_load < right_load
        # A turn missed while others were less busy gives no credit: what is overdue is due now.
        return max(self.due[left], self.now) < max(self.due[right], self.now)
