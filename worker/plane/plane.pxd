# The plane as the worker's Python sees it.
from worker.plane.departure cimport Departure
from worker.plane.exchange cimport Exchange
from worker.plane.listener cimport Listener
from worker.plane.tls_context cimport TlsServer
from worker.plane.trusted cimport TrustedNetworks

cdef class Plane(Departure):
    cdef dict listener_names               # by number
    cdef TrustedNetworks trusted
    cdef TrustedNetworks announced         # whose connections begin with a PROXY header; None: nobody's
    cdef object announced_listeners        # numbers of the listeners where that holds; None: on all
    cdef object schemes                    # by listener's number: "http", "https", or the first byte tells ("auto")
    cdef TlsServer tls                     # None: no certificate
    cdef object events                     # PlaneEvents
    cdef dict peers_of_hooks
    cdef int most_clients
    cdef long long second_us
    cpdef bint ready(self) except? 0
    cpdef int tick(self) except -1
