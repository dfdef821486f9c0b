"""Connections to origins that speak HTTP/2: made, shared up to the origin's bound, retired, and left when idle."""

import cython
from cython.cimports.worker.plane.attempts import upstream_ready
from cython.cimports.worker.plane.cells import C_H2_ORIGIN_PROTOCOL
from cython.cimports.worker.plane.exchange import (
    X_DIALING,
    Exchange,
)
from cython.cimports.worker.plane.h2_connection import H2Connection, H2Stream
from cython.cimports.worker.plane.h2_control import pay, put_leave
from cython.cimports.worker.plane.h2_faults import W_PROTOCOL, W_RESETS, words_of
from cython.cimports.worker.plane.h2_flow import take_trailers
from cython.cimports.worker.plane.h2_frames import (
    E_CANCEL,
    E_NO_ERROR,
    E_REFUSED_STREAM,
)
from cython.cimports.worker.plane.h2_origin import S_HEAD, OriginStream
from cython.cimports.worker.plane.pool import dial_failed
from cython.cimports.worker.plane.proxy_opening import proxy_opening
from cython.cimports.worker.plane.syscalls import ETIMEDOUT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LAST_NUMBER = cython.declare(cython.uint, 0x7FFFFFF0)  # RFC 9113 5.1.1: then a new connection


@cython.cclass
class H2Upstream(H2Connection):
    """One connection to a peer."""

    def __cinit__(self):
        self.eager = True

    def has_room(self):
        return (
            self.connection.fd >= 0
            and not (self.dying or self.leaving or self.asked or self.connection.peer_done)
            and self.last_stream < LAST_NUMBER
            and len(self.streams) + (0 if self.pending is None else len(self.pending))
            < min(cython.cast(cython.longlong, self.peer_streams), self.services.settings.streams)
        )

    def take_fields(self, stream, count, last):
        known: OriginStream = self.streams.get(stream)
        if known is None:
            if stream & 1 == 0 or stream > self.last_stream:
                return self.fail(W_PROTOCOL)
            return pay(self, 1, W_RESETS)  # for a stream that we have reset
        if known.exchange is None:
            return known.reset_stream(E_CANCEL)
        if known.state == S_HEAD:
            return known.take_head(count, last)
        return take_trailers(known, count, last, True)

    def peer_leaves(self, last_stream, error):
        """RFC 9113 6.8: streams above the last one were not looked at."""
        stream: H2Stream
        self.retire()
        for stream in list(self.streams.values()):
            if stream.id > last_stream and stream.open:
                stream.close_stream()
                stream.was_reset(E_REFUSED_STREAM)
        return 0 if self.streams or self.dying else self.wind_up()

    def retire(self):
        self.rise()
        if not self.leaving:
            self.leaving = True
            self.connections.shared.remove(self)
        return 0

    def emptied(self):
        now_ms: cython.longlong = self.connection.host.now_ms
        if self.leaving or self.last_stream >= LAST_NUMBER or self.connections.peer.retired:
            return self.idle_overdue()
        if not self.resting:
            self.resting = True
            self.pools.idle_count += 1
        self.idle_due_ms = now_ms + self.services.settings.upstream_idle_ms
        return self.expect(self.idle_due_ms)

    def open_stream(self, stream):
        self.rise()
        return H2Connection.open_stream(self, stream)

    def rise(self):
        if self.resting:
            self.resting = False
            self.pools.idle_count -= 1
        return 0

    def idle_overdue(self):
        """Nobody uses it any more."""
        if self.dying:
            return 0
        self.retire()
        put_leave(self, 0, E_NO_ERROR)
        return self.wind_up()

    def lost(self):
        self.retire()
        self.connections.open -= 1
        return 0

    def blame(self, why):
        self.services.cells.add(C_H2_ORIGIN_PROTOCOL + why, 1)
        peer: bytes = self.connections.peer.text
        self.services.on_broken(peer.decode(), words_of(self, why), C_H2_ORIGIN_PROTOCOL + why)
        return 0

    # ---- the beginning

    def on_connected(self):
        self.connection.clear_deadline()
        return self.dialed(0)

    def on_failed(self, error):
        if self.pending is not None:
            return self.dialed(error or ETIMEDOUT)
        return self.connection.close()

    def on_deadline(self):
        if self.pending is not None:
            return self.dialed(ETIMEDOUT)
        return H2Connection.on_deadline(self)

    def dialed(self, error):
        """The connection was made, or was not: tell those who wait for it."""
        stream: OriginStream
        x: Exchange
        waiting: list = self.pending
        self.pending = None
        if error:
            self.connection.close()
        else:
            if self.opening is not None and self.connections.peer.tls is None:
                self.connection.write_bytes(self.opening)
            self.connection.write_bytes(PREFACE)
            self.begin()
            self.connection.resume()
        for stream in waiting:
            x = self.pools.dialing.pop(stream, None)
            if x is None:
                continue
            x.dialing = None
            if error:
                dial_failed(x, self.connection, error)
            else:
                upstream_ready(x, stream, False)
        return 0 if error or self.streams or self.dying else self.emptied()


@cython.cfunc
def new_stream(owner: H2Upstream) -> OriginStream:
    """A stream that has no number yet."""
    stream: OriginStream = OriginStream.__new__(OriginStream)
    stream.owner = owner
    stream.connection = owner.connection
    return stream


def lend_stream(pools, connections, x):
    h2: H2Upstream
    found: H2Upstream = None
    stream: OriginStream
    fd: cython.int
    opening: bytes = proxy_opening(x) if connections.peer.send_proxy else None
    if not x.fresh:
        for h2 in connections.shared:
            if h2.has_room() and h2.opening == opening:
                found = h2
                break
    if found is not None and found.pending is None:
        pools.reused += 1
        return upstream_ready(x, new_stream(found), True)
    if found is None:
        fd = pools.connect_socket(connections.peer, x)
        if fd < 0:
            return 0
        found = H2Upstream.__new__(H2Upstream)
        found.services = pools.services
        found.pools = pools
        found.connections = connections
        found.opening = opening
        found.client = True
        found.pending = []
        found.peer_streams = 100
        if pools.attach(fd, found, x, opening) < 0:
            return 0
        connections.shared.insert(0, found)
        connections.open += 1
    stream = new_stream(found)
    found.pending.append(stream)
    pools.dialing[stream] = x
    x.state = X_DIALING
    x.dialing = stream
    return 0


def close_shared(connections):
    h2: H2Upstream
    for h2 in connections.shared.copy():
        if h2.pending is not None:
            h2.dialed(ETIMEDOUT)
        elif not h2.streams:
            h2.connection.close()
    return 0
