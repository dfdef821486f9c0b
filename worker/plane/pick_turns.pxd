# Picking by turns: smooth weighted round robin, and least connections with ties taken by turns.
from worker.plane.pick cimport Pool

cdef class RoundRobin(Pool):
    cdef int[::1] heap                    # positions; heap[0] is next; beyond heap_size: set aside for this pick
    cdef bint equal                       # all weights are: `heap` is a ring, and heap[at] is next
    cdef int at
    cdef long long[::1] taken             # turns had so far; the next is due at (2 * taken + 1) / (2 * share)
    cdef int[::1] share                   # weights in force, divided by what all have in common
    cdef int heap_size
    cdef int first                        # whose turn it is among equals
    cdef int worker, workers
    cdef bint begun
    cdef int fetch(self, int index) except -1
    cdef int go_round(self, list tried, long long now_ms) except -2
    cdef bint before(self, int left, int right) except -1
    cdef int sink(self, int at) except -1
    cdef int rise(self, int at) except -1

cdef class LeastConnections(Pool):
    cdef double[::1] due                  # turns among equals: start-time fair queueing
    cdef double now
    cdef int first
    cdef int worker, workers
    cdef bint lower(self, int left, int left_count, int right, int right_count) except -1
