# Answers of our own for gRPC calls.
from worker.plane.exchange cimport Exchange

# Sends the answer downstream; an error that answers a gRPC call goes as a gRPC status.
cdef int send_answer(Exchange x, int status, bytes lines, bytes body) except -1
# The media type of a gRPC call, "application/grpc+proto" and the like; None: it is no gRPC call.
cdef bytes grpc_media_type(Exchange x)
