# Connection, TE and Transfer-Encoding. Refusals: -2, with head.fault set; else 0.
from worker.plane.h1_parse cimport F_TRANSFER_ENCODING, H_NOMINATES, H_UPGRADE, Field, Head

cdef int connection_options(unsigned char[::1] view, Head* head, Field* field) except? -1
cdef int te_members(unsigned char[::1] view, Head* head, Field* field) except? -1
# After the last field: framing, upgrade and nominated fields, which need all of them.
# Only heads that `needs_settling` have any.
cdef int settle_fields(unsigned char[::1] view, Head* head) except? -1

cdef inline bint needs_settling(Head* head) noexcept:
    return head.first[F_TRANSFER_ENCODING] >= 0 or head.flags & (H_UPGRADE | H_NOMINATES)
