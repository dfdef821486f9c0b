# The end of a worker's service, and the way back from it.
from worker.plane.exchange cimport Services
from worker.plane.pool cimport Pools
from worker.plane.reactor cimport Reactor

cdef class Departure(Services):
    cdef readonly Reactor reactor
    cdef Pools pools
    cdef dict listeners                    # by descriptor
    cdef long long drain_linger_ms
