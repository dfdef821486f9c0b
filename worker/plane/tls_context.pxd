# What we show to clients: certificates by name, and what is asked of clients there.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.openssl cimport SSL_CTX
from worker.plane.record cimport Secured
from worker.plane.tls cimport TlsStream
from worker.plane.tls_staple cimport Staples
from worker.plane.tls_tickets cimport Tickets

# One identity: certificates of several kinds for the same names, and the rules that hold there.
cdef class TlsContext:
    cdef SSL_CTX* context
    cdef bytes groups, mark
    cdef Staples staples                   # None: no OCSP response is shown
    cdef int verify, oldest                # SSL_VERIFY_*, TLS1_*_VERSION
    cdef readonly bint requires_client     # a client must show a certificate

# The identities of a plane, by server name.
cdef class TlsServer:
    cdef readonly TlsContext default
    cdef dict names                        # b"www.example.com" or b"*.example.com", lower case -> TlsContext
    cdef public bint offers_h2
    cdef Tickets tickets                   # None: no session is resumed
    cdef TlsContext find(self, bytes name)
    cdef bint asks_clients(self) except -1                 # some identity requires a client's certificate
    # Whether a request must not be answered on a connection with this security (NULL: none).
    cdef bint is_misdirected(self, Arena arena, Head* head, Secured* secured) except -1
    cdef TlsStream accept(self)            # the server's end of a connection
