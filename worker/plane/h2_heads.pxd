# HTTP/2 fields as an HTTP/1.1 head, in text: h1_parse then scans it like any other, so that routes, logs and the other
# side see one form only, and every rule of HTTP/1 heads holds for HTTP/2 as well (RFC 9113 8.1 to 8.5, 10.3).
from worker.plane.hpack cimport Pair

cdef enum:                    # H2HeadFault
    H2_FINE = 0
    H2_NAME, H2_UPPER_CASE, H2_VALUE, H2_CONNECTION_FIELD, H2_PSEUDO_UNKNOWN, H2_PSEUDO_REPEATED, H2_PSEUDO_LATE
    H2_PSEUDO_MISSING, H2_PSEUDO_VALUE, H2_AUTHORITY, H2_CONNECT, H2_ROOM, H2_TRAILER, H2_FAULTS

cdef struct H2Head:
    int fault                     # why not
    bint https                    # :scheme
    bint extended                 # extended CONNECT for "websocket" (RFC 8441): the text says GET
    Pair pseudo[6]                # by Pseudo; the value only; name_size 0: absent

cdef enum:                    # Pseudo
    P_METHOD = 0
    P_SCHEME, P_AUTHORITY, P_PATH, P_PROTOCOL, P_STATUS

# All write to `out` in the same view and return the size of what they wrote. Refused: -400 (a malformed request is an error
# of the stream, PROTOCOL_ERROR), -405 (CONNECT), -431 (no room); -502 for responses and their trailers. Cookies are joined.
cdef int request_text(unsigned char[::1] view, Pair* pairs, int count, long long out, long long out_end, H2Head* head) except? -1
cdef int response_text(unsigned char[::1] view, Pair* pairs, int count, long long out, long long out_end, H2Head* head) except? -1
# Field lines only.
cdef int trailer_text(
    unsigned char[::1] view, Pair* pairs, int count, long long out, long long out_end, bint response, H2Head* head
) except? -1

cpdef str h2_fault_text(int fault)
