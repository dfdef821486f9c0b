# The first line of a head, which begins at head.start. Both return the position after the line's CRLF, 0 when more octets
# are needed, -2 when it is refused, with head.fault set.
from worker.plane.h1_parse cimport Head

cdef long long request_line(unsigned char[::1] view, long long end, Head* head) except? -1
cdef long long status_line(unsigned char[::1] view, long long end, Head* head) except? -1
