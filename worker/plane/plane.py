"""The plane as the worker's Python sees it: made of a reactor, pools and listeners; fed with tables, log and hooks."""

import os

import cython
from cython.cimports.worker.plane.access_log import AccessLog
from cython.cimports.worker.plane.batch_uring import UringBatch
from cython.cimports.worker.plane.buffer import Arena
from cython.cimports.worker.plane.connection import Connection
from cython.cimports.worker.plane.departure import Departure
from cython.cimports.worker.plane.exchange import (
    PHASE_GO_ON,
    X_DONE,
    Exchange,
)
from cython.cimports.worker.plane.h1_downstream import H1Downstream
from cython.cimports.worker.plane.h2_downstream import H2Downstream
from cython.cimports.worker.plane.hook_slots import PH_LOGGING, slots_of
from cython.cimports.worker.plane.hooks import run_hook, take_answer
from cython.cimports.worker.plane.listener import Listener
from cython.cimports.worker.plane.pick import Peer
from cython.cimports.worker.plane.pool import Pools
from cython.cimports.worker.plane.reactor import Reactor
from cython.cimports.worker.plane.record import END_INTERNAL
from cython.cimports.worker.plane.route import RouteTable
from cython.cimports.worker.plane.session_view import session_of
from cython.cimports.worker.plane.settings import fill_settings
from cython.cimports.worker.plane.tls_context import TlsServer
from cython.cimports.worker.plane.tls_gate import (
    SCHEME_AUTO,
    SCHEME_HTTP,
    SCHEME_HTTPS,
    begin_waiting,
)
from cython.cimports.worker.plane.trusted import TrustedNetworks

MOST_HOOK_PEERS = cython.declare(cython.int, 4096)  # that upstream_peer named and we remember
FIRST_RETRIES = cython.declare(cython.double, 10.0)  # before requests have earned any

SCHEMES = {"http": SCHEME_HTTP, "https": SCHEME_HTTPS, "auto": SCHEME_AUTO}


