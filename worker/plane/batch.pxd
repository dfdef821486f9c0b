# The two functions behind which all bytes move: one read of many sockets, one write to many.
from worker.plane.connection cimport Connection, Host
from worker.plane.syscalls cimport iovec, msghdr

cdef enum:
    BATCH = 256                    # connections read in one turn
    SLOT_BYTES = 16384             # what one read takes
    WIDE_BYTES = 262144            # the same while a long body is under way
    WIDE_SLOTS = 8

cdef class Batch:
    cdef readonly str name
    cdef Host host
    cdef long long slots, wide_slots       # arena offsets of the turn's slots
    cdef int count                         # connections in the current batch
    cdef list connections                  # whose they are
    cdef long long[::1] offset             # where each one's bytes are
    cdef long long[::1] size               # what recv or send said; -errno when it failed
    cdef int prepare(self) except -1
    cdef int receive(self) except -1       # for connections[0:count]: fills offset and size
    cdef int send(self) except -1          # for connections[0:count]: shows their output to the kernel once; offset: how much was
                                           # shown, size: how much was taken
    cdef int receive_one(self, int i) except -1
    cdef int send_one(self, int i) except -1

# Describe the connection's output to the kernel; returns how many of the (at most 8) vectors are used.
cdef int fill_vectors(Host host, Connection connection, iovec* vectors) except -1
cdef int describe_message(msghdr* message, iovec* vectors, int count) noexcept
# MSG_MORE when all that is left is shown in so many vectors and the end of the connection follows within the turn.
cdef unsigned int last_words(Connection connection, int count) noexcept
