# Python methods of the user's, run at their phases.
from worker.plane.exchange cimport Exchange
from worker.plane.session_view cimport SessionView

# Returns a PhaseVerdict.
cdef int run_hook(Exchange x, int phase) except -1
# Whether a hook wants to see the body bytes: "request_body_filter" or "response_body_filter".
cdef bint body_is_filtered(Exchange x, str name) except -1
# What a hook returned, now or after an await; `error`: what it raised instead.
cdef int take_answer(Exchange x, int phase, object answer, object error) except -1
cdef SessionView session_of(Exchange x)
