# gRPC-Web's form of gRPC messages (PROTOCOL-WEB.md of the gRPC project): base64 on the way, and trailers as the last frame.
# Sans-I/O: octets in, octets out, in pieces of any size.

# Base64 that comes. Padding may stand behind any group of four, as a sender that encodes each message by itself leaves it.
cdef struct Base64In:
    unsigned int bits         # of the octet that is not whole yet
    int place                 # in the group of four, 0 to 3
    int padding               # "=" that the group must still have

# Base64 that goes: what does not fill three octets waits.
cdef struct Base64Out:
    int have
    unsigned char kept[2]

# Where the messages of one direction end.
cdef struct Messages:
    int have                  # octets of the five before a message
    long long size            # of the message, as far as its octets have been read
    long long left            # octets of the message that are still to come

cdef int base64_in_begin(Base64In* base64) noexcept
cdef int base64_out_begin(Base64Out* base64) noexcept
cdef int messages_begin(Messages* messages) noexcept

# Decodes at..end to `to` (which may be `at`: never more is written than was read). The size written; -2: it is no base64.
cdef long long decode_base64(unsigned char[::1] view, long long at, long long end, long long to, Base64In* base64) except? -1
# Whether what came is whole: nothing of a group is missing.
cdef bint base64_is_whole(Base64In* base64) noexcept
# Encodes at..end to `to`, at most 4 * ((end - at + 2) // 3 + 1) octets; `flush`: with padding, so that nothing waits. Returns the
# position behind what was written.
cdef long long encode_base64(
    unsigned char[::1] view, long long at, long long end, long long to, Base64Out* base64, bint flush
) except -1
# Follows the octets at..end.
cdef int follow_messages(unsigned char[::1] view, long long at, long long end, Messages* messages) except -1
cdef bint between_messages(Messages* messages) noexcept
# The frame that carries these field lines, names in lower case, at `to`: five octets more than the lines. Returns its end.
cdef long long put_trailer_frame(unsigned char[::1] view, long long to, long long lines, long long size) except -1

# For tests
cpdef object decode_parts(bytes data, list sizes)              # None: refused
cpdef list encode_parts(bytes data, list sizes, list flushes)  # what each part gave
cpdef list message_ends(bytes data, list sizes)                # after each part, whether a message has just ended
cpdef bytes trailer_frame(bytes lines)
