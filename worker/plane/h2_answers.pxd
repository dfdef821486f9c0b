# Responses as a client's HTTP/2 stream gets them.
from worker.plane.exchange cimport Exchange
from worker.plane.h2_downstream cimport ClientStream

cdef int put_response(ClientStream stream, Exchange x, bint last) except -1            # the head; `last`: nothing follows
cdef int put_informational(ClientStream stream, Exchange x) except -1
cdef int put_reply(ClientStream stream, Exchange x, int status, bytes lines, bytes body) except -1
