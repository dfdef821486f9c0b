# HTTP/1.0 and 1.1 requests as they come in.
from worker.plane.connection cimport Layer
from worker.plane.exchange cimport Exchange, Services, Side
from worker.plane.h1_body cimport Incoming, Piece
from worker.plane.record cimport Secured
from worker.plane.trusted cimport TrustedNetworks

cdef enum DownState:
    D_IDLE = 0                # between requests, nothing read
    D_HEAD = 1                # part of a head is in `carry`
    D_BODY = 2                # an exchange takes the request body
    D_WAIT = 3                # the request is complete, the response is not
    D_DISCARD = 4             # answered before the body was read: the rest is read and thrown away
    D_LINGER = 5              # our side is closed; wait for the client's end so that it gets the answer

cdef class H1Requests(Side):
    cdef Services services
    cdef int state
    cdef bint persistent      # the connection may serve another request
    cdef bint stalled         # body bytes wait in `carry` for the upstream side
    cdef bint processing
    cdef bint chunked         # the response in progress is sent in chunks
    cdef bint until_close     # ... or ends with the connection
    cdef bint head_only       # ... or has no body whatever its fields say
    cdef readonly bint tls
    cdef Layer layer                       # of a secure connection, kept for `secured`; None: it is plain
    cdef Secured* secured
    cdef bint trusted, loopback
    cdef bint proxied         # the client's address is what a PROXY header said
    cdef TrustedNetworks networks          # None: nobody is trusted
    cdef Incoming incoming
    cdef long long checked    # bytes of `carry` that were looked at
    cdef long long carry_room
    cdef long long started_us, body_start_ms, body_read
    cdef long long sent_mark               # bytes that were out when the send deadline was set
    cdef long long requests
    cdef int listener
    cdef int client_port, client_size
    cdef char client[46]

    # its connection ends by its own fault: count it (cells.Counter), tell it in the error log
    cdef int unwelcome(self, int counter, str cause) except -1
    cdef bint congested(self) except -1
    cdef long long idle_ms(self) except -1
    cdef int process(self, long long offset, long long end) except -1
    cdef long long take_head(self, long long offset, long long end) except -2
    cdef int expect_body(self, Exchange x) except -1
    cdef int bad_body(self) except -1
    cdef bint body_too_slow(self) except -1
    cdef int splice_rest(self, Exchange x) except -1
    cdef int append(self, long long offset, long long size) except -1
    cdef long long take_body(self, long long offset, long long end) except -2
    cdef int fill_record(self, Exchange x) except -1
    cdef int refuse_unread(self, Exchange x, Side down, int status, str cause) except -1
    cdef int refuse_head(self, Exchange x, int status) except -1
    cdef int rest(self) except -1
    cdef int wind_up(self) except -1
    cdef int process_carry(self) except -1
