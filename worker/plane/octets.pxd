# What each octet may be, and the few words that the HTTP/1 scanner compares with. Tables only; everybody may read them.

# Bits of CLASS[octet]
cimport cython

cdef enum Octet:
    O_TOKEN = 1               # tchar, RFC 9110 5.6.2
    O_VALUE = 2               # HTAB, SP, VCHAR, obs-text
    O_PATH = 4                # of a request target before '?'; not the octets that readers take differently: " < > \
    O_QUERY = 8               # VCHAR except '#'
    O_HOST = 16               # of a registered name
    O_DIGIT = 32
    O_HEX = 64
    O_UNRESERVED = 128        # RFC 3986 2.3

# Words beyond the field names, which have the numbers of h1_parse.FieldKind
cdef enum Word:
    W_CLOSE = 25
    W_CHUNKED = 26
    W_CONTINUE = 27           # 100-continue
    W_TRAILERS = 28
    W_WORDS = 29

cdef enum:
    FNV_BASIS = 2166136261
    FNV_PRIME = 16777619

cdef unsigned char CLASS[256]
cdef unsigned char LOWER[256]         # lower case of a token octet; 0: not a token octet
cdef unsigned char WORD_SIZE[32]
cdef unsigned char WORD_TEXT[32][20]
cdef unsigned int WORD_HASH[32]
cdef unsigned long long WORD_BITS[32][3]      # the text, eight octets each, the first one lowest
cdef unsigned long long WORD_MASK[32][3]      # which bits of WORD_BITS count
cdef unsigned char WORD_SLOT[256]     # field kind by (hash * WORD_FACTOR) >> 24, or 0
cdef unsigned int WORD_FACTOR

cdef extern from *:
    int __builtin_ctzll(unsigned long long) nogil

cdef enum:
    LONGEST_WORD = 20

# Eight octets as one number, the first one lowest: one load instruction. The only raw access of the wire formats. The
# caller has compared `at + 8` with the view's end already.
cdef inline unsigned long long eight_inside(unsigned char[::1] view, unsigned long long at) noexcept:
    cdef unsigned char* p
    with cython.boundscheck(False):
        p = &view[at]
    return (
        <unsigned long long>p[0]
        | <unsigned long long>p[1] << 8
        | <unsigned long long>p[2] << 16
        | <unsigned long long>p[3] << 24
        | <unsigned long long>p[4] << 32
        | <unsigned long long>p[5] << 40
        | <unsigned long long>p[6] << 48
        | <unsigned long long>p[7] << 56
    )

# The same anywhere; out of bounds it gives NULs, which no scanner accepts.
cdef inline unsigned long long eight(unsigned char[::1] view, unsigned long long at) noexcept:
    if at > <unsigned long long>view.shape[0] - 8 or view.shape[0] < 8:
        return 0
    return eight_inside(view, at)

# The high bit of each octet that is below 0x20 or is 0x7F. Borrows may set more behind the first such octet, never before.
cdef inline unsigned long long controls(unsigned long long word) noexcept:
    cdef unsigned long long flipped = word ^ 0x7F7F7F7F7F7F7F7FULL
    return (
        ((word - 0x2020202020202020ULL) & ~word) | ((flipped - 0x0101010101010101ULL) & ~flipped)
    ) & 0x8080808080808080ULL

# Whether the text is that word, case aside.
cdef bint is_word(unsigned char[::1] view, long long at, long long size, int word) except -1

# The same for octets that may stand in a token or a value, in two or three comparisons of eight octets each. Setting bit 5
# makes letters lower-case; of other octets only controls would become part of a word by it ('-' from CR).
cdef inline bint is_token_word(unsigned char[::1] view, long long at, long long size, int word) except -1:
    cdef int k = 0
    if size != WORD_SIZE[word]:
        return False
    while k * 8 < size:
        if (eight(view, at + k * 8) | 0x2020202020202020ULL) & WORD_MASK[word][k] != WORD_BITS[word][k]:
            return is_word(view, at, size, word)  # another word, or too near the end of the view
        k += 1
    return True

cdef extern from "string.h" nogil:
    void* memmove(void* to, const void* source, size_t size)

# Copies octets from one view to another, or inside of one; both ends are checked first.
cdef inline int copy_octets(
    unsigned char[::1] to, long long at, unsigned char[::1] source, long long start, long long size
) except -1:
    if at < 0 or start < 0 or size < 0 or at + size > to.shape[0] or start + size > source.shape[0]:
        raise IndexError("copy out of bounds")
    if size:
        with cython.boundscheck(False):
            memmove(&to[at], &source[start], size)
    return 0
