# What a hook sees of an exchange: views over its heads, filled only as far as they are asked.
from worker.plane.exchange cimport Exchange
from worker.plane.h1_parse cimport Head
from worker.plane.h1_write cimport Changes

cdef class HeadersView:
    cdef SessionView session
    cdef bint of_response
    cdef list fields                       # once somebody asked for all of them
    cdef Head* head(self) except NULL
    cdef Changes changes(self)
    cdef Changes own_changes(self)

cdef class MessageView:
    cdef SessionView session
    cdef bint of_response
    cdef HeadersView own_headers

cdef class SessionView:
    cdef Exchange x
    cdef int epoch
    cdef MessageView own_request, own_response
    cdef Changes before                    # what was changed before the first attempt; each begins from it
    cdef int check(self) except -1
    cdef int keep_all(self) except -1
