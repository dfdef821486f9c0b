# Which peer gets the request: pools, peers, and the balancing algorithms over them.
from worker.plane.cells cimport Cells

cdef class Peer:
    cdef readonly int cell                 # index in the shared peer table
    cdef readonly int weight
    cdef readonly bytes text               # "192.168.1.100:80", for logs
    cdef readonly bytes name
    cdef readonly bytes authority          # host[:port] of the URL as configured, for `host = "upstream"` and probes
    cdef readonly bytes sockaddr           # struct sockaddr_in, sockaddr_in6 or sockaddr_un, as the kernel wants it
    cdef readonly int family
    cdef readonly int max_connections      # 0: no cap
    cdef public object tls                 # None: plain
    # kept by pool.py:
    cdef public object connections         # the worker's PeerConnections, made on first use
    cdef readonly bint retired             # no longer in its pool (DNS or reload took it away)

cdef class Pool:
    cdef readonly bytes name
    cdef readonly list peers               # of Peer
    cdef readonly bint pending             # its names have not been resolved yet
    cdef readonly int max_retries, queue_size
    cdef readonly long long queue_ms
    cdef Cells cells
    # `hash` is used by the hashing algorithms; `tried` is a bitmask-free list of peers already tried (or None).
    # Returns None when there is none left. Down peers are skipped; when all are down any may be picked (panic mode).
    cdef Peer pick(self, unsigned int hash, list tried, long long now_ms)
    cdef int hash_needs                    # 0 nothing, 1 client address, 2 a request key (see Route.hash_key)
