# gRPC-Web towards the client, gRPC towards the origin: a side of the exchange before the one that knows the client.
from worker.plane.exchange cimport Exchange, Side
from worker.plane.grpc_web cimport Base64In, Base64Out, Messages

cdef class WebSide(Side):
    cdef Side down                         # who knows the client
    cdef bytes suffix                      # of the request's media type: b"+proto"
    cdef bint text_in, text_out
    cdef bint translates                   # the answer is one of gRPC
    cdef Base64In decoder
    cdef Base64Out encoder
    cdef Messages messages                 # of the answer
    cdef int send_octets(self, Exchange x, long long offset, long long size, bint last, bint flush) except -1
    cdef int send_frame(self, Exchange x, long long lines, long long size) except -1

# The route is for gRPC-Web: put such a side before x.down, if the request is a call of gRPC-Web.
cdef int bridge_web(Exchange x) except -1
# What a piece of the request's body is in gRPC, in the same place: its size; -2: it is not what its media type says.
cdef long long decode_request(Side bridge, long long offset, long long size) except? -1
cdef bint request_is_whole(Side bridge) except -1
