# Where a request goes: rules compiled to tables, so that cost does not grow with their number.
from worker.plane.buffer cimport Arena
from worker.plane.h1_parse cimport Head
from worker.plane.pick cimport Pool

cdef enum ReplyKind:
    REPLY_NONE = 0            # proxy to `pool`
    REPLY_FIXED = 1           # `reply_status`, `reply_head` (field lines), `reply_body`
    REPLY_REDIRECT = 2        # the same with a Location made from a template
    REPLY_PYTHON = 3          # `responder(session)` answers: metrics, healthz, readyz, static files, ...

# Header changes of one rule, defaults of [proxy] already merged in.
cdef class HeaderEdits:
    cdef unsigned int[::1] drop_hashes         # sorted FNV-1a of lower-cased names that are not copied (removed or replaced)
    cdef list drop_names                        # the names, to tell equal hashes apart
    cdef bytes lines                            # rendered "Name: value\r\n" to append
    cdef bint drops(self, unsigned char[::1] view, long long name, int size, unsigned int hash) except -1

cdef class Route:
    cdef readonly int index                     # position in the table; in Record.route
    cdef readonly bytes label                   # for metrics and logs
    cdef readonly Pool pool                     # None for replies
    cdef readonly HeaderEdits request_edits     # None: nothing configured
    cdef readonly HeaderEdits response_edits
    cdef readonly int reply_kind, reply_status
    cdef readonly bytes reply_head, reply_body
    cdef readonly object responder
    cdef readonly object rewrite                # None, or a compiled rewrite: (view bytes) -> bytes
    cdef readonly bint websocket, grpc, host_from_upstream, loopback_only
    cdef readonly long long connect_ms, response_ms, tunnel_ms, body_ms
    cdef readonly long long max_body_bytes      # -1: no bound
    cdef readonly object hooks                  # None, or the bound phases of this rule's filters

cdef class RouteTable:
    cdef readonly list routes
    # The first rule in file order that matches; the default route (or None: 404) when none does.
    # `path`,`path_size`: the normalised path, anywhere in the arena.
    cdef Route match(self, Arena arena, Head* head, long long path, int path_size)
