# Checks of decoded HTTP/2 fields (RFC 9113 8.2, 8.3).
from worker.plane.h2_heads cimport H2Head
from worker.plane.hpack cimport Pair

# FNV-1a of a token; 0 when it is none.
cdef unsigned int name_hash(unsigned char[::1] view, long long at, int size) except? 0
# Checks every field and fills in head.pseudo; returns the index of the first that is no pseudo-field, or -2 with head.fault
# set. A Host field that repeats :authority loses its name.
cdef int collect(unsigned char[::1] view, Pair* pairs, int count, H2Head* head) except? -1
