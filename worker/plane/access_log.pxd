# Access log: a format compiled to steps, lines collected and written whole.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.log_buffer cimport LineBuffer
from worker.plane.record cimport Record

# What a step writes. The groups are told apart by number: see write_line.
cdef enum Step:
    L_TEXT = 0
    # of the record
    L_REMOTE_ADDR = 1
    L_REMOTE_PORT, L_REALIP_REMOTE_ADDR, L_REQUEST_ID, L_LISTENER, L_SERVER_PORT, L_SERVER_ADDR, L_ROUTE, L_SCHEME, L_HTTPS
    L_TERMINATION, L_TIME_LOCAL, L_TIME_ISO8601, L_SERVER_PROTOCOL, L_LB_POLICY, L_HTTP2, L_HTTP2_STREAM_ID
    # of the secure connection
    L_SSL_PROTOCOL = 30
    L_SSL_CIPHER, L_SSL_SERVER_NAME, L_SSL_CLIENT_S_DN, L_SSL_SESSION_REUSED, L_SSL_CLIENT_VERIFY
    L_SSL_ALPN_PROTOCOL
    # numbers and times of the record
    L_STATUS = 20
    L_BODY_BYTES_SENT, L_BYTES_SENT, L_REQUEST_LENGTH, L_CONNECTION, L_CONNECTION_REQUESTS, L_RETRIES
    L_REQUEST_TIME, L_QUEUE_TIME, L_MSEC
    # of the request's head
    L_REQUEST = 40
    L_REQUEST_METHOD, L_REQUEST_URI, L_URI, L_ARGS, L_HOST, L_REMOTE_USER, L_HTTP, L_TRACE_ID
    # lists, one entry per attempt
    L_UPSTREAM_ADDR = 60
    L_UPSTREAM_STATUS, L_UPSTREAM_CONNECT_TIME, L_UPSTREAM_HEADER_TIME, L_UPSTREAM_RESPONSE_TIME
    L_UPSTREAM_BYTES_SENT, L_UPSTREAM_BYTES_RECEIVED
    # of the response's head
    L_SENT_HTTP = 80
    L_UPSTREAM_HTTP
    # of the answer's trailers
    L_UPSTREAM_TRAILER = 82

cdef class AccessLog(LineBuffer):
    cdef readonly bint wants_response_head      # the format names upstream_http_*, sent_http_* or trailers: keep the head until the end
    # request and response may be NULL
    cdef int write_line(self, Arena arena, Record* record, Head* request, Head* response) except -1
    # flush(): called by the reactor at least every second, and on exit; see log_buffer.pxd

    cdef int[::1] steps                         # three for each: what, place in text, size; for headers: place in names
    cdef unsigned char[::1] text
    cdef unsigned int[::1] name_hashes
    cdef int[::1] kinds                         # FieldKind of those names that the scanner knows, else 0
    cdef list names                             # of headers, lower case
    cdef list listeners, routes, ports, policies, endings    # texts by index
    cdef long long second                       # that the texts below are for
    cdef bytes time_local, time_iso8601
    cdef int put_fields(self, Arena arena, Head* head, int name) except -1
    cdef bint same_name(self, Arena arena, Head* head, int field, int name) except -1
    cdef int put_indexed(self, list texts, int index) except -1
    cdef int put_user(self, Arena arena, Head* head) except -1
    cdef int host_size(self, Arena arena, Head* head) except -1
    cdef int record_step(self, int what, Record* record) except -1
    cdef int put_text(self, const char* text) except -1
    cdef int number_step(self, int what, Record* record) except -1
    cdef int head_step(self, int what, int name, Arena arena, Head* head) except -1
    cdef int attempt_step(self, int what, Record* record) except -1
    cdef int attempt_value(self, int what, Record* record, int attempt) except -1
    cdef int set_second(self, long long second) except -1
