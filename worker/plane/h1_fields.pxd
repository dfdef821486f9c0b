# The field section of a head, shared by requests and responses. Refusals: -2, with head.fault set.
from worker.plane.h1_parse cimport Head

# From the first field line on; returns the position after the empty line, or 0 when more octets are needed.
cdef long long scan_fields(unsigned char[::1] view, long long position, long long end, Head* head, int most) except? -1
