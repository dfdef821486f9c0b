# WebSocket over HTTP/2 (RFC 8441): a stream as the client's end of a tunnel.
from worker.plane.exchange cimport Exchange, Side
from worker.plane.h2_downstream cimport ClientStream
from worker.plane.tunnel cimport TunnelEnd

cdef class StreamEnd(TunnelEnd):
    cdef ClientStream stream

# The client's end for this side; None: its connection is no stream's, an ordinary one will do.
cdef TunnelEnd stream_end(Side side)
# Whether the origin's 101 answers the key that we made up for a client of HTTP/2; True for all others.
cdef bint key_is_answered(Exchange x) except -1
# The fields that make an origin of HTTP/1.1 switch, and what it must say to the key in them.
cdef tuple upgrade_fields()
