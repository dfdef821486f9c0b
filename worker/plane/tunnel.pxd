# Two connections whose bytes pass both ways unseen, after an origin's 101 that was asked for.
from worker.plane.exchange cimport Exchange, Services, Side
from worker.plane.ws_frames cimport FrameTrack

# One end. The exchange lives as long as the tunnel and is logged when it ends.
cdef class TunnelEnd(Side):
    cdef Services services
    cdef Side before                       # whose connection it was: hears when it is closed
    cdef TunnelEnd other                   # None once the tunnel has ended
    cdef bint is_client
    cdef bint finished                     # this peer sends no more
    cdef FrameTrack track                  # of what this peer sends
    cdef bint leaving                      # the tunnel is to end as soon as the origin is between two frames
    cdef bint told                         # a Close frame of ours was the last that this peer gets
    cdef int take_over(self, Side side) except -1
    cdef int count(self, long long size) except -1
    cdef int end(self, int ending) except -1
    cdef int choose_sink(self) except -1
    cdef bint may_be_ended(self) except -1                 # it goes on, and nobody has told it to end
    cdef int end_for_drain(self) except -1
    cdef int say_close(self, int code) except -1

cdef bint wants_tunnel(Exchange x) except -1          # the request asks for a switch that its route allows
cdef bint may_switch(Exchange x) except -1            # x.response, a 101, is the agreement to it
# The 101 is on its way to the client; offset, size: what the origin sent behind it.
cdef int open_tunnel(Exchange x, long long offset, long long size) except -1
