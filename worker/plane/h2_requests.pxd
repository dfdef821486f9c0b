# Request heads as an origin's HTTP/2 stream gets them.
from worker.plane.exchange cimport Exchange
from worker.plane.h2_connection cimport H2Stream

cdef int put_request(H2Stream stream, Exchange x, bint last) except -1     # `last`: nothing follows
