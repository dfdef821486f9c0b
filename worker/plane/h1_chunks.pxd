# HTTP/1 body framing: the chunked coding, cut anywhere. The names are also offered by h1_parse.pxd.

cdef enum:
    CHUNK_LINE_BYTES = 1024           # one chunk line: size and extensions
    CHUNK_TRAILER_BYTES = 8192        # the whole trailer section
    CHUNK_WASTE_BYTES = 16384         # extensions may take this much, plus one octet per data octet so far

cdef struct Chunks:
    int state
    int line_bytes                # of the chunk line or trailer section so far, bounded
    int digits                    # of the chunk size so far
    long long waste_bytes         # extensions so far, less the data so far
    long long left                # data bytes of the current chunk still to come
    int fault

cdef enum ChunkResult:
    CHUNK_MORE = 0                # what stands before step.position was consumed; the rest (an unfinished trailer section, at
                                  # most CHUNK_TRAILER_BYTES) must be kept, and shown again from its first octet with more behind it
    CHUNK_DATA = 1                # data at data_start, data_size bytes
    CHUNK_END = 2                 # the body is over; trailers (if any) are at trailer_start, trailer_size bytes, checked
    CHUNK_BAD = -2

cdef struct ChunkStep:
    long long position            # next byte to look at
    long long data_start, data_size
    long long trailer_start, trailer_size   # whole field lines, each with CRLF, forbidden names refused (RFC 9110 6.5.1)

cdef int chunks_begin(Chunks* chunks) except -1
cdef int chunks_next(unsigned char[::1] view, long long position, long long end, Chunks* chunks, ChunkStep* step) except? -1


# Whether a name with this hash and size must not be a trailer field (RFC 9110 6.5.1); HTTP/2 asks, too.
cdef bint is_forbidden_trailer(unsigned int hashed, long long size) noexcept
