# Whose word about the client is taken: the networks of trusted proxies, and who is behind them.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.record cimport Record

cdef class TrustedNetworks:
    cdef list networks                     # (packed address, prefix bits)
    cdef bint contains(self, const unsigned char* address, int size) except -1
    # Sets record.client by the request's X-Forwarded-For; only for a request that came from a trusted network.
    cdef int find_client(self, Arena arena, Head* head, Record* record) except -1
