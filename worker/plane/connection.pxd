# A socket as the plane sees it: readiness, queued output, a deadline, and the handler that gets the bytes.
from worker.plane.buffer cimport Arena, Chain
from worker.plane.pipe cimport Pipe, Pipes
from worker.plane.record cimport Secured

cdef enum:
    MAX_SLICES = 4

# What a protocol does with a connection. Every method may be called once the connection is attached, none after it closed.
cdef class Handler:
    cdef Connection connection
    cdef bint eager                                                        # its events are decided before the others'
    cdef int on_data(self, long long offset, long long size) except -1     # valid until the turn ends
    cdef int on_spliced(self, long long size) except -1                    # so much went to the connection's sink unseen
    cdef int on_eof(self) except -1
    cdef int on_failed(self, int error) except -1                          # reset, or a write failed: unsent output is lost
    cdef int on_blocked(self) except -1                                    # the kernel did not take all output
    cdef int on_drained(self) except -1                                    # now it has
    cdef int on_connected(self) except -1
    cdef int on_deadline(self) except -1
    cdef int on_acceptable(self) except -1
    cdef int on_secured(self) except -1                                    # its layer is ready; comes before the first bytes
    cdef int on_closed(self) except -1                                     # the descriptor is gone, for whatever reason
    cdef Connection takes_raw(self)                                        # where body bytes may go as they are, or None

# What stands between a socket's bytes and a handler's: TLS. Both directions are called from within the batch.
cdef class Layer:
    cdef readonly str failure                                              # what went wrong, None: nothing
    cdef Secured secured                                                   # filled before on_secured is said
    cdef bint is_flood(self) except -1                                     # failure: of octets that bring no data
    cdef bytes alpn(self)                                                  # what was agreed on: b"h2", b"http/1.1", or b""
    cdef long long receive(self, Connection connection, long long offset, long long size) except? -1   # as recv, or -errno
    cdef long long send(self, Connection connection, long long* shown) except? -1      # as sendmsg of all output
    cdef int took_bytes(self, Connection connection) except -1             # the socket is writable again
    cdef int close(self, Connection connection) except -1                  # all is sent: say that nothing follows
    cdef int let_go(self) except -1                                        # the connection is closed

cdef enum Role:
    ROLE_STREAM = 0
    ROLE_LISTENER = 1
    ROLE_CONNECTING = 2

cdef enum Finishing:
    FINISH_CLOSE = 1
    FINISH_SENDING = 2                     # close our direction only

cdef class Connection:
    cdef Host host
    cdef Handler handler
    cdef readonly int fd                   # -1 once closed
    cdef readonly int index                # in host.connections
    cdef int role
    cdef bint readable, writable           # edge-triggered: what the kernel last said
    cdef bint reading                      # whether the handler wants bytes
    cdef bint peer_done                    # the other side will send no more (EPOLLRDHUP seen)
    cdef bint failed                       # EPOLLERR or EPOLLHUP seen
    cdef bint listed, dirty                # in host.wanted, in host.dirty
    cdef bint blocked                      # on_blocked was said, on_drained is owed
    cdef int finishing                     # once all output is out: FINISH_CLOSE, FINISH_SENDING, or 0
    cdef bint wide                         # a long body is under way: read in large pieces
    cdef Connection sink                   # where bytes go by splice: see splice.py; None: to the handler
    cdef long long sink_left               # how many may
    cdef bint trickling                    # the last read was a short one: the next does without a pipe
    cdef Layer tls                         # None: the socket's bytes are the handler's
    cdef str trouble                       # the failure of its layer, once it is closed; None: there was none
    cdef Pipe pipe                         # output that comes before all other; None: none
    cdef long long deadline_ms             # 0: none
    cdef Chain chain                       # output from earlier turns
    cdef int slices                        # output of this turn, not in the chain
    cdef long long slice_offset[4]
    cdef long long slice_size[4]
    cdef readonly long long bytes_in, bytes_out
    cdef readonly long long id

    cdef int write(self, long long offset, long long size) except -1       # memory that is valid until the turn ends
    cdef int mark_dirty(self) except -1
    cdef int write_bytes(self, bytes data) except -1
    cdef int keep_unsent(self, long long sent) except -1
    cdef long long pending(self) except -1                                 # bytes queued and not with the kernel
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef bint listen_once_more(self) except -1                             # bytes have come that no turn has seen: it will
    cdef int set_deadline(self, long long after_ms) except -1
    cdef int clear_deadline(self) except -1
    cdef int finish(self) except -1                                        # close when the output is out
    cdef int finish_sending(self) except -1
    cdef int close(self) except -1                                         # at once; unsent output is dropped
    cdef int reset(self) except -1                                         # close so that the peer sees a reset

# What a connection needs of the loop that hosts it; reactor.Reactor is the one implementation.
cdef class Host:
    cdef readonly Arena arena
    cdef readonly long long now_us         # monotonic, read once a turn
    cdef readonly long long now_ms
    cdef readonly long long wall_us
    cdef list connections                  # by index, None where free
    cdef list wanted                       # readable, and the handler wants bytes
    cdef list dirty                        # with output to send
    cdef list secured                      # whose layer has become ready in this turn
    cdef list trash                        # blocks (offsets) and descriptors (-fd - 1) that live until the turn's end
    cdef Pipes pipes
    cdef list departed                     # handlers of closed connections: they may be at work until the turn's end
    cdef long long scratch, scratch_used   # memory for output made in this turn
    cdef int open_connections
    cdef long long next_id

    cdef Connection attach(self, int fd, Handler handler, int role)
    cdef int detach(self, Connection connection) except -1
    cdef int expect(self, Connection connection) except -1                 # its deadline was moved
    cdef long long turn_memory(self, long long size) except -1             # valid until the turn ends
    cdef int release(self, long long block) except -1                      # free this block when the turn ends
    cdef int close_later(self, int fd) except -1
