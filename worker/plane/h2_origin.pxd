# One request to an origin over HTTP/2.
from worker.plane.exchange cimport Exchange
from worker.plane.h2_connection cimport H2Stream

cdef enum StreamState:
    S_LENT = 0                # given to an exchange that has not sent its request
    S_HEAD = 1                # the request was sent, the response's head has not come
    S_PARKED = 2              # a hook looks at the response head
    S_BODY = 3
    S_SPENT = 4

# One request to a peer and its response.
cdef class OriginStream(H2Stream):
    cdef int state
    cdef int informational    # 1xx responses so far
    cdef long long bytes_before           # sent on the connection before this request
    cdef int wait(self) except -1
    cdef int failed(self, int ending, bint unsent, str cause) except -1
    cdef int bad_response(self, str cause) except -1
    cdef int begin_answer(self, Exchange x) except -1
    cdef int take_head(self, int count, bint last) except -1
    cdef bint frame_body(self, Exchange x, bint last) except -1
