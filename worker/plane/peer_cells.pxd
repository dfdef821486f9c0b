# The peer table that all workers and scouts of the host share.

cdef class PeerCells:
    # `peer` is Peer.cell; a cell of -1 (the table was full) counts nothing
    cdef int enter_peer(self, int peer) except -1          # a request goes to this peer: in-flight +1
    cdef int leave_peer(self, int peer) except -1
    cdef int in_flight(self, int peer) except -1           # over all workers
    cdef bint usable(self, int peer, long long now_ms) except -1   # probes say up and no passive mark is in force
    cdef int peer_failed(self, int peer, long long now_ms) except -1   # passive marking
    cdef int peer_worked(self, int peer) except -1
    cdef int peer_changes(self) except? -1                 # moves whenever a peer's state or weight does
    cdef int weight_override(self, int peer) except -2     # -1: as configured
    cdef readonly object region
    cdef readonly int slab
    # passive marking: so many failures in a row within the window mark a peer down, longer each time up to the maximum
    cdef public int fail_limit
    cdef public long long fail_window_ms, down_ms, down_max_ms
    cdef long long[::1] words
    cdef int[::1] ints
    cdef long long share                  # first int of this process's in-flight counts
    cdef long long peers_word, peers_int
