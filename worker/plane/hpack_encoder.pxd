# HPACK (RFC 7541), towards the other side.
from worker.plane.hpack cimport Table

cdef class Encoder(Table):
    cdef int smallest             # the smallest limit since the last block, to be said first; -1: nothing to say
    # The other side's SETTINGS_HEADER_TABLE_SIZE.
    cdef int allow(self, long long limit) except -1
    # At the start of each block; returns the new `out`.
    cdef long long begin_block(self, unsigned char[::1] out, long long at) except -1
    # One field; the name is lower-cased. Needs 16 octets more room than name and value have. Returns the new `out`.
    # `secret`: never indexed. Frequent fields that seldom change go into the table.
    cdef long long put(
        self, unsigned char[::1] out, long long at, unsigned char[::1] view, long long name, int name_size,
        long long value, int value_size, bint secret
    ) except -1
    cdef long long put_status(self, unsigned char[::1] out, long long at, int status) except -1
    cdef int find(
        self, unsigned char[::1] view, long long name, int name_size, long long value, int value_size, unsigned int hashed
    ) except -1

