"""Ends a worker's service in good order, and takes it back: what becomes of each client connection then.

Nobody whose first request may be on its way is at rest: who has not said anything yet is given as long as a request's
head may take (`header`), who has been answered before only the linger.
"""

import cython
from cython.cimports.worker.plane.connection import Connection, Handler
from cython.cimports.worker.plane.h1_downstream import H1Downstream
from cython.cimports.worker.plane.h2_downstream import H2Downstream
from cython.cimports.worker.plane.listener import Listener
from cython.cimports.worker.plane.proxy_entry import ProxyEntry
from cython.cimports.worker.plane.tls_gate import TlsGate
from cython.cimports.worker.plane.tunnel import TunnelEnd

MOST_STREAMS = cython.declare(cython.int, 1 << 30)  # all that a connection has


@cython.cclass
class Departure(Services):
    """The part of the plane that is at work when a generation ends."""

    def drain(self, linger_ms: cython.longlong) -> None:
        """Stop accepting; finish what is under way."""
        listener: Listener
        self.draining = True
        self.drain_linger_ms = linger_ms
        for listener in self.listeners.values():
            listener.stop()
        self.reactor.read_clock()
        for connection in list(self.reactor.connections):
            if connection is not None:
                handler = cython.cast(Connection, connection).handler
                if isinstance(handler, H1Downstream):
                    cython.cast(H1Downstream, handler).drain()
                elif isinstance(handler, H2Downstream):
                    cython.cast(H2Downstream, handler).drain()
                elif isinstance(handler, TlsGate):
                    cython.cast(TlsGate, handler).drain()
        self.reactor.settle_now()

    def resume(self) -> None:
        """Serve as before."""
        listener: Listener
        self.draining = False
        for listener in self.listeners.values():
            listener.open()
        for connection in list(self.reactor.connections):
            if connection is not None:
                handler = cython.cast(Connection, connection).handler
                if isinstance(handler, H1Downstream):
                    cython.cast(H1Downstream, handler).drain()  # an ordinary wait again
                elif isinstance(handler, TlsGate):
                    cython.cast(TlsGate, handler).drain()

    def detach_idle(self) -> list:
        """Give every client connection at rest away: (descriptor, listener's number, requests so far)."""
        away = []
        for connection in list(self.reactor.connections):
            if connection is None:
                continue
            handler = cython.cast(Connection, connection).handler
            if isinstance(handler, H1Downstream) and cython.cast(H1Downstream, handler).at_rest():
                down: H1Downstream = handler
                fd = self.reactor.surrender(down.connection)
                self.clients -= 1
                away.append((fd, down.listener, down.requests))
        self.reactor.settle_now()
        return away

    def attach_idle(self, resting) -> None:
        """Take over connections that detach_idle gave away; KeyError for a listener that is not here."""
        listener: Listener
        numbered = {listener.number: listener for listener in self.listeners.values()}
        known = [(fd, numbered[number], requests) for fd, number, requests in resting]
        for fd, listener, requests in known:
            listener.take_over(fd, requests)

    def streams(self) -> int:
        """Responses without a length that have begun: event streams and their kin."""
        count: cython.int = 0
        connection: Connection
        for connection in self.reactor.connections:
            if connection is None:
                continue
            if isinstance(connection.handler, H1Downstream):
                count += cython.cast(H1Downstream, connection.handler).is_stream()
            elif isinstance(connection.handler, H2Downstream):
                count += cython.cast(H2Downstream, connection.handler).endless()
        return count

    def end_requests(self) -> int:
        """Their time is up: cut every client connection that is neither tunnel nor stream; returns how many."""
        count: cython.int = 0
        self.reactor.read_clock()
        for connection in list(self.reactor.connections):
            if connection is None:
                continue
            handler = cython.cast(Connection, connection).handler
            if isinstance(handler, H1Downstream):
                if not cython.cast(H1Downstream, handler).is_stream():
                    count += 1
                    cython.cast(H1Downstream, handler).end_for_drain()
            elif isinstance(handler, H2Downstream):
                count += cython.cast(H2Downstream, handler).end_requests(False, MOST_STREAMS) > 0
            elif isinstance(handler, (TlsGate, ProxyEntry)):
                count += 1
                cython.cast(Handler, handler).on_failed(0)
        self.reactor.settle_now()
        return count

    def end_tunnels(self, count: cython.int) -> None:
        """End so many: tunnels as soon as they are between two frames, what is queued is still sent; then streams."""
        self.reactor.read_clock()
        for connection in list(self.reactor.connections):
            if connection is not None and count > 0:
                handler = cython.cast(Connection, connection).handler
                if isinstance(handler, TunnelEnd) and cython.cast(TunnelEnd, handler).leads():
                    if cython.cast(TunnelEnd, handler).may_be_ended():
                        count -= 1
                        cython.cast(TunnelEnd, handler).end_for_drain()
        for connection in list(self.reactor.connections):
            if connection is not None and count > 0:
                handler = cython.cast(Connection, connection).handler
                if isinstance(handler, H1Downstream):
                    if cython.cast(H1Downstream, handler).is_stream():
                        count -= 1
                        cython.cast(H1Downstream, handler).end_for_drain()
                elif isinstance(handler, H2Downstream):
                    count -= cython.cast(H2Downstream, handler).end_requests(True, count)
        self.reactor.settle_now()

    def close_all(self) -> int:
        """The deadline: cut every client connection; returns how many there were."""
        count: cython.int = 0
        for connection in list(self.reactor.connections):
            if connection is None:
                continue
            handler = cython.cast(Connection, connection).handler
            if isinstance(handler, H1Downstream):
                count += 1
                cython.cast(H1Downstream, handler).on_failed(0)
            elif isinstance(handler, ProxyEntry):
                count += 1
                cython.cast(ProxyEntry, handler).on_failed(0)
            elif isinstance(handler, H2Downstream):
                count += 1
                cython.cast(H2Downstream, handler).on_failed(0)
            elif isinstance(handler, TlsGate):
                count += 1
                cython.cast(TlsGate, handler).on_failed(0)
            elif isinstance(handler, TunnelEnd):
                count += cython.cast(TunnelEnd, handler).is_client
                cython.cast(TunnelEnd, handler).on_failed(0)
        self.pools.close_idle()
        self.reactor.settle_now()
        return count
