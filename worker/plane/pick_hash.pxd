# Picking by a hash of the request: ip_hash and consistent hash.
from worker.plane.pick cimport Pool

cdef class AddressHash(Pool):
    cdef unsigned int[::1] sums           # running sums of all weights, down peers included
    cdef unsigned int total

cdef class ConsistentHash(Pool):
    cdef unsigned int[::1] points         # sorted
    cdef int[::1] owners                  # position of the peer each point belongs to
    cdef int[::1] slots                   # by the upper bits of a key: the first point not below them
    cdef int point_count
    cdef object build
    cdef list built_for                   # weights the ring was built from
