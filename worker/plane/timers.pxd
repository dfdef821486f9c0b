# Deadlines by connection index: one wheel of lists, moved lazily.

cdef class Wheel:
    cdef int[::1] head                 # per slot: first index, or -1
    cdef int[::1] next, previous       # per index
    cdef int[::1] slot                 # per index: -1 when it is not in the wheel
    cdef long long[::1] due_ms         # per index: when its slot comes up
    cdef int capacity
    cdef long long now_tick
    cdef readonly int armed            # indices in the wheel
    cdef int grow(self, int index) except -1
    cdef int put(self, int index, long long due_ms) except -1
    cdef int remove(self, int index) except -1
    cdef int expire(self, long long now_ms) except -1      # takes one index whose slot has come up, or -2 for none
