# HPACK (RFC 7541): field blocks to pairs of octets in a view, and back. Memory per connection is fixed.

cdef enum:
    TABLE_BYTES = 4096            # the size we announce, and the largest that we use for encoding
    TABLE_ENTRIES = 128           # TABLE_BYTES / 32

cdef struct Entry:
    int at                        # in the store: the name, then the value
    int name_size
    int value_size
    unsigned int name_hash        # of entries that we encoded

# One decoded field, with absolute offsets.
cdef struct Pair:
    long long name
    long long value
    int name_size
    int value_size
    int never                     # 1: a literal never to be indexed (RFC 7541 7.1.3), to be passed on so

cdef enum HpackFault:
    HPACK_OK = 0
    HPACK_BAD = 9                 # the error codes of RFC 9113 section 7: COMPRESSION_ERROR
    HPACK_TOO_MUCH = 11           # ENHANCE_YOUR_CALM: the list is over our bounds; the table is out of step from here on

cdef class Table:
    cdef unsigned char[::1] store
    cdef Entry entries[128]       # a ring
    cdef int newest, count
    cdef int tail                 # where the next entry is written
    cdef readonly int size        # as RFC 7541 4.1 counts
    cdef readonly int limit
    cdef int resize(self, int limit) except -1
    cdef int make_room(self, int needed) except -1
    cdef Entry* entry(self, int index) except NULL
    cdef int insert(
        self, unsigned char[::1] view, long long name, int name_size, long long value, int value_size, unsigned int hashed
    ) except -1

cdef class Decoder(Table):
    cdef long long at, end        # of the block
    cdef unsigned char[::1] view
    cdef long long out, out_end
    cdef readonly int fault       # HpackFault
    # Decodes a whole field block into pairs, whose octets are written from `out` on. Returns how many, or -2 with `fault`
    # set, which is an error of the whole connection. `list_bytes` bounds the list as RFC 9113 6.5.2 counts it.
    cdef int decode(
        self, unsigned char[::1] view, long long start, long long end, long long out, long long out_end,
        Pair* pairs, int most, long long list_bytes
    ) except? -1
    cdef int refuse(self, int fault) noexcept
    cdef int field(self, int first, Pair* pair) except? -1
    cdef int indexed_text(self, int index, Pair* pair, bint with_value) except? -1
    cdef int literal(self, long long* at) except? -1
    cdef int unhuffman(self, int size) except? -1
    cdef long long number(self, int first, int mask) except? -1
