"""Connections to peers: opened, lent, taken back, capped, queued for.

Idle connections are used last in, first out, so that spare ones age and are closed by their idle
deadline. A peer's cap holds for the host: the in-flight counts are shared by all workers, therefore
those who wait are also looked at every tick.
"""

import os

import cython
from cython.cimports.worker.plane.attempts import upstream_failed, upstream_ready
from cython.cimports.worker.plane.cells import C_UPSTREAM_OPENED
from cython.cimports.worker.plane.connection import ROLE_CONNECTING, Handler
from cython.cimports.worker.plane.exchange import X_DIALING, X_QUEUED, Exchange, Side
from cython.cimports.worker.plane.h1_upstream import (
    U_CONNECTING,
    U_IDLE,
    U_LENT,
    H1Upstream,
    Lender,
)
from cython.cimports.worker.plane.h2_upstream import close_shared, lend_stream
from cython.cimports.worker.plane.pick import Peer
from cython.cimports.worker.plane.proxy_opening import proxy_opening
from cython.cimports.worker.plane.record import (
    END_CONNECT_FAILED,
    END_CONNECT_TIMEOUT,
    END_QUEUE_FULL,
    END_TLS_FAILED,
)
from cython.cimports.worker.plane.syscalls import (
    AF_UNIX,
    EAGAIN,
    EINPROGRESS,
    ETIMEDOUT,
    IPPROTO_TCP,
    MSG_DONTWAIT,
    MSG_PEEK,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    TCP_NODELAY,
    close,
    connect,
    errno,
    recv,
    setsockopt,
    sockaddr,
    socket,
)
from cython.cimports.worker.plane.tls_dial import holds_bytes, tls_dial

SURPLUS_MS = cython.declare(cython.longlong, 1000)  # how long those beyond `idle_upstream` may stay
FORGET_MS = cython.declare(cython.longlong, 1000)  # how often peers that are no more are looked for


@cython.cclass
class PeerConnections:
    """One worker's connections to one peer."""

    def __cinit__(self, peer):
        self.peer = peer
        self.idle = []
        self.shared = []
        self.waiting = []

    def __repr__(self) -> str:
        return (
            f"<PeerConnections {self.peer.text.decode()} open={self.open} idle={len(self.idle)}"
            f" waiting={len(self.waiting)}>"
        )


@cython.cfunc
@cython.exceptval(-1)
def is_silent(up: H1Upstream) -> cython.bint:
    """Nothing has come that nobody asked for; where a long response's last read leaves it open, look."""
    octet: cython.char[1]
    if not up.connection.readable:
        return True
    if up.connection.tls is not None and holds_bytes(up.connection.tls):
        return False
    return recv(up.connection.fd, cython.address(octet[0]), 1, MSG_PEEK | MSG_DONTWAIT) < 0 and (
        errno == EAGAIN
    )


def dial_failed(x, connection, error):
    ending: cython.int = END_CONNECT_TIMEOUT if error == ETIMEDOUT else END_CONNECT_FAILED
    if connection.trouble is not None:
        x.trouble = connection.trouble
        ending = END_TLS_FAILED
    return upstream_failed(x, ending, True)


