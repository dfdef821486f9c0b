# The arena: every byte the plane touches lives in one mapping; code passes offsets and indexes one checked view.
cimport cython

cdef class Arena:
    cdef unsigned char[::1] view          # the whole mapping; index it, bounds are checked
    cdef unsigned char* base              # for system calls only (connection, batch, tls)
    cdef readonly long long size
    cdef readonly long long used_bytes    # in allocated blocks
    cdef object mapping
    cdef int[::1] span_class
    cdef int[::1] span_live
    cdef int[::1] span_fresh
    cdef long long[::1] span_free
    cdef int[::1] span_next
    cdef int[::1] class_head
    cdef int spans
    cdef int free_spans
    cdef int next_span
    cdef long long alloc(self, long long size) except -1
    cdef int free(self, long long offset) except -1
    cdef long long block_size(self, long long offset) except -1
    cdef int check(self, long long offset, long long size) except -1
    cdef int copy(self, long long to, long long source, long long size) except -1
    cdef int put(self, long long to, bytes data) except -1
    cdef int put_chars(self, long long to, const char* data, long long size) except -1
    cdef int put_number(self, long long to, long long value) except -1
    cdef int put_hex(self, long long to, long long value) except -1
    cdef long long find(self, long long start, long long end, int byte) except -2
    cdef bytes take(self, long long offset, long long size)
