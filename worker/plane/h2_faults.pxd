# What may end an HTTP/2 connection by an error: for each cause the code of its GOAWAY, the words for the log, the counter.
from worker.plane.h2_connection cimport H2Connection

# In the order of H2_CAUSES in pingpy/shared/names.py (a test compares the two). The first ones are RFC 9113's own.
cpdef enum Why:
    W_PROTOCOL = 0
    W_FLOW_CONTROL
    W_STREAM_CLOSED
    W_FRAME_SIZE
    W_COMPRESSION
    W_FLOOD                   # of frames that cost us work and move nothing
    W_RESETS                  # streams that we had to reset
    W_STREAMS                 # more of them than we have allowed
    W_HEADER_BYTES
    W_HEADER_TIME             # a field block in slow pieces
    W_UNREAD                  # the other side took nothing for too long
    W_SILENT                  # it did not answer a PING
    W_COUNT

cdef int why_of(unsigned int error) noexcept           # Why, of an error of RFC 9113 in what came
cdef unsigned int error_of(int why) noexcept           # what a GOAWAY says of it
cdef str words_of(H2Connection owner, int why)
