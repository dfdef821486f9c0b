# Sixteen octets at once: one instruction for each step where the processor has SSE2, as every x86-64 has.
cimport cython

cdef extern from *:
    """
    #ifdef __SSE2__
    #include <emmintrin.h>

    /* A bit for each octet that is below 0x20 or is 0x7F, the first one lowest. */
    static inline unsigned int pingpy_controls(const unsigned char* at) {
        __m128i octets = _mm_loadu_si128((const __m128i*)at);
        __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(octets, _mm_set1_epi8(0x1F)), octets);
        __m128i del = _mm_cmpeq_epi8(octets, _mm_set1_epi8(0x7F));
        return (unsigned int)_mm_movemask_epi8(_mm_or_si128(low, del));
    }
    #else
    static inline unsigned int pingpy_controls(const unsigned char* at) {
        unsigned int found = 0;
        for (int i = 0; i < 16; i++) found |= (unsigned int)(at[i] < 0x20 || at[i] == 0x7F) << i;
        return found;
    }
    #endif
    """
    unsigned int pingpy_controls(const unsigned char* at) nogil

# The caller has compared `at + 16` with the view's end already.
cdef inline unsigned int controls_of_sixteen(unsigned char[::1] view, unsigned long long at) noexcept:
    with cython.boundscheck(False):
        return pingpy_controls(&view[at])
