# The OCSP responses that clients are shown with an identity's certificates.
from worker.plane.openssl cimport SSL_CTX, X509

# One certificate's; `certificate` is the context's, which is kept as long as this.
cdef class Staple:
    cdef X509* certificate
    cdef bytes response
    cdef long long first, last             # the seconds since 1970 between which it may be shown

cdef class Staples:
    cdef list held                         # of Staple; at most one for each kind of certificate
    # For the certificate that the context was given last; with `response` None nothing.
    cdef int add(self, SSL_CTX* context, bytes response, long long first, long long last) except -1
