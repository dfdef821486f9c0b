# Names that came lately, by their first octets: the same few come with every request, and comparing is a fifth of the
# work of checking and hashing. What is compared is name and colon as they came, hence checked once is checked.
cimport cython
from worker.plane.octets cimport eight_inside

cdef enum:
    KNOWN_NAMES = 64          # one for each value of six bits
    KNOWN_BYTES = 24          # a longer name, or one so near the end of what is there, is not looked for

cdef struct KnownName:
    unsigned long long first
    unsigned long long second
    unsigned long long second_mask
    unsigned long long third
    unsigned long long third_mask
    unsigned long long size   # of the name; 0: nothing here
    unsigned int hash         # as Field.name_hash
    unsigned int kind         # as Field.kind

cdef KnownName KNOWN[64]
cdef KnownName UNKNOWN

# Where the octets that begin with `word` are looked for; 2^64 / golden ratio spreads them.
cdef inline KnownName* known_place(unsigned long long word) noexcept:
    return &KNOWN[(word * 0x9E3779B97F4A7C15ULL) >> 58]

# What is known of the name that begins at `at`, its colon included; an entry of size 0: nothing. limit <= len(view).
cdef inline KnownName* known_name(unsigned char[::1] view, unsigned long long at, unsigned long long limit) noexcept:
    cdef unsigned long long word, colons
    cdef KnownName* entry
    if at + KNOWN_BYTES > limit:
        return &UNKNOWN
    word = eight_inside(view, at)
    colons = word ^ 0x3A3A3A3A3A3A3A3AULL
    colons = (colons - 0x0101010101010101ULL) & ~colons & 0x8080808080808080ULL  # exact up to the first one
    if colons:
        word &= colons ^ (colons - 1)
    entry = known_place(word)
    if entry.first != word:
        return &UNKNOWN
    if not colons and (
        (eight_inside(view, at + 8) & entry.second_mask) != entry.second
        or (eight_inside(view, at + 16) & entry.third_mask) != entry.third
    ):
        return &UNKNOWN
    return entry

# Know this name the next time, instead of one that began alike; view[at + size] is its colon.
cdef int remember_name(
    unsigned char[::1] view,
    unsigned long long at,
    unsigned long long limit,
    unsigned long long size,
    unsigned int hashed,
    unsigned int kind,
) except -1
