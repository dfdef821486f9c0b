# HTTP/1.0 and 1.1 towards the client.
from worker.plane.h1_requests cimport H1Requests

cdef class H1Downstream(H1Requests):
    cdef int persistence(self) except -1
    cdef int drop_carry(self) except -1
    cdef bint at_rest(self) except -1
    cdef int head_overdue(self) except -1
    cdef bint body_overdue(self) except -1
    cdef int drain(self) except -1
    cdef bint is_stream(self) except -1
    cdef int end_for_drain(self) except -1
