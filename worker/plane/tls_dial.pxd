# A connection to a peer that speaks TLS, until the handshake is done.
from worker.plane.connection cimport Connection, Handler
from worker.plane.tls cimport TlsStream
from worker.plane.tls_client cimport TlsOrigin

cdef class TlsDial(Handler):
    cdef Handler after                     # who takes over, and hears of the outcome as of that of a plain connection
    cdef TlsOrigin origin
    cdef bytes opening                     # a PROXY header, which comes first and in plain; None: none
    cdef bint h2                           # HTTP/2 is what must be agreed on
    cdef TlsStream stream                  # None: TCP is not connected yet
    cdef int hand_over(self) except -1

# The handler to attach in place of `after`; a failure of TLS is then told in its connection's `trouble`.
cdef TlsDial tls_dial(Handler after, TlsOrigin origin, bytes opening, bint h2)
# Whether libssl holds bytes of this connection that nobody has read.
cdef bint holds_bytes(TlsStream stream) except -1
