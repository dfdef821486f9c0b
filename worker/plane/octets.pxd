# What each octet may be, and the few words that the HTTP/1 scanner compares with. Tables only; everybody may read them.

# Bits of CLASS[octet]
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
cdef unsigned char WORD_SLOT[256]     # field kind by (hash * WORD_FACTOR) >> 24, or 0
cdef unsigned int WORD_FACTOR

cdef inline bint is_word(unsigned char[::1] view, long long at, long long size, int word) except -1:
    """Whether the text is that word, case aside."""
    cdef int i
    if size != WORD_SIZE[word]:
        return False
    for i in range(size):
        if LOWER[view[at + i]] != WORD_TEXT[word][i]:
            return False
    return True
