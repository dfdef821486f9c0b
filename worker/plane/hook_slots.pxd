# The user's methods by phase, looked up once: which phases somebody wants is one number.

# Where a hook may run.
cdef enum Phase:
    PH_REQUEST = 0
    PH_PEER = 1
    PH_UPSTREAM_REQUEST = 2
    PH_RESPONSE = 3
    PH_LOGGING = 4
    PH_REPLY = 5              # a route whose answer is made in Python

# Bits of HookSlots.wanted: 1 << Phase, then the filters of bodies.
cdef enum Wanted:
    WANTS_REQUEST = 1
    WANTS_PEER = 2
    WANTS_UPSTREAM_REQUEST = 4
    WANTS_RESPONSE = 8
    WANTS_LOGGING = 16
    WANTS_REQUEST_BODY = 64
    WANTS_RESPONSE_BODY = 128

cdef class HookSlots:
    cdef int wanted
    cdef object new_ctx       # None: every method gets None
    cdef object request_filter, upstream_peer, upstream_request_filter, response_filter, logging

# The slots of a pingpy.phases.BoundPhases; None of None, and of one in which nobody wants anything.
cdef HookSlots slots_of(object phases)
