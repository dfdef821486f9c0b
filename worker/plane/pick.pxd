# Which peer gets the request: pools, peers, and the balancing algorithms over them.
from worker.plane.cells cimport Cells

cdef class Peer:
    cdef readonly int cell                 # index in the shared peer table, -1 when that is full
    cdef readonly int weight
    cdef readonly bytes text               # "192.168.1.100:80", for logs
    cdef readonly bytes name
    cdef readonly bytes authority          # host[:port] of the URL as configured, for `host = "upstream"` and probes
    cdef readonly bytes sockaddr           # struct sockaddr_in, sockaddr_in6 or sockaddr_un, as the kernel wants it
    cdef readonly int family
    cdef readonly int max_connections      # 0: no cap
    cdef readonly bint send_proxy          # its connections begin with a PROXY header, hence belong to one client each
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
    cdef readonly object custom            # None, or a balancer of the user's: see pick_custom
    cdef readonly long long queue_cell     # for Cells.queued()
    cdef Cells cells
    # `key` (a hash) is used by the hashing algorithms; `tried` is a bitmask-free list of peers already tried (or None).
    # Returns None when there is none left. Down peers are skipped; when all are down any may be picked (panic mode).
    cdef Peer pick(self, unsigned int key, list tried, long long now_ms)
    # The same by `custom`, when that is not None: call it instead of pick(). May raise whatever the user's code raises.
    cdef Peer pick_custom(self, object session, list tried, long long now_ms)
    cdef readonly int hash_needs           # 0 nothing, 1 client address, 2 a request key: see Route.hash_request
    cdef readonly bint panic               # no peer is usable: all are tried

    # The state that algorithms share; indices are positions in `peers`.
    cdef readonly int count
    cdef readonly int live_count
    cdef int[::1] cell                     # Peer.cell
    cdef int[::1] own_weights              # as configured
    cdef int[::1] weights                  # in force: configured, or overridden at run time; 0 is never picked
    cdef int[::1] live                     # the first live_count are candidates, in the order of `peers`
    cdef int[::1] caps                     # Peer.max_connections
    cdef bint capped                       # some peer has a cap
    cdef bint ignore_caps                  # second pass: all that are left are at their cap, the caller will queue
    cdef bint stale                        # a candidate turned out to be unusable
    cdef long long looked_ms, asked_ms
    cdef int changes                       # Cells.peer_changes() at the last look
    cdef bint incomplete                   # somebody with a weight is no candidate
    cdef int ask(self, long long now_ms) except -1             # look, if there is a reason to
    cdef unsigned long long random_state
    cdef int look(self, long long now_ms) except -1            # renew the candidates
    cdef bint allowed(self, int index, list tried, long long now_ms) except -1
    cdef int choose(self, unsigned int key, list tried, long long now_ms) except -2    # position, or -1
    cdef int prepare(self) except -1       # candidates or weights changed: rebuild what depends on them
    cdef int adopt(self) except -1         # `peers` changed: make the arrays anew
    cdef unsigned int draw(self, unsigned int below) except? 0  # a random number in 0..below-1
