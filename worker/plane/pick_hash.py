"""Picking by a hash of the request, so that the same client or key meets the same peer."""

import array

import cython
from cython.cimports.worker.plane.pick import Peer, Pool

TRIES = cython.declare(cython.int, 20)
FACTOR = cython.declare(cython.uint, 0x2C1B3C6D)
STEP = cython.declare(cython.uint, 0x9E3779B9)
SLOT_SHIFT = cython.declare(cython.int, 20)
SLOTS = 1 << 12


@cython.cclass
class AddressHash(Pool):
    """ip_hash as nginx does it: hash modulo the sum of all weights; a peer that is down moves only its own clients."""

    def __init__(self, name, cells, *, workers: cython.int = 1, **options):
        Pool.__init__(self, name, cells, **options)
        self.hash_needs = 1

    def adopt(self):
        """New arrays for new peers."""
        Pool.adopt(self)
        self.sums = array.array("I", [0]) * max(self.count, 1)
        return 0

    def prepare(self):
        """Running sums over all peers: the map must not move when one goes down."""
        index: cython.int
        self.total = 0
        for index in range(self.count):
            self.total += self.weights[index]
            self.sums[index] = self.total
        return 0

    def choose(self, key, tried, now_ms):
        """Where the hash falls; when that peer may not have it, where a hash of the hash does."""
        number: cython.uint
        low: cython.int
        high: cython.int
        middle: cython.int
        _step: cython.int
        if self.total == 0:
            return -1
        for _step in range(TRIES):
            number = key % self.total
            low = 0
            high = self.count - 1
            while low < high:
                middle = (low + high) // 2
                if self.sums[middle] > number:
                    high = middle
                else:
                    low = middle + 1
            if self.allowed(low, tried, now_ms):
                return low
            key = (key + STEP) * FACTOR
            key ^= key >> 16
            key *= FACTOR
            key ^= key >> 15
        return Pool.choose(self, key, tried, now_ms)


@cython.cclass
class ConsistentHash(Pool):
    """A ring of points (pingpy/balance/ketama.py); a peer that is down leaves its share to the next points' owners."""

    def __init__(self, name, cells, build, *, workers: cython.int = 1, **options):
        """`build`: [(peer's text, weight)] -> (sorted points, owners)."""
        self.build = build
        Pool.__init__(self, name, cells, **options)
        self.hash_needs = 2

    def adopt(self):
        """New arrays for new peers."""
        Pool.adopt(self)
        self.point_count = 0
        self.built_for = None
        return 0

    def prepare(self):
        """Build the ring from all peers with a weight; it depends on weights only, not on who is up."""
        weights = [self.weights[index] for index in range(self.count)]
        if weights == self.built_for:
            return 0
        self.built_for = weights
        points, owners = self.build(
            [
                (cython.cast(Peer, peer).text, weight)
                for peer, weight in zip(self.peers, weights, strict=True)
            ]
        )
        self.point_count = len(points)
        self.points = points if points else array.array("I", [0])
        self.owners = owners if owners else array.array("i", [0])
        # Where the search begins, by a key's upper bits: a large ring would cost a cache miss for each halving.
        first, slots = 0, array.array("i")
        for slot in range(SLOTS + 1):
            while first < len(points) and points[first] >> 20 < slot:
                first += 1
            slots.append(first)
        self.slots = slots
        return 0

    def choose(self, key, tried, now_ms):
        """The first point at or after the hash, and on around the ring."""
        low: cython.int = self.slots[key >> SLOT_SHIFT]
        high: cython.int = self.slots[(key >> SLOT_SHIFT) + 1]
        middle: cython.int
        _step: cython.int
        while low < high:
            middle = (low + high) // 2
            if self.points[middle] < key:
                low = middle + 1
            else:
                high = middle
        for _step in range(min(self.point_count, 256)):
            if low >= self.point_count:
                low = 0
            if self.allowed(self.owners[low], tried, now_ms):
                return self.owners[low]
            low += 1
        return Pool.choose(self, key, tried, now_ms)
