# Picking by chance: weighted random, and the better of two.
from worker.plane.pick cimport Pool

cdef class Random(Pool):
    cdef unsigned int[::1] sums           # running sums of the candidates' weights
    cdef unsigned int total
    cdef int hit(self) except -1          # a place in `live`, by weight

cdef class PowerOfTwo(Random):
    pass
