# Changes that a hook made to one message.
from worker.plane.buffer cimport Arena

cdef class Changes:
    cdef list dropped         # names that are not copied
    cdef unsigned long long drop_bits      # of their hashes, modulo 64: most fields need no comparing
    cdef list added           # names and values to append, by turns
    cdef long long added_bytes             # of the field lines that they make
    cdef bytes target         # None: as it came
    cdef bint sets_host       # `added` has a Host
    cdef Changes copy(self)
    cdef int clear(self) except -1
    # Whether a field of this name (at `name` in the view; its hash as in Field.name_hash) is not copied.
    cdef bint drops(self, unsigned char[::1] view, long long name, int size, unsigned int hashed) except -1
    cdef int set_field(self, bytes name, bytes value) except -1
    cdef int add_field(self, bytes name, bytes value) except -1
    cdef int remove_field(self, bytes name) except -1
    cdef int append(self, bytes name, bytes value) except -1
    cdef int forget(self, bytes name) except -1
    # Write the added field lines, all or all but Host; returns the bytes written.
    cdef long long put_added(self, Arena arena, long long to, bint without_host) except -1

# FNV-1a of a name in lower case, as in Field.name_hash.
cdef unsigned int hash_of(bytes name) noexcept
# Whether the name at `at` is this one, case aside.
cdef bint same_name(unsigned char[::1] view, long long at, long long size, bytes name) except -1
