# Paths and host names in the form that rules are compared with. Offsets are absolute; results go to `out`.

# The path percent-decoded where that is safe, without dot segments and empty segments, for matching only: the target is
# forwarded as it came. Returns the size written to `out`; -1 is an exception; -2 when the path climbs above the root,
# has a bad escape or a NUL, or does not fit: no rule may match it (400). Never longer than `size`.
cdef int normalise_path(unsigned char[::1] view, long long offset, int size, long long out_offset, int out_limit) except -1
# Whether normalise_path would return the same octets: the caller may then match where they are.
cdef bint is_normal_path(unsigned char[::1] view, long long offset, int size) except -1

# Whether the text is a host with an optional port (RFC 9110 7.2; registered name, IPv4, or IPv6 in brackets).
cdef bint is_host(unsigned char[::1] view, long long offset, long long size) except -1
# For a text that is_host accepts: lower case, without port and final dot, into `out`; returns its size, -2 when it does not fit.
cdef int bare_host(unsigned char[::1] view, long long offset, int size, long long out_offset, int out_limit) except -1
# Its port, or 0 when there is none.
cdef int host_port(unsigned char[::1] view, long long offset, int size) except -1

# FNV-1a over the octets with A-Z lower-cased; the hash of field names, hosts and route tables.
cdef unsigned int fnv_lower(unsigned char[::1] view, long long offset, long long size) except? 0
cdef unsigned int fnv_exact(unsigned char[::1] view, long long offset, long long size) except? 0
# The same for Python: what tables hash at load must agree with what the plane hashes.
cpdef unsigned int fnv_bytes(bytes text)
