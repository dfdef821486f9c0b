# Values of the access log that are found in what was received only when a format names them.
from worker.plane.access_log cimport AccessLog
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.record cimport Record

# What TLS agreed on (steps 30 to 39); absent on a plain connection.
cdef int put_secured(AccessLog log, int what, Record* record) except -1
# What picked the last peer; HTTP/2 (steps 15 to 17).
cdef int put_further(AccessLog log, int what, Record* record) except -1
# The trace id of the field with this place in log.names (traceparent).
cdef int put_trace_id(AccessLog log, Arena arena, Head* head, int name) except -1
# The values of the origin's trailer fields with this name, joined by ", ".
cdef int put_trailer(AccessLog log, Arena arena, Record* record, int name) except -1
