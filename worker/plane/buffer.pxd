# The arena: every byte the plane touches lives in one mapping; code passes offsets and indexes one checked view.

# A queue of bytes in blocks of the arena; 0 is "none" (the arena's first span is never handed out).
cdef struct Chain:
    long long head, tail
    long long bytes


cdef class Arena:
    cdef unsigned char[::1] view          # the whole mapping; index it, bounds are checked
    cdef unsigned char* base              # for system calls only (batch, splice, tls)
    cdef readonly long long size
    cdef readonly long long used_bytes    # in allocated blocks
    cdef object mapping
    cdef int[::1] span_class              # per span: size class, or FREE or RESERVED
    cdef int[::1] span_live               # blocks in use
    cdef int[::1] span_fresh              # blocks ever handed out; those behind are untouched
    cdef int[::1] span_next               # next span of the same list
    cdef int[::1] span_listed             # 1 while it is in its class's list
    cdef long long[::1] span_free         # first returned block, 0 for none
    cdef int[::1] class_head              # per class: spans that have room
    cdef int spans, next_span, free_head

    cdef int take_span(self, int size_class) except -1
    cdef long long alloc(self, long long size) except -1
    cdef int free(self, long long offset) except -1
    cdef long long block_size(self, long long offset) except -1
    cdef long long reserve(self, long long size) except -1
    cdef int check(self, long long offset, long long size) except -1
    cdef int copy(self, long long to, long long source, long long size) except -1
    cdef int put(self, long long to, bytes data) except -1
    cdef int put_chars(self, long long to, const char* data, long long size) except -1
    cdef int put_number(self, long long to, long long value) except -1
    cdef int put_hex(self, long long to, long long value) except -1
    cdef long long find(self, long long start, long long end, int byte) except -2
    cdef bytes take(self, long long offset, long long size)
    cdef str text(self, long long offset, long long size)     # of ASCII octets

    cdef int chain_append(self, Chain* chain, long long source, long long size) except -1
    cdef long long chain_front(self, Chain* chain, long long* offset) except -1
    cdef long long chain_after(self, long long block, long long* offset, long long* size) except -1
    cdef int chain_consume(self, Chain* chain, long long size) except -1
    cdef long long chain_take(self, Chain* chain, long long* offset, long long* size) except -1
    cdef int chain_clear(self, Chain* chain) except -1
    cpdef int trim(self) except -1
