# Access log: a format compiled to steps, lines collected and written whole.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.record cimport Record

cdef class AccessLog:
    cdef readonly bint wants_response_head      # the format names upstream_http_* or sent_http_*: keep the head until the end
    cdef int write_line(self, Arena arena, Record* record, Head* request, Head* response) except -1
    cdef int flush(self) except -1              # called by the reactor at least every second, and on exit
