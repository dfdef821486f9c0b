# The origin's answer on its way to the client.
from worker.plane.exchange cimport Exchange

# The final response head was scanned into x.response; returns a PhaseVerdict.
cdef int response_head(Exchange x) except -1
cdef int keep_response_head(Exchange x) except -1
cdef int response_start(Exchange x, long long offset, long long size, bint last) except -1
cdef int response_data(Exchange x, long long offset, long long size, bint last) except -1
cdef int response_trailers(Exchange x, long long offset, long long size) except -1
