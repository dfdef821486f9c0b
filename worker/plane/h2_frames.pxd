# HTTP/2 frames (RFC 9113 sections 4 and 6): sans-I/O. Verdicts: the size that was read; 0 when more octets are needed; -2
# with frame.error set, an error of the connection when frame.error_stream is 0, else of that stream only.

cdef enum:
    FRAME_HEAD_BYTES = 9
    FRAME_BYTES = 16384           # the largest payload we allow, the least that RFC 9113 4.2 lets us
    WINDOW_LIMIT = 2147483647
    PREFACE_BYTES = 24

cdef enum:                    # frame kinds
    T_DATA = 0
    T_HEADERS, T_PRIORITY, T_RST_STREAM, T_SETTINGS, T_PUSH_PROMISE, T_PING, T_GOAWAY, T_WINDOW_UPDATE, T_CONTINUATION
    T_PRIORITY_UPDATE = 16

cdef enum:                    # frame flags
    FLAG_ACK = 1                  # SETTINGS, PING
    FLAG_END_STREAM = 1           # DATA, HEADERS
    FLAG_END_HEADERS = 4
    FLAG_PADDED = 8
    FLAG_PRIORITY = 32

cdef enum:                        # error codes, RFC 9113 section 7
    E_NO_ERROR = 0
    E_PROTOCOL, E_INTERNAL, E_FLOW_CONTROL, E_SETTINGS_TIMEOUT, E_STREAM_CLOSED, E_FRAME_SIZE, E_REFUSED_STREAM, E_CANCEL
    E_COMPRESSION, E_CONNECT, E_ENHANCE_YOUR_CALM, E_INADEQUATE_SECURITY, E_HTTP_1_1_REQUIRED

cdef enum:                        # settings, RFC 9113 6.5.2 and RFC 8441 3
    SET_HEADER_TABLE_SIZE = 1
    SET_ENABLE_PUSH = 2
    SET_MAX_CONCURRENT_STREAMS = 3
    SET_INITIAL_WINDOW_SIZE = 4
    SET_MAX_FRAME_SIZE = 5
    SET_MAX_HEADER_LIST_SIZE = 6
    SET_ENABLE_CONNECT_PROTOCOL = 8

cdef struct Frame:
    int size                      # of the payload, as the frame says
    int kind
    int flags
    unsigned int stream
    long long data                # DATA, HEADERS, CONTINUATION: what is left without padding and priority
    int data_size
    int padding                   # DATA: octets after the data; they and the length octet count for flow control, too
    unsigned int value            # RST_STREAM, GOAWAY: error code; WINDOW_UPDATE: increment
    unsigned int last_stream      # GOAWAY
    int error
    unsigned int error_stream

# What one connection has to remember to judge the order of frames.
cdef struct FrameOrder:
    bint started                  # the first frame, SETTINGS, was seen
    bint client                   # we are the client: the other side is a server
    unsigned int block_stream     # HEADERS without END_HEADERS: only CONTINUATION of this stream may follow; 0: none

cdef int order_begin(FrameOrder* order, bint client) noexcept
# The nine octets, and all that can be judged by them: sizes, streams, order. Size and kind are known even when refused.
cdef int frame_head(unsigned char[::1] view, long long at, long long end, Frame* frame, FrameOrder* order) except? -1
# The payload of a frame whose head was accepted: all of it must be there, but of DATA only the first octet (data_size may
# then reach beyond `end`). Unknown kinds and priorities are accepted and mean nothing.
cdef int frame_body(unsigned char[::1] view, long long at, long long end, Frame* frame) except? -1
# The setting at `at` of a SETTINGS payload, checked (RFC 9113 6.5.2): 0, or the error code.
cdef int read_setting(unsigned char[::1] view, long long at, bint client, int* name, unsigned int* value) except -1
# The connection preface of a client: 24 when it is there, 0 when it may still come, -2 when it is something else.
cdef int preface(unsigned char[::1] view, long long at, long long end) except? -1

# Writers return the position after what they wrote.
cdef long long put_frame(unsigned char[::1] view, long long at, int size, int kind, int flags, unsigned int stream) except -1
cdef long long put_setting(unsigned char[::1] view, long long at, int name, unsigned int value) except -1
cdef long long put_rst(unsigned char[::1] view, long long at, unsigned int stream, unsigned int error) except -1
cdef long long put_goaway(unsigned char[::1] view, long long at, unsigned int last_stream, unsigned int error) except -1
cdef long long put_window(unsigned char[::1] view, long long at, unsigned int stream, unsigned int increment) except -1
cdef long long put_ping_ack(unsigned char[::1] view, long long at, long long payload) except -1

# Floods: frames that cost us work and move nothing are paid from a purse that fills with time and with data moved.
cdef enum:
    PURSE_FULL = 2000
    PURSE_PER_SECOND = 200

cdef struct Purse:
    long long points
    long long filled_ms

cdef int purse_begin(Purse* purse, long long now_ms) noexcept
# What an accepted frame costs; 1 while it can be paid, 0 when the connection should end (ENHANCE_YOUR_CALM).
cdef bint purse_pay(Purse* purse, Frame* frame, long long now_ms) noexcept
# Payload went through, either way: every 4 KiB pay for one WINDOW_UPDATE.
cdef int purse_earn(Purse* purse, long long octets) noexcept
