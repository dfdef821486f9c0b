# Heads as we send them: what passes is copied in runs, what the proxy decides is written anew.
from worker.plane.buffer cimport Arena
from worker.plane.changes cimport Changes
from worker.plane.h1_parse cimport Head
from worker.plane.record cimport Record
from worker.plane.route cimport HeaderEdits

cdef enum BodyKind:
    BODY_NONE = 0             # no body, and no field that speaks of one
    BODY_LENGTH = 1           # Content-Length
    BODY_CHUNKED = 2          # length not known: chunked, or until close towards an HTTP/1.0 client
    BODY_CLOSE = 3            # an origin's body that ends with its connection

cdef enum Persistence:
    PERSIST_DEFAULT = 0       # say nothing: HTTP/1.1 keeps alive
    PERSIST_CLOSE = 1         # Connection: close
    PERSIST_KEEP_ALIVE = 2    # Connection: keep-alive, for an HTTP/1.0 client
    PERSIST_UPGRADE = 3       # Connection: upgrade, and the Upgrade field passes

# What a request head needs beyond the head that came.
cdef struct RequestLine:
    int body                  # BodyKind
    long long length          # of BODY_LENGTH
    bint trusted              # X-Forwarded-* of the client are believed and extended
    bint tls
    bint upgrade              # the Upgrade field passes

cdef struct ResponseLine:
    int body
    long long length
    int persistence
    bint show_length          # HEAD, 304: Content-Length passes as the origin said it
    bint upgrade              # a 101 that was agreed to

# An upper bound of what render_* writes for this head.
cdef long long head_room(Head* head, Record* record, HeaderEdits edits, Changes changes) except -1
# Both write at `to` and return the size written.
cdef long long render_request(Arena arena, long long to, Head* head, Record* record, RequestLine* line,
                              bytes host, bytes target, HeaderEdits edits, Changes changes) except -1
cdef long long render_response(Arena arena, long long to, Head* head, ResponseLine* line,
                               HeaderEdits edits, Changes changes) except -1
