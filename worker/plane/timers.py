"""Deadlines by connection index: which of them have come up.

A wheel of 1,024 slots of 100 ms. An index is in it at most once; a deadline that moves later is not
touched (whoever takes an index out compares with the real deadline and puts it back), so moving a
deadline costs a comparison. Deadlines fire up to one slot late, never early.
"""

import array

import cython

TICK_MS = cython.declare(cython.longlong, 100)
SLOTS = cython.declare(cython.int, 1024)


@cython.cclass
class Wheel:
    """Indices by the slot in which they are due."""

    def __cinit__(self, now_ms: cython.longlong = 0):
        self.head = array.array("i", [-1]) * SLOTS
        self.capacity = 0
        self.now_tick = now_ms // TICK_MS
        self.grow(1023)

    def grow(self, index):
        """Make room for this index."""
        capacity: cython.int = max(1024, self.capacity)
        while capacity <= index:
            capacity *= 2
        none = array.array("i", [-1]) * (capacity - self.capacity)
        old_next = array.array("i", self.next) if self.capacity else array.array("i")
        old_previous = array.array("i", self.previous) if self.capacity else array.array("i")
        old_slot = array.array("i", self.slot) if self.capacity else array.array("i")
        old_due = array.array("q", self.due_ms) if self.capacity else array.array("q")
        self.next = old_next + none
        self.previous = old_previous + none
        self.slot = old_slot + none
        self.due_ms = old_due + array.array("q", [0]) * (capacity - self.capacity)
        self.capacity = capacity
        return 0

    def put(self, index, due_ms):
        """Have this index come up at `due_ms`, unless it comes up earlier anyway."""
        tick: cython.longlong = due_ms // TICK_MS + 1
        slot: cython.int
        if index >= self.capacity:
            self.grow(index)
        if tick <= self.now_tick:
            tick = self.now_tick + 1
        if tick >= self.now_tick + SLOTS:
            tick = self.now_tick + SLOTS - 1  # beyond the horizon: looked at again when it comes up
        if self.slot[index] >= 0:
            if self.due_ms[index] <= tick * TICK_MS:
                return 0
            self.remove(index)
        slot = cython.cast(cython.int, tick % SLOTS)
        self.slot[index] = slot
        self.due_ms[index] = tick * TICK_MS
        self.previous[index] = -1
        self.next[index] = self.head[slot]
        if self.head[slot] >= 0:
            self.previous[self.head[slot]] = index
        self.head[slot] = index
        self.armed += 1
        return 0

    def remove(self, index):
        """Take an index out; no matter if it is not in."""
        slot: cython.int
        if index >= self.capacity or self.slot[index] < 0:
            return 0
        slot = self.slot[index]
        if self.previous[index] >= 0:
            self.next[self.previous[index]] = self.next[index]
        else:
            self.head[slot] = self.next[index]
        if self.next[index] >= 0:
            self.previous[self.next[index]] = self.previous[index]
        self.slot[index] = -1
        self.armed -= 1
        return 0

    def expire(self, now_ms):
        """Take out one index that has come up by `now_ms`; -2 when there is none left."""
        target: cython.longlong = now_ms // TICK_MS
        slot: cython.int
        index: cython.int
        if self.armed == 0:
            self.now_tick = max(self.now_tick, target)
            return -2
        while True:
            slot = cython.cast(cython.int, self.now_tick % SLOTS)
            index = self.head[slot]
            if index >= 0 and self.due_ms[index] <= self.now_tick * TICK_MS:
                self.remove(index)
                return index
            if self.now_tick >= target:
                return -2
            self.now_tick += 1

    # ---- doors for tests

    def arm(self, index: cython.int, due_ms: cython.longlong) -> None:
        """`put` for tests."""
        self.put(index, due_ms)

    def disarm(self, index: cython.int) -> None:
        """`remove` for tests."""
        self.remove(index)

    def expired(self, now_ms: cython.longlong) -> list:
        """All indices that have come up by `now_ms`, for tests."""
        found = []
        index: cython.int = self.expire(now_ms)
        while index >= 0:
            found.append(index)
            index = self.expire(now_ms)
        return found
