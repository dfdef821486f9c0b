# HTTP/1.1 towards the origin.
from worker.plane.exchange cimport Exchange, Services, Side
from worker.plane.h1_body cimport Incoming
from worker.plane.pick cimport Peer

cdef enum UpState:
    U_CONNECTING = 0
    U_IDLE = 1                # in the pool
    U_HEAD = 2                # a request was sent, its response's head has not come
    U_PARKED = 3              # a hook looks at the response head; what follows is in `carry`
    U_BODY = 4
    U_SPENT = 5               # the response is complete
    U_LENT = 6                # given to an exchange that has not sent its request

# Who gives connections out and takes them back; pool.Pools is the one implementation.
cdef class Lender:
    cdef int take_back(self, H1Upstream up) except -1
    cdef int gone(self, H1Upstream up) except -1
    cdef int dialed(self, H1Upstream up, int error) except -1

cdef class H1Upstream(Side):
    cdef Services services
    cdef Lender lender
    cdef Peer peer
    cdef int state
    cdef bint persistent      # the origin keeps the connection
    cdef bint chunked         # our request body is sent in chunks
    cdef bint request_over    # all of the request is queued
    cdef int informational    # 1xx responses to the current request
    cdef Incoming incoming
    cdef long long served     # requests on this connection
    cdef bytes opening        # the PROXY header it began with: whose it is; None: anybody's
    cdef long long bytes_before           # sent on this connection before the current request

    cdef int take_head(self, long long offset, long long end) except -1
    cdef int frame_body(self, Exchange x) except -1
    cdef int take_body(self, long long offset, long long end, bint first) except -1
    cdef int splice_rest(self, Exchange x) except -1
    cdef int bad_response(self, str cause) except -1