@cython.cclass
class Plane(Departure):
    """All that serves requests in one worker."""

    def __init__(
        self,
        *,
        cells,
        events,
        settings,
        trusted=(),
        announced=(),
        announced_listeners=None,
        arena_bytes: cython.longlong = 1 << 30,
    ):
        self.events = events
        self.arena = Arena(arena_bytes)
        self.reactor = Reactor(self.arena, events.fault)
        self.host = self.reactor
        self.cells = cells
        self.pools = Pools(self)
        self.listeners = {}
        self.listener_names = {}
        self.schemes = ()
        self.peers_of_hooks = {}
        self.spare = []
        self.trusted = TrustedNetworks(trusted) if trusted else None
        self.announced = TrustedNetworks(announced) if announced else None
        self.announced_listeners = announced_listeners
        self.path_memory = self.arena.reserve(65536)
        self.retry_credit = FIRST_RETRIES
        self.hellos = []
        self.random_state = int.from_bytes(os.urandom(8), "little") | 1
        self.runner = events.run
        self.on_error = self.tell_refused
        self.on_unwelcome = events.unwelcome
        self.on_broken = events.broken
        fill_settings(cython.address(self.settings), settings)
        self.most_clients = settings["most_clients"]
        self.most_loans = settings["waiting_bytes"]

    # ---- hosted by uvloop

    def fileno(self) -> int:
        """The epoll set; readable when there is something to do."""
        return self.reactor.epoll

    def ready(self):
        """Serve what is ready; True: come back at once, there is more."""
        return self.reactor.ready()

    def tick(self):
        """Ten times a second: deadlines, queues, listeners that had to pause, log, gauges, memory."""
        listener: Listener
        self.reactor.ready()
        self.pools.tick()
        if self.hellos:
            begin_waiting(self)
        if not self.draining and not self.full():
            for listener in self.listeners.values():
                listener.open()
        if self.reactor.now_us - self.second_us >= 1000000:
            self.second_us = self.reactor.now_us
            if self.log is not None:
                self.log.flush()
            self.cells.set_gauges(self.clients, self.active(), self.pools.idle_count)
            self.arena.trim()
        return self.reactor.settle_now()

    def active(self) -> int:
        """Client connections with a request under way."""
        count: cython.int = 0
        connection: Connection
        for connection in self.reactor.connections:
            if connection is None:
                continue
            if isinstance(connection.handler, H1Downstream):
                count += cython.cast(H1Downstream, connection.handler).exchange is not None
            elif isinstance(connection.handler, H2Downstream):
                count += cython.cast(H2Downstream, connection.handler).busy()
        return count

    # ---- what it serves with

    def use_routes(self, routes: RouteTable) -> None:
        """Where requests go."""
        self.routes = routes

    def use_log(self, log: AccessLog | None) -> None:
        """Where lines go; None: nowhere."""
        self.log = log

    def use_hooks(self, hooks) -> None:
        """The bound phases of the user's application, or None."""
        self.hooks = slots_of(hooks)

    def use_tls(self, server: TlsServer | None, schemes: tuple = ()) -> None:
        """Whom to be towards clients that speak TLS; `schemes`: by listener's number."""
        self.tls = server
        self.guard = server if server is not None and server.asks_clients() else None
        self.schemes = schemes

    def use_io_uring(self) -> bool:
        """Call in the thread that runs the plane; False: it is refused, and plain calls do."""
        try:
            self.reactor.use_batch(UringBatch(self.reactor))
        except OSError:
            return False
        return True

    def be_patient(self, patience_ms: cython.int) -> None:
        """Wait so long for the next event before uvloop has its share: its round, and waking it, cost more."""
        self.reactor.patience_ms = patience_ms

    def add_listener(self, fd: cython.int, number: cython.int, name: str) -> None:
        """Accept on this descriptor; it stays the caller's to close after remove_listener."""
        announced = self.announced
        if self.announced_listeners is not None and number not in self.announced_listeners:
            announced = None
        spoken = SCHEMES[self.schemes[number] if 0 <= number < len(self.schemes) else "auto"]
        listener = Listener(
            self, fd, number, name, self.events, self.trusted, announced, self.tls, spoken
        )
        self.listeners[fd] = listener
        self.listener_names[number] = (
            name  # also of those that accept no more: their clients are served on
        )
        if not self.draining:
            cython.cast(Listener, listener).open()

    def remove_listener(self, fd: cython.int) -> None:
        """Accept no more on this descriptor."""
        listener: Listener = self.listeners.pop(fd)
        listener.stop()

    def stats(self) -> dict:
        """Figures for heartbeats, status and tests."""
        return {
            "clients": self.clients,
            "active": self.active(),
            "tunnels": self.tunnels,
            "streams": self.streams(),
            "handshakes": self.handshakes,
            "idle_upstream": self.pools.idle_count,
            "upstream_opened": self.pools.opened,
            "upstream_reused": self.pools.reused,
            "arena_used_bytes": self.arena.used_bytes,
            "waiting_bytes": self.loans,
            "spliced_bytes": self.reactor.pipes.passed,
            "listeners": len(self.listeners),
            "hook_peers": len(self.peers_of_hooks),
        }

    # ---- what Services promises

    def dial(self, x):
        return self.pools.dial(x)

    def forget(self, x):
        return self.pools.forget(x)

    def full(self):
        return self.most_clients > 0 and self.clients >= self.most_clients

    def linger_ms(self):
        """With jitter, so that a worker's idle connections do not all end in one moment."""
        spread: cython.longlong = self.drain_linger_ms // 5 + 1
        return self.drain_linger_ms + cython.cast(cython.longlong, self.random() % spread)

    def run_phase(self, x, phase):
        return run_hook(x, phase)

    def hook_done(self, x, epoch, phase, answer, error):
        """An awaited hook has come back; its request may be gone by now."""
        if epoch != x.epoch or (x.state == X_DONE and phase != PH_LOGGING):
            return 0
        x.parked = None
        self.reactor.read_clock()
        try:
            if phase == PH_LOGGING:
                take_answer(x, phase, answer, error)
                x.let_go()
                self.give_back(x)
            elif take_answer(x, phase, answer, error) == PHASE_GO_ON:
                x.resume(epoch, phase)
        except Exception as defect:  # ours, not the hook's: the request must not stay parked
            self.events.fault(defect, repr(x))
            if epoch == x.epoch:
                x.refuse(500, END_INTERNAL, "internal error")
        return self.reactor.settle_now()

    def hook_raised(self, x, phase, error):
        self.events.hook_raised(session_of(x), phase, error)
        return 0

    def tell_refused(self, status: int, cause: str, x: Exchange) -> None:
        """One line in the error log for every 5xx of ours."""
        peer = "" if x.peer is None else x.peer.text.decode()
        self.events.refused(status, cause, session_of(x), peer)

    def address(self, host, port):
        return self.events.make_address(host, port)

    def listener_address(self, number):
        return self.listener_names.get(number)

    def hook_peer(self, peer):
        return self.events.make_peer(peer.text.decode())

    def ask_balancer(self, x):
        """What it raises is its author's fault: reported, and no peer for this request."""
        try:
            return x.route.pool.pick_custom(session_of(x), x.tried, self.reactor.now_ms)
        except Exception as error:
            self.hook_raised(x, "pick", error)
            return None

    def peer_for(self, chosen):
        peer: Peer = self.peers_of_hooks.get(chosen)
        if peer is None:
            peer = self.events.plane_peer(chosen)
            if (
                len(self.peers_of_hooks) >= MOST_HOOK_PEERS
            ):  # the oldest: a hook may name any number
                oldest: Peer = self.peers_of_hooks.pop(next(iter(self.peers_of_hooks)))
                oldest.retired = True
            self.peers_of_hooks[chosen] = peer
        return peer
