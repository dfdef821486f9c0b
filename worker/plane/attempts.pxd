# The peers that one exchange tries.
from worker.plane.exchange cimport Exchange, Side

cdef int choose_peer(Exchange x) except -1
cdef int upstream_ready(Exchange x, Side up, bint reused) except -1
cdef int send_upstream(Exchange x) except -1
# `unsent`: no byte of the request can have been received
cdef int upstream_failed(Exchange x, int ending, bint unsent) except -1
cdef bint try_again(Exchange x, int ending, bint unsent) except -1
