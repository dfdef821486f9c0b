# TLS on one connection, whichever side opened it.
from worker.plane.connection cimport Connection, Layer
from worker.plane.openssl cimport SSL, SSL_CTX

cdef class TlsStream(Layer):
    cdef SSL* ssl
    cdef readonly bint client              # we opened the connection
    cdef readonly bint established
    cdef readonly object owner             # keeps what the SSL was made of
    cdef Connection connection             # whose socket it reads and writes; None before and after
    cdef bytes early                       # was read from the socket before we were there; None: nothing (more)
    cdef int early_used
    cdef bytes client_name
    cdef bint ended                        # the other side said close_notify
    cdef bint socket_ended                 # the socket ended, whether that was said or not
    cdef bint read_waits                   # for the socket to take bytes
    cdef bint write_waits                  # for bytes from the socket
    cdef int error                         # errno of the socket
    cdef long long barren                  # bytes of the socket since the last that the handler got
    cdef str unbearable                    # why the socket is not read any more; None: it is
    cdef bint corked                       # more follows within the turn, be it only the FIN
    cdef bint staging                      # what libssl writes is put together in `held`
    cdef bytes held                        # of a handshake, on its way to the socket; None: nothing
    cdef bint starved, stuck               # the socket had nothing to give, took nothing: that, and no error, stopped libssl

    cdef int attach(self, Connection connection, bytes early) except -1
    cdef int problem(self, int outcome, bint blocked) noexcept
    cdef long long shake(self, Connection connection) except? -1
    cdef long long read_stopped(self, Connection connection, int outcome, long long filled) except? -1
    cdef long long write_stopped(self, Connection connection, int outcome) except? -1
    cdef int note_failure(self, int problem) except -1
    cdef int settled(self) except -1
    cdef int hear_alert(self) except -1

# A stream on this context; `owner` is kept while it lives. Raises MemoryError.
cdef TlsStream new_stream(SSL_CTX* context, object owner, bint client)
# The first error that libssl reports, in words; forgets them all.
cdef str reason()
