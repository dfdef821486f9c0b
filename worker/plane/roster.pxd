# Which connections there are.
from worker.plane.connection cimport Host
from worker.plane.timers cimport Wheel

cdef class Roster(Host):
    cdef readonly int epoll
    cdef Wheel wheel
    cdef list free_indices, retired_indices
    cdef int read_clock(self) except -1
    cdef int sweep(self) except -1
