# Whether a failed attempt may be followed by another.
from worker.plane.route cimport Route

# What an attempt came to.
cdef struct Outcome:
    int ending                # record.Ending; END_OK when the origin answered with a status
    int status
    bint unsent               # no byte of the request can have been received
    bint reused               # it went over a pooled connection
    bint idempotent
    bint body_lost            # body bytes were sent and are no longer here
    int attempts              # so far, this one included

cdef bint may_retry(Outcome* outcome, Route route) except -1
