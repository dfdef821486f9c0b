# Which rule a request is under, and what follows from it.
from worker.plane.exchange cimport Exchange

cdef int find_route(Exchange x) except -1
# No filter has answered.
cdef int after_request_filter(Exchange x) except -1
