# Flow control and back-pressure (RFC 9113 5.2, 6.9): payload out through two windows, payload in and credit for it.
from worker.plane.h2_connection cimport H2Connection, H2Stream

# Where at most so many octets of output may be written now, and that they were, up to `end`.
cdef long long room(H2Connection owner, long long size) except -1
cdef int wrote(H2Connection owner, long long at, long long end) except -1
cdef bint congested(H2Connection owner) except -1              # the other side does not read: add nothing that can wait

# Body bytes are valid until the turn ends. What no window lets pass is kept, and hold_sender() is said.
cdef int send_data(H2Stream stream, long long offset, long long size, bint last) except -1
cdef int send_trailers(H2Stream stream, long long offset, long long size) except -1
cdef int ended(H2Stream stream) except -1                      # END_STREAM is on its way
cdef int serve(H2Connection owner) except -1                   # a frame of each that waits, in turn, as far as it goes
cdef int take_window_update(H2Connection owner) except -1
cdef int window_moved(H2Stream stream) except -1               # its send_window was raised

cdef int begin_payload(H2Connection owner) except -1           # owner.frame is a DATA frame
cdef int take_payload(H2Connection owner, long long at, long long end) except -1   # how much of it was used
cdef int arrive(H2Stream stream, long long offset, long long size, bint last) except -1
cdef int take_trailers(H2Stream stream, int count, bint last, bint response) except -1     # from a decoded field block
cdef int drain_early(H2Stream stream) except -1                # the exchange takes (more)
