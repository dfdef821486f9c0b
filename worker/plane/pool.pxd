# Connections to peers: opened, lent, taken back, capped, queued for.
from worker.plane.connection cimport Connection, Handler
from worker.plane.exchange cimport Exchange, Services
from worker.plane.h1_upstream cimport H1Upstream, Lender
from worker.plane.pick cimport Peer

cdef class PeerConnections:
    cdef Peer peer
    cdef list idle                         # of H1Upstream, the most recently used last
    cdef list shared                       # of H2Upstream, those that take further streams
    cdef int open
    cdef list waiting                      # of Exchange, in order
    cdef bint serving                      # serve_waiting is at work

cdef class Pools(Lender):
    cdef Services services
    cdef list known                        # of PeerConnections
    cdef readonly long long opened, reused, idle_count, waiting_count
    cdef long long forgot_ms
    cdef dict dialing                      # H1Upstream or OriginStream -> Exchange
    cdef PeerConnections of(self, Peer peer)
    cdef H1Upstream idle_one(self, PeerConnections connections)
    cdef H1Upstream idle_one_of(self, PeerConnections connections, bytes opening)
    cdef int dial(self, Exchange x) except -1
    cdef int lend(self, PeerConnections connections, Exchange x) except -1
    cdef int unqueue(self, PeerConnections connections, Exchange x) except -1
    # A socket that is being connected; -1: there is none, and the exchange knows.
    cdef int connect_socket(self, Peer peer, Exchange x) except -2
    # The same; `opening`: what comes before TLS, where the peer speaks that.
    cdef int attach(self, int fd, Handler up, Exchange x, bytes opening) except -2
    cdef int open_one(self, PeerConnections connections, Exchange x) except -1
    cdef int wait(self, PeerConnections connections, Exchange x) except -1
    cdef int forget(self, Exchange x) except -1
    cdef int serve_waiting(self, PeerConnections connections) except -1
    cdef int tick(self) except -1
    cdef int close_idle(self) except -1

# An attempt that has come to no connection: refused, too late, or TLS was not agreed on.
cdef int dial_failed(Exchange x, Connection connection, int error) except -1