@cython.cclass
class Pools(Lender):
    """All connections of this worker to peers."""

    def __cinit__(self, services):
        self.services = services
        self.known = []
        self.dialing = {}

    def of(self, peer):
        """This peer's connections."""
        connections: PeerConnections = peer.connections
        if connections is None:
            connections = PeerConnections(peer)
            peer.connections = connections
            self.known.append(connections)
        return connections

    def dial(self, x):
        """A connection for this exchange: a pooled one now, a new one later, or a place in the queue."""
        connections: PeerConnections = self.of(x.peer)
        cap: cython.int = x.peer.max_connections
        if cap and (connections.waiting or self.services.cells.in_flight(x.peer.cell) >= cap):
            return self.wait(connections, x)
        return self.lend(connections, x)

    def lend(self, connections, x):
        """There is a place: a pooled connection or a new one. The place is taken now, not when it is made."""
        up: H1Upstream = None
        if not x.counted:
            self.services.cells.enter_peer(x.peer.cell)
            x.counted = True
        if x.route.h2:
            return lend_stream(self, connections, x)
        if not x.fresh:
            if connections.peer.send_proxy:
                up = self.idle_one_of(connections, proxy_opening(x))
            else:
                up = self.idle_one(connections)
        if up is not None:
            self.reused += 1
            return upstream_ready(x, up, True)
        return self.open_one(connections, x)

    def idle_one(self, connections):
        """An idle connection that shows no sign of its end (checked before reuse), or None."""
        up: H1Upstream
        while connections.idle:
            up = connections.idle.pop()
            self.idle_count -= 1
            if up.connection.fd >= 0 and not up.connection.peer_done and is_silent(up):
                up.connection.clear_deadline()
                up.state = U_LENT
                return up
            up.cut()
        return None

    def idle_one_of(self, connections, opening):
        """The same among those that were opened for this client."""
        up: H1Upstream
        for up in reversed(connections.idle.copy()):
            if up.opening == opening:
                connections.idle.remove(up)
                self.idle_count -= 1
                if up.connection.fd >= 0 and not up.connection.peer_done and is_silent(up):
                    up.connection.clear_deadline()
                    up.state = U_LENT
                    return up
                up.cut()
        return None

    def open_one(self, connections, x):
        """Begin a connection; `dialed` hears of its outcome."""
        peer: Peer = connections.peer
        up: H1Upstream
        fd: cython.int = self.connect_socket(peer, x)
        if fd < 0:
            return 0
        up = H1Upstream.__new__(H1Upstream)
        up.services = self.services
        up.lender = self
        up.peer = peer
        up.state = U_CONNECTING
        if peer.send_proxy:
            up.opening = proxy_opening(x)
        if self.attach(fd, up, x, up.opening) < 0:
            return 0
        connections.open += 1
        self.dialing[up] = x
        x.state = X_DIALING
        x.dialing = up
        return 0

    def attach(self, fd, up, x, opening):
        handler: Handler = up
        if x.peer.tls is not None:
            handler = tls_dial(up, x.peer.tls, opening, x.route.h2)
        try:
            self.services.host.attach(fd, handler, ROLE_CONNECTING)
        except OSError as error:
            close(fd)
            x.refuse(503, END_CONNECT_FAILED, f"no socket: {error}")
            return -1
        up.connection = handler.connection
        up.connection.set_deadline(x.route.connect_ms)
        self.opened += 1
        self.services.cells.add(C_UPSTREAM_OPENED, 1)
        return 0

    def connect_socket(self, peer, x):
        one: cython.int = 1
        address: bytes = peer.sockaddr
        fd: cython.int = socket(peer.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if fd < 0:  # our own want of descriptors says nothing about the peer
            x.refuse(503, END_CONNECT_FAILED, f"no socket: {os.strerror(errno)}")
            return -1
        if peer.family != AF_UNIX:
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, cython.address(one), 4)
        raw: cython.p_const_char = address
        if connect(fd, cython.cast(cython.pointer(sockaddr), raw), len(address)) < 0:
            if errno != EINPROGRESS:  # a Unix socket says EAGAIN when its queue is full
                close(fd)
                upstream_failed(x, END_CONNECT_FAILED, True)
                return -1
        return fd

    def dialed(self, up, error):
        """A connection was made, or was not."""
        x: Exchange = self.dialing.pop(up, None)
        if error == 0:
            if up.opening is not None and up.peer.tls is None:  # first of all, whoever it serves
                up.connection.write_bytes(up.opening)
            if x is None:
                return self.take_back(up)
            x.dialing = None
            up.state = U_LENT
            return upstream_ready(x, up, False)
        if x is None:
            return 0
        x.dialing = None
        return dial_failed(x, up.connection, error)

    def take_back(self, up):
        """A connection is free again: for who waits, else to the idle ones."""
        connections: PeerConnections = self.of(up.peer)
        idle_ms: cython.longlong
        if up.peer.retired or self.services.settings.upstream_idle_count <= 0:
            return up.cut()
        up.state = U_IDLE
        up.connection.reading = True
        idle_ms = self.services.settings.upstream_idle_ms
        if len(connections.idle) >= self.services.settings.upstream_idle_count:
            # More than are to be kept, but a client of many streams may want as many again in its next breath.
            idle_ms = min(idle_ms, SURPLUS_MS)
        connections.idle.append(up)
        self.idle_count += 1
        up.connection.set_deadline(idle_ms)
        if connections.waiting:
            return self.serve_waiting(connections)
        return 0

    def gone(self, up):
        """A connection was closed."""
        connections: PeerConnections = self.of(up.peer)
        connections.open -= 1
        if up.state == U_IDLE and up in connections.idle:
            connections.idle.remove(up)
            self.idle_count -= 1
        if connections.waiting:
            return self.serve_waiting(connections)
        return 0

    # ---- the queue of a peer that has all it may have

    def wait(self, connections, x):
        """Queue, if there is room."""
        size: cython.int = x.route.pool.queue_size if x.route.pool is not None else 0
        if len(connections.waiting) >= size:
            return x.refuse(
                503, END_QUEUE_FULL, f"the queue of peer {connections.peer.text.decode()} is full"
            )
        x.state = X_QUEUED
        x.queued_ms = self.services.host.now_ms
        connections.waiting.append(x)
        self.waiting_count += 1
        self.services.cells.queued(x.route.pool.queue_cell, 1)
        return 0

    def unqueue(self, connections, x):
        """Its waiting is over, whatever comes next."""
        connections.waiting.remove(x)
        self.waiting_count -= 1
        x.state = X_DIALING
        x.record.queue_us += (self.services.host.now_ms - x.queued_ms) * 1000
        self.services.cells.queued(x.route.pool.queue_cell, -1)
        return 0

    def forget(self, x):
        """The exchange has left its peer, whether it had a connection yet or not; its place is free."""
        connections: PeerConnections = self.of(x.peer)
        up: Side = x.dialing
        if x.state == X_QUEUED:
            self.unqueue(connections, x)
        if up is not None:  # it may yet serve another
            self.dialing.pop(up, None)
            x.dialing = None
        if connections.waiting:
            return self.serve_waiting(connections)
        return 0

    def serve_waiting(self, connections):
        """Let those who wait go on while there are places."""
        x: Exchange
        if (
            connections.serving
        ):  # one of them has failed already: the loop below goes on with the next
            return 0
        connections.serving = True
        try:
            while connections.waiting and (
                self.services.cells.in_flight(connections.peer.cell)
                < connections.peer.max_connections
            ):
                x = connections.waiting[0]
                self.unqueue(connections, x)
                self.lend(connections, x)
        finally:
            connections.serving = False
        return 0

    def tick(self):
        """Places that other workers gave up, and those whose time in the queue is over."""
        x: Exchange
        connections: PeerConnections
        now_ms: cython.longlong = self.services.host.now_ms
        for connections in self.known if self.waiting_count else ():
            if not connections.waiting:
                continue
            self.serve_waiting(connections)
            while connections.waiting:
                x = connections.waiting[0]
                if now_ms - x.queued_ms < x.route.pool.queue_ms:
                    break
                self.unqueue(connections, x)
                x.refuse(503, END_QUEUE_FULL, "no place at a peer became free in time")
        if now_ms - self.forgot_ms >= FORGET_MS:
            self.forgot_ms = now_ms
            self.known = [
                connections
                for connections in self.known
                if connections.open or connections.waiting or not connections.peer.retired
            ]
        return 0

    def close_idle(self):
        """Close every connection that serves nobody."""
        up: H1Upstream
        connections: PeerConnections
        for connections in self.known:
            while connections.idle:
                up = connections.idle.pop()
                self.idle_count -= 1
                up.cut()
            close_shared(connections)
        return 0
