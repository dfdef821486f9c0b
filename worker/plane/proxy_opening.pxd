# The PROXY header that opens a connection to a peer.
from worker.plane.exchange cimport Exchange

# Two requests may share a connection only when these octets are the same for both.
cdef bytes proxy_opening(Exchange x)
