# HTTP/1 bodies of either side: where the payload is in what was read, and how payload is framed when sent.
from worker.plane.buffer cimport Arena
from worker.plane.connection cimport Connection
from worker.plane.h1_chunks cimport Chunks

# A body that is being received.
cdef struct Incoming:
    int kind                  # h1_write.BodyKind
    long long left            # of BODY_LENGTH
    Chunks chunks

# What one look at the bytes gave.
cdef struct Piece:
    long long offset, size    # payload, one stretch (chunks are moved together where they are)
    long long position        # first byte behind what was used
    bint last                 # the body is complete; `position` is behind it
    bint bad                  # it is malformed: incoming.chunks.fault says how
    long long trailers, trailers_size

cdef int body_begins(Incoming* incoming, int kind, long long length) except -1
cdef int body_piece(Arena arena, Incoming* incoming, long long offset, long long end, Piece* piece) except -1
# Queue payload on a connection, in chunks if `chunked`; `last` ends the body, with these trailers.
cdef int put_payload(Connection connection, bint chunked, long long offset, long long size, bint last) except -1
cdef int put_trailers(Connection connection, long long offset, long long size) except -1
