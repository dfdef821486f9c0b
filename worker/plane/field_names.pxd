# Names that came lately, by their first octets: the same few come with every request, and comparing is a fifth of the
# work of checking and hashing. What is compared is name and colon as they came, hence checked once is checked.
cimport cython
from worker.plane.octets cimport eight_inside

cdef enum:
    KNOWN_NAMES = 256         # one for each value of eight bits
    KNOWN_BYTES = 24          # a longer name, or one so near the end of what is there, is not looked for

cdef struct KnownName:
    unsigned long long first
    unsigned long long second
    unsigned long long third
    unsigned long long third_mask
    unsigned long long size   # of the name; 0: nothing here
    unsigned int hash         # as Field.name_hash
    unsigned int kind         # as Field.kind

cdef KnownName KNOWN[256]
cdef KnownName UNKNOWN

# The octets of a number up to the first colon; all of them, with found[0] = 0, when there is none.
cdef inline unsigned long long up_to_colon(unsigned long long word, unsigned long long* found) noexcept:
    cdef unsigned long long colons = word ^ 0x3A3A3A3A3A3A3A3AULL
    colons = (colons - 0x0101010101010101ULL) & ~colons & 0x8080808080808080ULL  # exact up to the first one
    found[0] = colons
    return word & (colons ^ (colons - 1)) if colons else word

# Where a name is looked for; 2^64 / golden ratio and another odd number spread its octets.
cdef inline KnownName* known_place(unsigned long long first, unsigned long long second) noexcept:
    return &KNOWN[((first + second * 0xC2B2AE3D27D4EB4FULL) * 0x9E3779B97F4A7C15ULL) >> 56]

# What is known of the name that begins at `at`, its colon included; an entry of size 0: nothing. limit <= len(view).
cdef inline KnownName* known_name(unsigned char[::1] view, unsigned long long at, unsigned long long limit) noexcept:
    cdef unsigned long long first, found, second = 0
    cdef KnownName* entry
    if at + KNOWN_BYTES > limit:
        return &UNKNOWN
    first = up_to_colon(eight_inside(view, at), &found)
    if not found:
        second = up_to_colon(eight_inside(view, at + 8), &found)
    entry = known_place(first, second)
    if entry.first != first or entry.second != second:
        return &UNKNOWN
    if not found and (eight_inside(view, at + 16) & entry.third_mask) != entry.third:
        return &UNKNOWN
    return entry

# Know this name the next time, instead of one that is looked for in the same place; view[at + size] is its colon.
cdef int remember_name(
    unsigned char[::1] view,
    unsigned long long at,
    unsigned long long limit,
    unsigned long long size,
    unsigned int hashed,
    unsigned int kind,
) except -1
