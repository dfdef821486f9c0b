# One request and its response: the same object whatever the two protocols are.
from worker.plane.access_log cimport AccessLog
from worker.plane.buffer cimport Arena
from worker.plane.cells cimport Cells
from worker.plane.changes cimport Changes
from worker.plane.connection cimport Handler, Host
from worker.plane.h1_parse cimport Head, HeadLimits
from worker.plane.h1_write cimport RequestLine
from worker.plane.hook_slots cimport HookSlots
from worker.plane.pick cimport Peer
from worker.plane.record cimport Record
from worker.plane.route cimport Route, RouteTable
from worker.plane.tls_context cimport TlsServer

cdef enum ExchangeState:
    X_FREE = 0
    X_ROUTING = 1             # head read, rules and hooks decide
    X_PARKED = 2              # an async hook is running
    X_QUEUED = 3              # waits for a place at a peer
    X_DIALING = 4             # waits for the connection
    X_SENT = 5                # the request's head went upstream
    X_ANSWERING = 6           # the response's head went downstream
    X_DONE = 7

# What services.run_phase says of a hook.
cdef enum PhaseVerdict:
    PHASE_GO_ON = 0
    PHASE_PARKED = 1          # services calls x.resume(epoch, phase) later
    PHASE_ANSWERED = 2        # an answer was sent, or the exchange is over

# One side of an exchange. The downstream side gets the response, the upstream side the request.
cdef class Side(Handler):
    cdef Exchange exchange                 # None between exchanges
    cdef long long carry, carry_size       # bytes that came too early, in a block of their own; 0: none
    cdef int keep(self, long long offset, long long size) except -1
    # upstream
    cdef int send_request(self, Exchange x) except -1
    # downstream; `last`: nothing follows. Body bytes are valid until the turn ends.
    cdef int send_response(self, Exchange x, long long body, long long size, bint last) except -1
    cdef int send_informational(self, Exchange x) except -1
    cdef int send_reply(self, Exchange x, int status, bytes lines, bytes body) except -1
    # both
    cdef int send_body(self, Exchange x, long long offset, long long size, bint last) except -1
    cdef int send_trailers(self, Exchange x, long long offset, long long size) except -1
    cdef int hold(self) except -1          # the other side is slow: read no more
    cdef int go_on(self) except -1
    cdef int cut(self) except -1           # what was sent is not the whole: end so that the peer can tell
    cdef int left(self) except -1          # the exchange is over, this side is free

cdef struct Settings:
    HeadLimits limits
    long long header_ms, body_ms, idle_ms, send_ms, tunnel_ms, upstream_idle_ms, upstream_ping_ms, client_ping_ms, handshake_ms
    long long first_word_ms                # a draining worker waits so long for who has said nothing yet
    int most_handshakes                    # of clients, at once
    int handshake_rate                     # of clients, that may begin in a second
    long long keepalive_requests           # a downstream connection serves so many, 0: any number
    int upstream_idle_count                # idle connections kept per peer
    int streams               # HTTP/2 streams at once, of one connection
    int body_rate                          # bytes per second that a request body must average, 0: none

