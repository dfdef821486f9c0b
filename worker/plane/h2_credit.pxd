# When the other side may send more (RFC 9113 5.2, 6.9).
from worker.plane.h2_connection cimport H2Connection, H2Stream

# Passed on: the windows of the stream, if it is given, and of its connection are opened again in large steps.
cdef int credit(H2Connection owner, H2Stream stream, long long size) except -1
cdef int credit_stream(H2Stream stream, long long size) except -1      # its own window only
# So much waits in `early`: the other streams of the connection get that room, while the worker's memory for it lasts.
cdef int lend_window(H2Stream stream, long long size) except -1
# So much leaves `early`: how much of it the connection has no credit for yet.
cdef long long settle_loan(H2Stream stream, long long size) except -1
