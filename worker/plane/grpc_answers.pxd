# Answers of our own for gRPC calls.
from worker.plane.exchange cimport Exchange

# Sends the answer downstream; an error that answers a gRPC call goes as a gRPC status.
cdef int send_answer(Exchange x, int status, bytes lines, bytes body) except -1
# Ends a gRPC call whose answer has begun by a status, where that says more than a cut; False: it must be cut.
cdef bint end_call(Exchange x, int status) except -1
# The media type of a gRPC call, "application/grpc+proto" and the like; None: it is no gRPC call.
cdef bytes grpc_media_type(Exchange x)
