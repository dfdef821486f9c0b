# How long a client of HTTP/2 may take over the body of its request.
from worker.plane.h2_downstream cimport ClientStream

cdef int watch_body(ClientStream stream) except -1     # look at its progress again in a while
cdef int body_overdue(ClientStream stream) except -1   # the while is over
