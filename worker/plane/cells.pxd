# Counters in shared memory: one slab per worker, one writer per slab, names resolved to cells once.
from worker.plane.record cimport Record

cdef class Cells:
    # the peer table, shared by every worker of the host; index = Peer.cell
    cdef int enter_peer(self, int peer) except -1          # a request goes to this peer: in-flight +1
    cdef int leave_peer(self, int peer) except -1
    cdef int in_flight(self, int peer) except -1           # over all workers
    cdef bint usable(self, int peer, long long now_ms) except -1   # probes say up and no passive mark is in force
    cdef int peer_failed(self, int peer, long long now_ms) except -1   # passive marking
    cdef int peer_worked(self, int peer) except -1
    # this worker's slab
    cdef int count_request(self, Record* record) except -1
    cdef int count_attempt(self, Record* record, int attempt) except -1
    cdef int set_gauges(self, long long connections, long long active, long long idle_upstream) except -1
    cdef int beat(self, long long monotonic_us) except -1
    cdef int add(self, int counter, long long amount) except -1     # plain counters, see pingpy/shared.py COUNTERS
