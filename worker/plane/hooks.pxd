# Python methods of the user's, run at their phases.
from worker.plane.exchange cimport Exchange

# Returns a PhaseVerdict.
cdef int run_hook(Exchange x, int phase) except -1
# What a hook returned, now or after an await; `error`: what it raised instead.
cdef int take_answer(Exchange x, int phase, object answer, object error) except -1
