"""Which peer gets the request: a pool's peers, which of them are candidates now, and the way to one.

Every 50 ms a pool asks whether any peer of the host has changed; if so, and at once when a candidate proves unusable,
it looks at the shared cells and lists the peers that may be picked; the algorithms (pick_*.py) choose among these. When
none is usable all are candidates: a wrong probe must not take a service down (panic mode).
"""

import array
import os

import cython

LOOK_MS = cython.declare(cython.longlong, 50)
# Looked at whatever was said: whoever changed a peer may have died before it could say so.
UNASKED_MS = cython.declare(cython.longlong, 1000)
STAR = cython.declare(cython.ulonglong, 0x2545F4914F6CDD1D)  # of xorshift64*


@cython.cclass
class Peer:
    """One upstream address. The same object as long as the address stays in its pool."""

    def __init__(
        self,
        *,
        cell: cython.int,
        text: bytes,
        sockaddr: bytes,
        family: cython.int,
        weight: cython.int = 1,
        name: bytes = b"",
        authority: bytes = b"",
        max_connections: cython.int = 0,
        send_proxy: cython.bint = False,
        tls=None,
    ):
        self.cell = cell
        self.text = text
        self.sockaddr = sockaddr
        self.family = family
        self.weight = weight
        self.name = name
        self.authority = authority or text
        self.max_connections = max_connections
        self.send_proxy = send_proxy
        self.tls = tls

    def __repr__(self):
        return f"<Peer {self.text.decode('utf-8', 'replace')} weight {self.weight}>"


