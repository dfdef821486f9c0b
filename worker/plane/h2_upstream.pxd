# HTTP/2 towards the origin: the client's role. A connection carries as many requests as the origin and we allow.
from worker.plane.exchange cimport Exchange
from worker.plane.h2_connection cimport H2Connection
from worker.plane.pool cimport PeerConnections, Pools

cdef class H2Upstream(H2Connection):
    cdef Pools pools
    cdef PeerConnections connections
    cdef bytes opening                     # the PROXY header it began with: whose it is; None: anybody's
    cdef list pending                      # of OriginStream, while the connection is made; None: it is
    cdef bint resting                      # counted as idle
    cdef int rise(self) except -1          # at rest no more
    cdef bint has_room(self) except -1
    cdef int dialed(self, int error) except -1
    cdef int retire(self) except -1        # no further stream

# A stream to x.peer for this exchange: of a connection that is there, or is being made, or of a new one.
cdef int lend_stream(Pools pools, PeerConnections connections, Exchange x) except -1
cdef int close_shared(PeerConnections connections) except -1   # those that serve nobody
