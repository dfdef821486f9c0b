# Certificates and keys from PEM texts into libssl's contexts.
from worker.plane.openssl cimport SSL_CTX

# A certificate with its chain, and its key. Raises ValueError with libssl's reason.
cdef int load_pair(SSL_CTX* context, bytes chain, bytes key) except -1
# Certificates to believe; `announced`: the other side is told which. Returns how many there are. Raises ValueError for one
# that cannot be used.
cdef int load_authorities(SSL_CTX* context, bytes text, bint announced) except -1