@cython.cclass
class Pool:
    """A named set of peers. This class itself picks at random; see pick_*.py for the rest."""

    def __init__(
        self,
        name: bytes,
        cells,
        *,
        worker: cython.int = 0,
        workers: cython.int = 1,
        max_retries: cython.int = 2,
        queue_size: cython.int = 0,
        queue_ms: cython.longlong = 0,
        custom=None,
    ):
        self.name = name
        self.cells = cells
        self.max_retries = max_retries
        self.queue_size = queue_size
        self.queue_ms = queue_ms
        self.custom = custom
        self.queue_cell = cells.queue_gauge(name.decode("utf-8", "replace"))
        self.random_state = int.from_bytes(os.urandom(8)) | 1
        self.peers = []
        self.pending = True
        self.adopt()

    def set_peers(self, peers):
        """Put a new set in force. Peers that stay must be the same objects: their connections and turns are kept."""
        for peer in self.peers:
            if peer not in peers:
                cython.cast(Peer, peer).retired = True
        for peer in peers:
            cython.cast(Peer, peer).retired = False
        self.peers = list(peers)
        self.pending = False
        self.adopt()

    def adopt(self):
        """Lay the peers out as arrays."""
        index: cython.int
        peer: Peer
        self.count = len(self.peers)
        room = max(self.count, 1)
        self.cell = array.array("i", [-1]) * room
        self.weights = array.array("i", [0]) * room
        self.own_weights = array.array("i", [0]) * room
        self.live = array.array("i", [0]) * room
        self.caps = array.array("i", [0]) * room
        self.capped = False
        for index in range(self.count):
            peer = self.peers[index]
            self.cell[index] = peer.cell
            self.weights[index] = self.own_weights[index] = peer.weight
            self.caps[index] = peer.max_connections
            if peer.max_connections > 0:
                self.capped = True
        self.live_count = 0
        self.looked_ms = -UNASKED_MS - 1
        self.stale = True
        return 0

    def pick(self, key, tried, now_ms):
        """The peer for this request, or None."""
        index: cython.int
        if self.stale or now_ms - self.asked_ms >= LOOK_MS:
            self.ask(now_ms)
        if self.live_count == 0:
            return None
        index = self.choose(key, tried, now_ms)
        if index < 0 and self.stale:
            self.look(now_ms)
            if self.live_count:
                index = self.choose(key, tried, now_ms)
        if index < 0 and self.capped:
            self.ignore_caps = True
            index = self.choose(key, tried, now_ms)
            self.ignore_caps = False
        if index < 0:
            return None
        return cython.cast(Peer, self.peers[index])

    def pick_custom(self, session, tried, now_ms):
        """What the user's balancer picks among the candidates; None when it picks none. What it raises is passed on."""
        position: cython.int
        index: cython.int
        peers: list = []
        if self.stale or now_ms - self.asked_ms >= LOOK_MS:
            self.ask(now_ms)
        for position in range(self.live_count):
            index = self.live[position]
            if self.allowed(index, tried, now_ms):
                peers.append(self.peers[index])
        if not peers:
            return None
        chosen = self.custom.pick(session, peers)
        if chosen is None:
            return None
        if chosen not in peers:
            raise ValueError(
                f"{type(self.custom).__name__}.pick() must return one of the peers it was given"
            )
        return cython.cast(Peer, chosen)

    def ask(self, now_ms):
        """Look again if anything has changed; while somebody is left out always: a mark that runs out is not told."""
        changes: cython.int = self.cells.peer_changes()
        self.asked_ms = now_ms
        if (
            self.stale
            or self.incomplete
            or changes != self.changes
            or now_ms - self.looked_ms >= UNASKED_MS
        ):
            self.changes = (
                changes  # read before the cells: what changes meanwhile is looked at again
            )
            self.look(now_ms)
        return 0

    def look(self, now_ms):
        """List the candidates: peers with a weight that are usable; when none is, all with a weight."""
        index: cython.int
        weight: cython.int
        found: cython.int = 0
        changed: cython.bint = self.looked_ms < 0
        panic: cython.bint = False
        self.incomplete = False
        for index in range(self.count):
            weight = self.cells.weight_override(self.cell[index])
            if weight < 0:
                weight = self.own_weights[index]
            if self.weights[index] != weight:
                self.weights[index] = weight
                changed = True
            if weight <= 0:
                continue
            if not self.cells.usable(self.cell[index], now_ms):
                self.incomplete = True
            else:
                if found >= self.live_count or self.live[found] != index:
                    changed = True
                self.live[found] = index
                found += 1
        if found == 0:
            panic = True
            for index in range(self.count):
                if self.weights[index] > 0:
                    if found >= self.live_count or self.live[found] != index:
                        changed = True
                    self.live[found] = index
                    found += 1
        if found != self.live_count or panic != self.panic:
            changed = True
        self.live_count = found
        self.panic = panic
        self.looked_ms = now_ms
        self.stale = False
        if changed:
            self.prepare()
        return 0

    def prepare(self):
        """Nothing depends on the candidates here."""
        return 0

    def allowed(self, index, tried, now_ms):
        """Whether this candidate may have this request."""
        position: cython.Py_ssize_t
        if tried is not None:
            for position in range(len(tried)):
                if tried[position] is self.peers[index]:
                    return False
        # What was all usable and has not changed is: of a thousand cells hardly one is in the processor's cache.
        if (
            not self.panic
            and (self.incomplete or self.cells.peer_changes() != self.changes)
            and not self.cells.usable(self.cell[index], now_ms)
        ):
            self.stale = True
            return False
        return not (
            self.capped
            and not self.ignore_caps
            and self.caps[index] > 0
            and self.cells.in_flight(self.cell[index]) >= self.caps[index]
        )

    def choose(self, key, tried, now_ms):
        """The first candidate that is allowed, from a random start."""
        step: cython.int
        start: cython.int = self.draw(self.live_count)
        for step in range(self.live_count):
            if self.allowed(self.live[(start + step) % self.live_count], tried, now_ms):
                return self.live[(start + step) % self.live_count]
        return -1

    def draw(self, below):
        """xorshift64*, scaled by multiplication: quick, and even enough to spread load."""
        self.random_state ^= self.random_state >> 12
        self.random_state ^= self.random_state << 25
        self.random_state ^= self.random_state >> 27
        mixed: cython.ulonglong = (self.random_state * STAR) >> 32
        return cython.cast(cython.uint, (mixed * below) >> 32)

    # ---- for Python: tests and measurements

    def pick_for(self, key: cython.uint = 0, tried=None, now_ms: cython.longlong = 0):
        """pick(), from Python."""
        return self.pick(key, tried, now_ms)

    def pick_custom_for(self, session, tried=None, now_ms: cython.longlong = 0):
        """pick_custom(), from Python."""
        return self.pick_custom(session, tried, now_ms)
