# Field blocks (RFC 9113 4.3): HEADERS and CONTINUATION to decoded pairs, and heads of ours to frames.
from worker.plane.h2_connection cimport H2Connection, H2Stream
from worker.plane.h1_parse cimport Head
from worker.plane.hpack cimport Pair
from worker.plane.route cimport HeaderEdits
from worker.plane.changes cimport Changes

cdef enum:
    MOST_PAIRS = 256          # fields of one block as HTTP/2 has them: each crumb of Cookie counts

# What take_fields() is about; valid until it returns. text_memory: room for the text of it, up to text_end.
cdef Pair* pairs() noexcept
cdef long long text_memory(H2Connection owner) except -1
cdef long long text_end(H2Connection owner) except -1

cdef int take_block(H2Connection owner) except -1              # owner.frame is HEADERS or CONTINUATION

# A block is written by start = begin_fields(owner, most), at = encoder.begin_block(view, start), put_*, end_fields; `most`
# bounds its octets: field_room() says how many a head needs. Nothing else may be written in between.
cdef long long field_room(Head* head, HeaderEdits edits, Changes changes) except -1
cdef long long begin_fields(H2Connection owner, long long most) except -1
cdef int end_fields(H2Stream stream, long long start, long long end, bint last) except -1      # returns the octets sent
# The fields of a head that pass: not hop-by-hop, not of `skip` (bits by FieldKind), changed as configured.
cdef long long put_fields(
    H2Connection owner, long long at, Head* head, unsigned int skip, HeaderEdits edits, Changes changes
) except -1
cdef long long put_lines(H2Connection owner, long long at, long long text, long long end) except -1    # "Name: value\r\n"...
cdef long long put_line_bytes(H2Connection owner, long long at, bytes lines) except -1
cdef long long put_number_field(H2Connection owner, long long at, bytes name, long long value) except -1
cdef long long put_via(H2Connection owner, long long at, int minor) except -1      # `minor`: of the message that came
cdef int put_trailer_block(H2Stream stream, long long offset, long long size) except -1        # field lines; ends the stream
