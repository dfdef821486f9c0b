# The turn: read all, decide all, flush all.
from worker.plane.batch cimport Batch
from worker.plane.connection cimport Connection, Handler
from worker.plane.roster cimport Roster
from worker.plane.syscalls cimport epoll_event

cdef class Reactor(Roster):
    cdef readonly Batch batch
    cdef epoll_event events[256]
    cdef object on_fault                   # Callable[[Exception, str], None]: a handler raised
    cdef bint turning
    cdef int patience_ms                   # how long a turn waits for events before uvloop has its share

    cdef int collect(self, int patience_ms) except -1
    cdef int note(self, Connection connection, unsigned int events) except -1
    cdef int read_all(self) except -1
    cdef int tell_secured(self) except -1
    cdef int decide(self, int i) except -1
    cdef bint pass_on(self, Connection connection) except -1
    cdef int tell(self, Connection connection, long long offset, long long size) except -1
    cdef int settle(self, Connection connection, long long size) except -1
    cdef int expire(self) except -1
    cdef int flush(self) except -1
    cdef int flush_wave(self) except -1
    cdef int sent(self, Connection connection, long long shown, long long size) except -1
    cdef int fault(self, Connection connection, object error) except -1
    cdef int turn(self, int patience_ms) except -1
    cpdef bint ready(self) except? 0
    cpdef int settle_now(self) except -1
