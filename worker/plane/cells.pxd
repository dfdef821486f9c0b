# Counters in shared memory: one slab per worker, one writer per slab, names resolved to cells once.
from worker.plane.peer_cells cimport PeerCells
from worker.plane.record cimport Record

# The plain counters, in the order of COUNTERS in pingpy/shared/names.py (a test compares the two).
cpdef enum Counter:
    C_ACCEPTED = 0
    C_UPSTREAM_OPENED
    C_RETRY_CONNECT, C_RETRY_REUSED_CLOSED, C_RETRY_TIMEOUT, C_RETRY_STATUS, C_RETRY_HOOK, C_RETRY_BUDGET_SPENT
    C_RESET_CONNECT, C_RESET_CLOSED, C_RESET_TIMEOUT, C_RESET_BAD_RESPONSE
    C_BAD_REQUEST
    C_TIMEOUT_HEADER, C_TIMEOUT_BODY, C_TIMEOUT_IDLE, C_TIMEOUT_CONNECT, C_TIMEOUT_RESPONSE, C_TIMEOUT_SEND
    C_TIMEOUT_TUNNEL, C_TIMEOUT_QUEUE
    C_TUNNELS
    C_RECEIVED_CLIENT, C_RECEIVED_UPSTREAM, C_SENT_CLIENT, C_SENT_UPSTREAM
    C_LOG_DROPPED
    C_HOOK_ERRORS
    C_TLS_FULL_1_2, C_TLS_FULL_1_3, C_TLS_RESUMED_1_2, C_TLS_RESUMED_1_3
    C_TLS_TIMEOUT, C_TLS_RATE, C_TLS_LIMIT, C_TLS_HELLO, C_TLS_PLAIN, C_TLS_CLOSED, C_TLS_ALERT, C_TLS_CERTIFICATE
    C_TLS_PROTOCOL
    # by h2_faults.Why: of clients, of origins
    C_H2_PROTOCOL, C_H2_FLOW, C_H2_CLOSED, C_H2_SIZE, C_H2_COMPRESSION, C_H2_FLOOD, C_H2_RESETS, C_H2_STREAMS
    C_H2_BYTES, C_H2_SLOW, C_H2_UNREAD, C_H2_SILENT
    C_H2_ORIGIN_PROTOCOL, C_H2_ORIGIN_FLOW, C_H2_ORIGIN_CLOSED, C_H2_ORIGIN_SIZE, C_H2_ORIGIN_COMPRESSION
    C_H2_ORIGIN_FLOOD, C_H2_ORIGIN_RESETS, C_H2_ORIGIN_STREAMS, C_H2_ORIGIN_BYTES, C_H2_ORIGIN_SLOW
    C_H2_ORIGIN_UNREAD, C_H2_ORIGIN_SILENT
    C_BROKEN_TLS_FLOOD, C_BROKEN_TLS_PROTOCOL
    C_PROXY_MALFORMED, C_PROXY_SLOW, C_PROXY_CUT
    C_COUNTERS

# A hash table from what a request was to where it is counted: `columns` cells per row.
cdef class CellTable:
    cdef long long[::1] keys              # 0: free row
    cdef long long[::1] cells
    cdef int columns, rows, used
    cdef int find(self, long long key) except -2                 # row, or -1
    cdef int insert(self, long long key, long long[::1] cells) except -2   # row, or -1 when the table may not grow any more

# enter_peer, leave_peer, in_flight, usable, peer_failed, peer_worked: see peer_cells.pxd
cdef class Cells(PeerCells):
    # this worker's slab
    cdef int count_request(self, Record* record) except -1
    cdef int count_attempt(self, Record* record, int attempt) except -1
    cdef int set_gauges(self, long long connections, long long active, long long idle_upstream) except -1
    cdef int beat(self, long long monotonic_us) except -1
    cdef int add(self, int counter, long long amount) except -1     # plain counters, see Counter
    cdef int queued(self, long long cell, int change) except -1     # Pool.queue_cell: requests waiting, +1 or -1

    cdef object writer                    # pingpy.shared.series.SeriesWriter of this slab
    cdef long long[::1] bounds
    cdef long long[::1] counters          # by Counter: word
    cdef long long entry                  # first word of this slab's entry
    cdef CellTable requests, attempts
    cdef object listener_names, route_labels, peer_names
    cdef int observe(self, long long cell, long long us) except -1
    cdef int new_request(self, Record* record, long long key, long long[::1] cells) except -1
    cdef int new_attempt(self, int peer, int status, long long key, long long[::1] cells) except -1
    cdef long long[::1] scratch
