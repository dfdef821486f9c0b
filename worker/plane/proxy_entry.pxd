# A connection whose PROXY header has not come yet.
from worker.plane.exchange cimport Side
from worker.plane.h1_downstream cimport H1Downstream
from worker.plane.connection cimport Handler
from worker.plane.listener cimport Listener

cdef class ProxyEntry(Side):
    cdef Listener listener
    cdef H1Downstream down                 # who takes over; it knows the socket's own address already
    cdef int turn_away(self, int counter, str cause) except -1