# What an exchange needs of the plane.
cdef class Services:
    cdef readonly Arena arena
    cdef Host host
    cdef RouteTable routes
    cdef Cells cells
    cdef AccessLog log
    cdef TlsServer guard                   # None: no host wants certificates of clients
    cdef HookSlots hooks                   # for rules without their own; None: no hooks
    cdef object runner                     # Callable[[awaitable], hook_task.HookTask]: begins a hook's coroutine
    cdef object on_error                   # Callable[[int status, str cause, Session], None]
    cdef object on_unwelcome               # Callable[[str listener, str client, str cause, int counter], None]
    cdef object on_broken                  # Callable[[str peer, str cause, int counter], None]
    cdef Settings settings
    cdef readonly bint draining
    cdef readonly int clients              # open downstream connections
    cdef readonly int handshakes           # of clients, under way
    cdef double hello_credit               # so many more may begin now
    cdef long long hello_us                # when that was worked out
    cdef list hellos                       # tls_gate.TlsGates whose handshake has to wait
    cdef readonly int tunnels              # pairs of connections that are tunnels now
    cdef long long loans                   # octets that wait in HTTP/2 streams and have opened their connections' windows
    cdef public long long most_loans
    cdef long long path_memory             # 64 KiB for a normalised path
    cdef long long field_memory            # for decoded HTTP/2 fields and their text; 0 before the first such connection
    cdef list spare                        # exchanges to use again
    cdef unsigned long long random_state
    cdef double retry_credit
    cdef Exchange take(self)
    cdef int give_back(self, Exchange x) except -1
    cdef unsigned long long random(self)
    cdef int dial(self, Exchange x) except -1          # ends in upstream_ready, upstream_failed, or the queue
    cdef int forget(self, Exchange x) except -1        # out of the queue
    cdef int run_phase(self, Exchange x, int phase) except -1
    cdef bint full(self) except -1                     # no further client may come in
    cdef object address(self, str host, int port)
    cdef object listener_address(self, int number)
    cdef object hook_peer(self, Peer peer)
    cdef Peer peer_for(self, object chosen)
    cdef Peer ask_balancer(self, Exchange x)           # a balancer of the user's; None: no peer
    cdef int hook_raised(self, Exchange x, str phase, object error) except -1
    cpdef int hook_done(self, Exchange x, int epoch, int phase, object answer, object error) except -1
    cdef long long linger_ms(self) except -1           # how long an idle connection may still speak while draining

cdef class Exchange:
    cdef Services services
    cdef int state                         # ExchangeState
    cdef Side down, up
    cdef Side bridge                       # `down`, where that translates gRPC-Web; None: bodies pass as they are
    cdef Head request, response
    cdef Record record
    cdef long long head_block              # holds the request head while the exchange lives
    cdef long long response_block          # the same for the response head, when the log or a hook wants it
    cdef Route route
    cdef Peer peer
    cdef list tried
    cdef Peer picked                       # for the next attempt
    cdef RequestLine line
    cdef bint request_done                 # the whole request body was read
    cdef bint idempotent
    cdef int hooked                        # HookSlots.wanted of what holds for it
    cdef bint loopback                     # the client is on this host
    cdef bint fresh                        # the next attempt must not use a pooled connection
    cdef bint counted                      # in-flight was raised for this peer
    cdef long long body_seen               # request body bytes handed upstream
    cdef long long replay, replay_size     # a copy of the whole body, when it came with the head; size -1: none
    cdef str trouble                       # the cause of the failure that is being handled, where its ending does not say
    cdef long long attempt_us              # when the current attempt began
    cdef int response_body                 # h1_write.BodyKind
    cdef long long response_length
    cdef bytes target                      # the rewritten target, or the Location of a redirect
    cdef Changes request_changes, response_changes
    cdef object session                    # what hooks see, made when first asked for and kept for the next request
    cdef object ctx
    cdef object parked                     # the HookTask that it waits for; None: none
    cdef object chosen                     # the Peer that upstream_peer returned
    cdef Side dialing                      # the connection that is being made
    cdef long long queued_ms
    cdef readonly int epoch                # grows with every use: a parked hook must not wake another request

    cdef int begin(self, Side down) except -1
    cdef int begin_record(self) except -1
    cdef int reply(self, int status, bytes lines, bytes body, int ending) except -1
    cdef int refuse(self, int status, int ending, str cause) except -1
    cdef int client_gone(self, int ending) except -1
    cdef int drop_upstream(self, bint clean) except -1
    cdef int finish(self) except -1
    cdef int let_go(self) except -1        # the end of its session; follows finish at once, but for logging that waits
    cpdef int resume(self, int epoch, int phase) except -1
