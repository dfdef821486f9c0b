# Which connections there are.
from worker.plane.connection cimport Connection, Host
from worker.plane.timers cimport Wheel

cdef class Roster(Host):
    cdef readonly int epoll
    cdef Wheel wheel
    cdef list free_indices, retired_indices
    cdef int read_clock(self) except -1
    cdef int sweep(self) except -1
    cdef int surrender(self, Connection connection) except -1
    cdef int nudge(self, Connection connection) except -1
