# TLS towards origins: whom to believe and who we are there, and one origin's name and session.
from worker.plane.openssl cimport SSL_CTX, SSL_SESSION
from worker.plane.tls cimport TlsStream

cdef class TlsClient:
    cdef SSL_CTX* context
    cdef readonly bint verify              # the origin's certificate must be good, and for its name

# A peer's own: connections of two of these never stand for one another, nor do their sessions.
cdef class TlsOrigin:
    cdef TlsClient client
    cdef readonly bytes name               # the host name or address that its certificate must be for; b"": anybody's
    cdef bint is_address
    cdef SSL_SESSION* session              # the last that the origin gave, for the next connection; NULL: none
    # The client's end of a connection, which says that we speak HTTP/2, or HTTP/1.1; raises ValueError, MemoryError.
    cdef TlsStream connect(self, bint h2)
    cdef int forget(self) except -1        # the session is no good
