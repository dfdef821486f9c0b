# Where a request goes: rules compiled to tables, so that cost does not grow with their number.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.hook_slots cimport HookSlots
from worker.plane.pick cimport Pool
from worker.plane.record cimport Record
from worker.plane.rules cimport RuleSet

cdef enum ReplyKind:
    REPLY_NONE = 0            # proxy to `pool`
    REPLY_FIXED = 1           # `reply_status`, `reply_head` (field lines), `reply_body`
    REPLY_REDIRECT = 2        # the same with a Location: see location()
    REPLY_PYTHON = 3          # `responder(session)` answers: metrics, healthz, readyz, static files, ...

# Header changes of one rule, defaults of [proxy] already merged in.
cdef class HeaderEdits:
    cdef unsigned int[::1] drop_hashes         # sorted FNV-1a of lower-cased names that are not copied (removed or replaced)
    cdef list drop_names                        # the names, lower case, in the order of drop_hashes, to tell equal hashes apart
    cdef bytes lines                            # rendered "Name: value\r\n" to append
    cdef readonly bint sets_host                # drop_names has "host": the request's Host comes from `lines`
    cdef bint drops(self, unsigned char[::1] view, long long name, int size, unsigned int hashed) except -1

cdef class Route:
    cdef readonly int index                     # position in the table; in Record.route
    cdef readonly bytes label                   # for metrics and logs
    cdef readonly Pool pool                     # None for replies
    cdef readonly HeaderEdits request_edits     # None: nothing configured
    cdef readonly HeaderEdits response_edits
    cdef readonly int reply_kind, reply_status
    cdef readonly bytes reply_head, reply_body
    cdef readonly object responder
    cdef readonly object rewrite                # None, or a compiled rewrite: call target() below
    cdef readonly object redirect               # REPLY_REDIRECT: call location() below
    cdef readonly bint h2                       # spoken to the origin
    cdef readonly bint websocket, grpc, grpc_web, host_from_upstream, loopback_only
    cdef readonly long long connect_ms, response_ms, tunnel_ms, body_ms
    cdef readonly long long max_body_bytes      # -1: no bound
    cdef readonly HookSlots hooks               # of this rule's filters; None: it has none
    cdef readonly int retry_attempts            # tries after the first
    cdef readonly bint retry_connect, retry_closed, retry_timeout
    cdef readonly double retry_budget           # share of requests
    cdef unsigned char[::1] retry_statuses      # by status: 1 when it may be tried again; None when no status is
    # whether this status of an attempt is a reason to try another peer
    cdef bint retries_status(self, int status) except -1
    # the key for Pool.pick; 0 when the pool does not need one
    cdef unsigned int hash_request(self, Arena arena, Head* head, Record* record) except? 0
    # the rewritten request target, query included (only when `rewrite` is not None)
    cdef bytes target(self, Arena arena, Head* head, long long path, int path_size)
    # the Location of a redirect
    cdef bytes location(self, Arena arena, Head* head, long long path, int path_size, bint tls)

cdef class RouteTable:
    cdef readonly list routes
    cdef readonly bint has_tunnels              # some route is for WebSocket
    cdef readonly Route default                 # None: 404
    cdef RuleSet rules
    cdef list built_in                          # (path, Route): metrics and the like, before every rule
    cdef list built_in_paths
    cdef int built_in_count
    cdef RouteTable aside                       # None, or what the listeners from this number on serve: pages of our own alone
    cdef int aside_from
    cdef RouteTable of_listener(self, int listener)
    # The first rule in file order that matches; the default route (or None: 404) when none does.
    # `path`,`path_size`: the normalised path, anywhere in the arena.
    # A built-in route may come first; when it is loopback_only, for requests alone that come from this host (`loopback`)
    # and have no X-Forwarded-For.
    cdef Route match(self, Arena arena, Head* head, long long path, int path_size, bint loopback)
    cdef Route match_rules(self, Arena arena, Head* head, long long path, int path_size)
