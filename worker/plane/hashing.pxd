# Hashes of bytes: of keys and addresses for balancing, of field names.
cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)
    int AF_INET
    int AF_INET6

cdef unsigned int crc32_view(unsigned char[::1] view, long long at, long long size) except? 0
# `text` ends with a NUL
cdef unsigned int address_hash(const char* text) noexcept

cdef inline unsigned char lower(unsigned char byte) noexcept:
    """ASCII lower case."""
    return byte + 32 if 65 <= byte <= 90 else byte
