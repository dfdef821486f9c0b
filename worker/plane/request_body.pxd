# The client's body on its way to the origin.
from worker.plane.exchange cimport Exchange

# Body bytes from the client; only while the state is SENT or later.
cdef int request_data(Exchange x, long long offset, long long size, bint last) except -1
# The end of a body that has trailers; these are not kept, so it cannot be sent again.
cdef int request_trailers(Exchange x, long long offset, long long size) except -1
