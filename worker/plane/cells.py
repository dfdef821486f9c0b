"""Counts in shared memory: what this worker did, in series that it names on first use.

What a request was (listener, route, method, status) is looked up in a small hash table whose rows say which
words to add to; a row is made when it is first needed.
"""

import array

import cython
from cython.cimports.worker.plane.peer_cells import PeerCells

from pingpy.shared import layout
from pingpy.shared.names import COUNTERS
from pingpy.shared.series import render_key

# Mirrors of pingpy/shared/layout.py as C constants.
BEAT_US = cython.declare(cython.int, layout.S_BEAT_US)
CONNECTIONS = cython.declare(cython.int, layout.S_CONNECTIONS)

BOUNDS = cython.declare(cython.int, len(layout.BOUNDS_US))
GOLDEN = cython.declare(cython.ulonglong, 0x9E3779B97F4A7C15)
MOST_ROWS = cython.declare(cython.int, 1 << 17)
REQUEST_CELLS = cython.declare(cython.int, 2)  # count, duration
ATTEMPT_CELLS = cython.declare(cython.int, 4)  # count, connect, first byte, duration

# by h1_parse.Method
METHODS = ("other", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")


@cython.cclass
class CellTable:
    """Open addressing, linear probing, at most half full."""

    def __cinit__(self, columns: cython.int):
        self.columns = columns
        self.rows = 64
        self.used = 0
        self.keys = array.array("q", [0]) * self.rows
        self.cells = array.array("q", [0]) * (self.rows * columns)

    def find(self, key):
        """The row of a key, or -1."""
        row: cython.int = place(key, self.rows)
        while self.keys[row] != key:
            if self.keys[row] == 0:
                return -1
            row = (row + 1) & (self.rows - 1)
        return row

    def insert(self, key, cells):
        """Make a row; -1 when there are so many that more would only be an attacker's."""
        column: cython.int
        row: cython.int
        if self.used * 2 >= self.rows:
            if self.rows >= MOST_ROWS:
                return -1
            self.grow()
        row = place(key, self.rows)
        while self.keys[row] != 0:
            row = (row + 1) & (self.rows - 1)
        self.keys[row] = key
        for column in range(self.columns):
            self.cells[row * self.columns + column] = cells[column]
        self.used += 1
        return row

    def grow(self):
        """Twice the rows."""
        keys = array.array("q", self.keys)
        cells = array.array("q", self.cells)
        self.rows *= 2
        self.used = 0
        self.keys = array.array("q", [0]) * self.rows
        self.cells = array.array("q", [0]) * (self.rows * self.columns)
        for row, key in enumerate(keys):
            if key:
                self.insert(key, cells[row * self.columns : (row + 1) * self.columns])


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def place(key: cython.longlong, rows: cython.int) -> cython.int:
    """Where to look first (Fibonacci hashing)."""
    mixed: cython.ulonglong = cython.cast(cython.ulonglong, key) * GOLDEN
    return cython.cast(cython.int, (mixed >> 32) & (rows - 1))


@cython.cclass
class Cells(PeerCells):
    """One process's slab and the shared peers."""

    def __init__(self, region, slab: cython.int):
        PeerCells.__init__(self, region, slab)
        self.writer = region.series_writer(slab)
        self.entry = region.slab(slab).entry_at
        self.bounds = array.array("q", layout.BOUNDS_US)
        self.counters = array.array(
            "q",
            [
                self.writer.cell(render_key(name, labels), layout.COUNTER)
                for name, labels in COUNTERS
            ],
        )
        self.requests = CellTable(REQUEST_CELLS)
        self.attempts = CellTable(ATTEMPT_CELLS)
        self.scratch = array.array("q", [0] * ATTEMPT_CELLS)
        self.listener_names = []
        self.route_labels = []
        self.peer_names = {}

    # ---- names, given once, before the first request

    def name_listeners(self, names):
        """What Record.listener counts through, as texts."""
        self.listener_names = list(names)

    def name_routes(self, labels):
        """What Record.route counts through, as texts."""
        self.route_labels = list(labels)

    def name_peer(self, peer: cython.int, pool: str, target: str):
        """The labels of a peer's cell."""
        self.peer_names[peer] = (pool, target)

    def named_peers(self):
        """Pool and target of every cell that name_peer() named."""
        return dict(self.peer_names)

    def queue_gauge(self, pool: str):
        """The word that counts requests waiting for this pool, for queued()."""
        return self.writer.cell(render_key("pingpy_upstream_queue", {"pool": pool}), layout.GAUGE)

    def counter(self, name, labels):
        """The word of any other counter of this process, for add_word()."""
        return self.writer.cell(render_key(name, labels), layout.COUNTER)

    def gauge(self, name, labels):
        """The word of any other gauge of this process, for set_word()."""
        return self.writer.cell(render_key(name, labels), layout.GAUGE)

    def add_word(self, word: cython.longlong, amount: cython.longlong):
        """Add to a word that counter() named."""
        self.words[word] += amount

    def set_word(self, word: cython.longlong, value: cython.longlong):
        """Set a word that gauge() named."""
        self.words[word] = value

    # ---- this process's slab

    def observe(self, cell, us):
        """Put a duration into a histogram: its bucket and the sum."""
        bucket: cython.int = 0
        if us < 0:
            us = 0
        while bucket < BOUNDS and us > self.bounds[bucket]:
            bucket += 1
        self.words[cell + bucket] += 1
        self.words[cell + BOUNDS + 1] += us
        return 0

    def count_request(self, record):
        """One request is over."""
        key: cython.longlong = (
            (cython.cast(cython.longlong, record.route + 1) << 28)
            | (cython.cast(cython.longlong, record.listener & 0x3FF) << 18)
            | (cython.cast(cython.longlong, record.method & 0xF) << 14)
            | (record.status & 0x3FF)
            | (cython.cast(cython.longlong, 1) << 62)
        )
        row: cython.int = self.requests.find(key)
        if row < 0:
            return self.new_request(record, key, self.scratch)
        row *= REQUEST_CELLS
        self.words[self.requests.cells[row]] += 1
        self.observe(self.requests.cells[row + 1], record.ended_us - record.started_us)
        return 0

    def new_request(self, record, key, cells):
        """The first of its kind: name its series."""
        listener: str = label_at(self.listener_names, record.listener)
        route: str = label_at(self.route_labels, record.route)
        labels = {
            "listener": listener,
            "route": route,
            "method": METHODS[record.method] if 0 <= record.method < len(METHODS) else "other",
            "code": str(record.status),
        }
        cells[0] = self.writer.cell(render_key("pingpy_requests_total", labels), layout.COUNTER)
        cells[1] = self.writer.cell(
            render_key("pingpy_request_duration_seconds", {"listener": listener, "route": route}),
            layout.HISTOGRAM,
        )
        self.words[cells[0]] += 1
        self.observe(cells[1], record.ended_us - record.started_us)
        self.requests.insert(key, cells)
        return 0

    def count_attempt(self, record, attempt):
        """One attempt at a peer is over."""
        peer: cython.int = record.tries[attempt].peer_cell
        status: cython.int = record.tries[attempt].status & 0x3FF
        key: cython.longlong = (
            (cython.cast(cython.longlong, peer + 1) << 10)
            | status
            | (cython.cast(cython.longlong, 1) << 62)
        )
        row: cython.int = self.attempts.find(key)
        if row >= 0:
            row *= ATTEMPT_CELLS
            column: cython.int
            for column in range(ATTEMPT_CELLS):
                self.scratch[column] = self.attempts.cells[row + column]
        else:
            self.new_attempt(peer, status, key, self.scratch)
        self.words[self.scratch[0]] += 1
        if record.tries[attempt].connect_us >= 0 and not record.tries[attempt].reused:
            self.observe(self.scratch[1], record.tries[attempt].connect_us)
        if record.tries[attempt].header_us >= 0:
            self.observe(self.scratch[2], record.tries[attempt].header_us)
        if record.tries[attempt].response_us >= 0:
            self.observe(self.scratch[3], record.tries[attempt].response_us)
        return 0

    def new_attempt(self, peer, status, key, cells):
        """The first of its kind: name its series."""
        pool, target = self.peer_names.get(peer, ("(other)", "(other)"))
        labels = {"pool": pool, "target": target, "code": str(status) if status else "none"}
        cells[0] = self.writer.cell(
            render_key("pingpy_upstream_requests_total", labels), layout.COUNTER
        )
        for column, name in enumerate(("connect", "ttfb", "duration"), 1):
            cells[column] = self.writer.cell(
                render_key(f"pingpy_upstream_{name}_seconds", {"pool": pool}), layout.HISTOGRAM
            )
        self.attempts.insert(key, cells)
        return 0

    def set_gauges(self, connections, active, idle_upstream):
        """What this worker holds now."""
        at: cython.longlong = self.entry + CONNECTIONS
        self.words[at] = connections
        self.words[at + 1] = active
        self.words[at + 2] = idle_upstream
        return 0

    def beat(self, monotonic_us):
        """A sign of life for the master."""
        self.words[self.entry + BEAT_US] = monotonic_us
        return 0

    def add(self, counter, amount):
        """Add to one of the plain counters."""
        self.words[self.counters[counter]] += amount
        return 0

    def queued(self, cell, change):
        """Requests waiting in a pool's queue."""
        self.words[cell] += change
        return 0

    def value(self, counter: cython.int):
        """What this process has counted so far: for tests and status."""
        return self.words[self.counters[counter]]


def label_at(labels, index):
    """The label of this index, or what stands for none."""
    return labels[index] if 0 <= index < len(labels) else "none"


def add_words(
    words: cython.longlong[::1],
    places: cython.longlong[::1],
    sums: cython.longlong[::1],
    totals: cython.longlong[::1],
    present: cython.uchar[::1],
):
    """totals[sums[i]] += words[places[i]], and mark these totals as present: a scrape's inner loop."""
    index: cython.Py_ssize_t
    for index in range(places.shape[0]):
        totals[sums[index]] += words[places[index]]
        present[sums[index]] = 1
