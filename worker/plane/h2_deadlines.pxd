# Whose time is over on an HTTP/2 connection: its own deadlines and those of its streams share the connection's one timer.
from worker.plane.h2_connection cimport H2Connection

cdef int look_at_deadlines(H2Connection owner) except -1
