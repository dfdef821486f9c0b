# What a hook sees of an exchange: views over its heads, filled only as far as they are asked.
from worker.plane.changes cimport Changes
from worker.plane.exchange cimport Exchange
from worker.plane.h1_parse cimport Head

cdef class HeadersView:
    cdef SessionView session
    cdef bint of_response
    cdef Changes own                       # to be used again by the next exchange
    cdef Head* head(self) except NULL
    cdef Changes changes(self)
    cdef Changes own_changes(self)
    cdef int find(self, Head* head, bytes name, unsigned int hashed, int start) except -2
    cdef bytes value_of(self, Head* head, int i)

cdef class MessageView:
    cdef SessionView session
    cdef bint of_response
    cdef HeadersView own_headers
    cdef HeadersView fields(self)

# Belongs to its exchange, which uses it again and again as long as nobody else holds it or a part of it.
cdef class SessionView:
    cdef Exchange x
    cdef int epoch
    cdef bint response_here                # the response's head has no block of its own, but is still what was read
    cdef MessageView own_request, own_response
    cdef Changes before                    # what was changed before the first attempt; each begins from it
    cdef int check(self) except -1
    cdef MessageView request_view(self)
    cdef MessageView response_view(self)

# The view of this exchange, made or renewed on first use.
cdef SessionView session_of(Exchange x)
