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
    # Towards this peer: bytes, the end of them; and from it: no more for now, go on.
    cdef int put(self, long long offset, long long size) except -1
    cdef int put_end(self) except -1
    cdef int stop(self) except -1
    cdef int go(self) except -1
    cdef bint is_stopped(self) except -1                   # it takes no more for now
    cdef int wait(self, long long after_ms) except -1      # the tunnel's timer, which is the client's
    cdef bint leads(self) except -1                        # of the connections of a tunnel, exactly one does
    cdef bint may_be_ended(self) except -1                 # it goes on, and nobody has told it to end
    cdef int end_for_drain(self) except -1
    cdef int say_close(self, int code) except -1

cdef bint wants_tunnel(Exchange x) except -1          # the request asks for a switch that its route allows
cdef bint may_switch(Exchange x) except -1            # x.response, a 101, is the agreement to it
# The 101 is on its way to the client; offset, size: what the origin sent behind it.
cdef int open_tunnel(Exchange x, long long offset, long long size) except -1
