# Sockets that accept: who comes in, from where, and whether there is room.
from worker.plane.connection cimport Handler
from worker.plane.exchange cimport Services
from worker.plane.h1_downstream cimport H1Downstream
from worker.plane.tls_context cimport TlsServer
from worker.plane.trusted cimport TrustedNetworks

cdef class Listener(Handler):
    cdef Services services
    cdef readonly int fd, number
    cdef readonly str name
    cdef readonly bint paused
    cdef object on_trouble                 # Callable[[int errno], None]
    cdef TrustedNetworks trusted
    cdef TrustedNetworks announced         # whose connections begin with a PROXY header; None: nobody's
    cdef TlsServer tls                     # None: nobody speaks TLS here
    cdef int scheme                        # tls_gate.Scheme
    cdef Handler greeter(self, H1Downstream down)
    cdef long long patience_ms(self) except -1
    cdef int open(self) except -1
    cdef int stop(self) except -1
    cdef int welcome(self, int fd, void* address, long long requests) except -1
    cdef int take_over(self, int fd, long long requests) except -1
    cdef int attach(self, int fd, Handler handler) except -1
    cdef int introduce(self, H1Downstream down, const unsigned char* packed, int size, int port) except -1
    cdef bint is_announced(self, const unsigned char* packed, int size) except -1
