# Frames that speak of the connection or end a stream: SETTINGS, PING, GOAWAY, RST_STREAM; and errors of either (RFC 9113 5.4).
from worker.plane.h2_connection cimport H2Connection

cdef int put_settings(H2Connection owner) except -1
cdef int put_leave(H2Connection owner, unsigned int last_stream, unsigned int error) except -1     # GOAWAY
cdef int put_reset(H2Connection owner, unsigned int stream, unsigned int error) except -1          # RST_STREAM
cdef int put_ping(H2Connection owner) except -1
cdef int take_control(H2Connection owner, long long at) except -1    # owner.frame is none of those with payload or fields
# The other side's error in this stream: it is reset, its role hears of it, and the other side is charged.
cdef int stream_fault(H2Connection owner, unsigned int stream, unsigned int error) except -1
cdef bint is_idle(H2Connection owner, unsigned int stream) except -1           # it has never been
cdef bint was_reset_lately(H2Connection owner, unsigned int stream) except -1
# Why the last straw came: a frame is seldom what has cost most.
cdef int why_flooded(H2Connection owner) except -1
cdef int pay(H2Connection owner, int points, int why) except -1        # for work that the other side has caused: h2_faults.Why
