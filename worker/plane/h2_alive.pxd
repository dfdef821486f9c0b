# Whether the other side of an HTTP/2 connection is still there, though it says nothing.
from worker.plane.h2_connection cimport H2Connection

cdef int begin_watch(H2Connection owner) except -1     # a connection begins
cdef int watch(H2Connection owner) except -1           # from now on, where `ping_ms` says so
cdef int look_for_life(H2Connection owner) except -1   # watch_due_ms has come
