# A connection that may turn out to be TLS, until it is known and the handshake is done.
from worker.plane.connection cimport Handler
from worker.plane.exchange cimport Services
from worker.plane.h1_downstream cimport H1Downstream
from worker.plane.tls cimport TlsStream
from worker.plane.tls_context cimport TlsServer

cdef enum Scheme:
    SCHEME_HTTP = 0
    SCHEME_HTTPS = 1
    SCHEME_AUTO = 2                        # the first byte tells

cdef class TlsGate(Handler):
    cdef Services services
    cdef TlsServer server
    cdef H1Downstream down                 # who gets the connection; knows who the client is
    cdef TlsStream stream                  # None: the handshake has not begun, or is over
    cdef bytes early                       # what has come of a client's hello until the handshake begins; None: nothing
    cdef bint counted                      # among the handshakes under way
    cdef bint waiting                      # for its turn; the hello is there
    cdef int scheme
    cdef bint refused
    cdef int secure(self, long long offset, long long size) except -1
    cdef int begin(self) except -1
    cdef int drain(self) except -1
    cdef int let_hear(self) except -1
    cdef int plain(self, long long offset, long long size) except -1
    cdef int refuse(self, int first) except -1
    cdef int tell(self, int counter, str cause) except -1
    cdef int end(self, int counter, str cause) except -1

# Begin the handshakes that had to wait, as far as the rate allows by now.
cdef int begin_waiting(Services services) except -1
