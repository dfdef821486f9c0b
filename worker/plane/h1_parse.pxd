# HTTP/1 wire format: heads and chunked bodies. Knows no socket and no connection; indexes a checked view.

cdef enum:
    MAX_FIELDS = 128          # the configured header_count may be lower, never higher

from worker.plane.h1_chunks cimport Chunks, ChunkStep, ChunkResult, chunks_begin, chunks_next
from worker.plane.h1_chunks cimport CHUNK_MORE, CHUNK_DATA, CHUNK_END, CHUNK_BAD

# Why a head or a chunk was refused; `fault_text(fault)` gives the words for the log.
cdef enum Fault:
    FAULT_NONE = 0
    FAULT_METHOD, FAULT_CONNECT, FAULT_LINE_SPACE, FAULT_LINE_LONG, FAULT_TARGET_OCTET, FAULT_TARGET_FORM
    FAULT_AUTHORITY, FAULT_VERSION_SYNTAX, FAULT_VERSION, FAULT_STATUS_LINE, FAULT_LINE_END
    FAULT_NAME, FAULT_NAME_SPACE, FAULT_FOLD, FAULT_VALUE_OCTET, FAULT_HEAD_LONG, FAULT_FIELD_COUNT
    FAULT_HOST_MISSING, FAULT_HOST_REPEATED, FAULT_HOST_SYNTAX, FAULT_LENGTH_SYNTAX, FAULT_LENGTH_CONFLICT
    FAULT_CODING_SYNTAX, FAULT_CODING_UNKNOWN, FAULT_CODING_OLD, FAULT_CODING_LENGTH
    FAULT_CONNECTION_SYNTAX, FAULT_CONNECTION_NOMINATES
    FAULT_CHUNK_SIZE, FAULT_CHUNK_EXTENSION, FAULT_CHUNK_LONG, FAULT_CHUNK_END, FAULT_TRAILER_SYNTAX
    FAULT_TRAILER_NAME, FAULT_TRAILER_LONG, FAULTS

# Field names that the proxy itself acts upon. 0: any other name.
cdef enum:                    # FieldKind; without a name, because Cython does not index arrays by a named enum
    F_OTHER = 0
    F_HOST, F_CONNECTION, F_CONTENT_LENGTH, F_TRANSFER_ENCODING, F_EXPECT, F_UPGRADE, F_TE, F_TRAILER
    F_KEEP_ALIVE, F_PROXY_CONNECTION, F_X_FORWARDED_FOR, F_X_FORWARDED_PROTO, F_X_FORWARDED_HOST, F_FORWARDED
    F_VIA, F_X_REQUEST_ID, F_USER_AGENT, F_REFERER, F_AUTHORIZATION, F_DATE, F_SERVER, F_CONTENT_TYPE
    F_PROXY_AUTHENTICATE, F_PROXY_AUTHORIZATION, F_KINDS

cdef enum HeadFlag:
    H_CHUNKED = 1             # Transfer-Encoding: chunked
    H_CLOSE = 2               # Connection: close
    H_KEEP_ALIVE = 4          # Connection: keep-alive
    H_UPGRADE = 8             # Connection: upgrade together with an Upgrade field
    H_EXPECT_CONTINUE = 16
    H_NOMINATES = 32          # Connection names fields other than close/keep-alive/upgrade/te: these are marked hop
    H_ABSOLUTE = 64           # absolute-form target; authority_* say where the authority is
    H_TE_TRAILERS = 128

cdef enum Method:
    M_OTHER = 0
    M_GET, M_HEAD, M_POST, M_PUT, M_DELETE, M_OPTIONS, M_PATCH, M_TRACE, M_CONNECT

# One field. Offsets count from the head's start, so a head can be moved as a whole.
cdef struct Field:
    unsigned int name
    unsigned int value
    unsigned int value_size       # optional white space around the value is not part of it
    unsigned int end              # first byte after the CRLF
    unsigned short name_size
    unsigned char kind            # FieldKind
    unsigned char hop             # 1: hop-by-hop, nominated by Connection, or an equal repeat of Content-Length: never forwarded
    unsigned int name_hash        # FNV-1a of the lower-cased name

cdef struct Head:
    long long start               # where in the arena the head begins now
    int size                      # bytes, the empty line included
    int count                     # fields
    unsigned int flags            # HeadFlag
    int fault                     # Fault, when refused
    int minor                     # HTTP/1.minor
    int line_size                 # of the request or status line, without CRLF
    int method, method_size       # Method; the method's bytes are at start
    int target, target_size       # whole target as received
    int path, path_size           # path of the target, raw, without query (origin or absolute form)
    int query, query_size         # after '?', size 0 when there is none
    int authority, authority_size # of an absolute-form target, else the Host field's value; without userinfo
    int status                    # responses
    int reason, reason_size
    long long content_length      # -1: none
    int first[32]                 # by FieldKind: index of the first such field, or -1 (F_KINDS is 25; [0] is unused)
    Field fields[128]

cdef struct HeadLimits:
    int head_bytes
    int header_count
    int request_line_bytes

# Both return the size of the head; 0 when more bytes are needed; -status when it must be refused (400, 405, 414, 431,
# 501, 505; 502 for responses), with head.fault set. `start`..`end` are arena offsets of what is there.
cdef int scan_request(unsigned char[::1] view, long long start, long long end, Head* head, HeadLimits* limits) except? -1
cdef int scan_response(unsigned char[::1] view, long long start, long long end, Head* head, HeadLimits* limits) except? -1
# For a head that comes in pieces: bytes up to `checked` were seen before. Returns 1 when a scan is worth while (the
# empty line is there, or a byte that can never be right), else 0: the cost of a dripped head stays linear.
cdef int worth_scanning(unsigned char[::1] view, long long start, long long checked, long long end) except -1

cpdef str fault_text(int fault)
cdef int fault_status(int fault)          # the status of the refusal of a request; a refused response is always 502
