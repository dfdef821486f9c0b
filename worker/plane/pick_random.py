"""Picking by chance: weighted random, and the less busy of two random ones."""

import array

import cython
from cython.cimports.worker.plane.pick import Pool

TRIES = cython.declare(cython.int, 8)


@cython.cclass
class Random(Pool):
    """Each candidate with a probability in proportion to its weight."""

    def adopt(self):
        """New arrays for new peers."""
        Pool.adopt(self)
        self.sums = array.array("I", [0]) * max(self.count, 1)
        return 0

    def prepare(self):
        """Running sums; 65,536 peers of weight 65,535 still fit 32 bits."""
        position: cython.int
        self.total = 0
        for position in range(self.live_count):
            self.total += self.weights[self.live[position]]
            self.sums[position] = self.total
        return 0

    def hit(self):
        """Draw a place in `live`: the first whose running sum is above the number drawn."""
        number: cython.uint = self.draw(self.total)
        low: cython.int = 0
        high: cython.int = self.live_count - 1
        middle: cython.int
        while low < high:
            middle = (low + high) // 2
            if self.sums[middle] > number:
                high = middle
            else:
                low = middle + 1
        return low

    def choose(self, key, tried, now_ms):
        """Draw until one is allowed; after some misses take the next that is."""
        place: cython.int = 0
        _step: cython.int
        for _step in range(TRIES):
            place = self.hit()
            if self.allowed(self.live[place], tried, now_ms):
                return self.live[place]
        for _step in range(self.live_count):
            place = place + 1 if place + 1 < self.live_count else 0
            if self.allowed(self.live[place], tried, now_ms):
                return self.live[place]
        return -1


@cython.cclass
class PowerOfTwo(Random):
    """Two different ones at random, then the one with fewer requests in flight for its weight (Mitzenmacher 2001)."""

    def choose(self, key, tried, now_ms):
        """The better of two draws."""
        left: cython.int = Random.choose(self, key, tried, now_ms)
        right: cython.int = left
        _step: cython.int
        if left < 0:
            return -1
        for _step in range(TRIES):
            if right != left:
                break
            right = Random.choose(self, key, tried, now_ms)
        left_load: cython.longlong = self.cells.in_flight(self.cell[left])
        right_load: cython.longlong = self.cells.in_flight(self.cell[right])
        # On a tie the first draw, which was by weight.
        return left if left_load * self.weights[right] <= right_load * self.weights[left] else right
