# Body bytes from one connection to another without a copy in user space: see splice.py.
from worker.plane.connection cimport Connection

cdef enum:
    NOT_SPLICED = -(1 << 30)

# Read what has come on `connection` into the pipe of its sink: bytes, 0 at the end, -errno, or NOT_SPLICED: read it in
# the ordinary way.
cdef long long splice_in(Connection connection) except? -1
# Send what is in the connection's pipe as far as the kernel takes it; returns 0 or errno.
cdef int splice_out(Connection connection) except? -1
