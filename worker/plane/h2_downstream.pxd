# HTTP/2 towards the client: the server's role.
from worker.plane.exchange cimport Exchange
from worker.plane.h1_requests cimport H1Requests
from worker.plane.h2_connection cimport H2Connection, H2Stream
from worker.plane.tunnel cimport TunnelEnd

# One request of a client and its response.
cdef class ClientStream(H2Stream):
    cdef bytes key_answer                  # of an extended CONNECT: what the origin must say; None: it is none
    cdef TunnelEnd tunnel                  # gets the payload; None: there is no tunnel
    cdef bint head_only                    # the response has no body whatever its fields say
    cdef unsigned int end_error            # what the client is told when it still sends after our answer

    cdef bint patient                      # its body is that of a gRPC call (h2_client_body)
    cdef bint is_endless(self) except -1

cdef class H2Downstream(H2Connection):
    cdef H1Requests front                  # whose connection it was: knows the client, hears when it is closed
    cdef bint warned                       # the first of two GOAWAYs is out
    cdef int take_request(self, unsigned int number, int count, bint last) except -1
    cdef int begin_request(self, ClientStream stream, Exchange x) except -1
    cdef int ask_to_switch(self, ClientStream stream, long long text, int size) except -1
    cdef int refuse_fields(self, ClientStream stream, Exchange x, int status, str cause, long long text, long long size) except -1
    cdef int warn(self) except -1          # GOAWAY, step one: open no further stream, please
    cdef int leave(self) except -1         # step two: none is served any more
    cdef int drain(self) except -1
    cdef bint busy(self) except -1         # with requests that are no tunnels
    cdef int endless(self) except -1       # how many responses have begun whose end nobody knows
    # The drain's deadline for such responses, or for all others: cut at most so many; returns how many. Then the connection
    # ends, once it has no more to serve.
    cdef int end_requests(self, bint endless, int most) except -1

# Serve HTTP/2 on this connection, which has begun with these bytes.
cdef int start_h2(H1Requests front, long long offset, long long size) except -1
