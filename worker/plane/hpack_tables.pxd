# What RFC 7541 fixes: the static table (appendix A) and the Huffman code (appendix B), filled at import.

cdef enum:
    STATIC_ENTRIES = 61
    STATIC_SLOTS = 256
    HUFFMAN_EMITS = 1             # the step ends a symbol
    HUFFMAN_MAY_END = 2           # what was read since the last symbol is valid padding
    HUFFMAN_FAILS = 4             # no symbol begins like this, or it is EOS

cdef struct StaticEntry:
    int at                        # in static_text(): the name, then the value
    int name_size
    int value_size
    unsigned int name_hash

cdef struct HuffmanStep:
    unsigned char state
    unsigned char flags
    unsigned char symbol

cdef StaticEntry STATIC[62]       # by index; 0 is unused
cdef unsigned char[::1] STATIC_TEXT
cdef HuffmanStep HUFFMAN[256][16] # by state and the next four bits
# The first static index of a name, found by its hash: open addressing over hash % STATIC_SLOTS; 0 ends a search.
cdef unsigned char STATIC_SLOT[256]

cdef int static_name(unsigned char[::1] view, long long name, int size, unsigned int hashed) except -1
