# Where the frames of a WebSocket connection begin and end (RFC 6455 section 5): payload is passed over, never looked at.

cdef enum:
    WS_HEAD_BYTES = 14            # the longest head of a frame
    WS_CLOSE_BYTES = 8            # a Close frame of ours: head, mask, code

cdef enum:                    # close codes, RFC 6455 7.4.1 and its registry
    WS_GOING_AWAY = 1001
    WS_SERVICE_RESTART = 1012

# One direction of a tunnel.
cdef struct FrameTrack:
    bint masked               # what a client sends is, what a server sends is not
    bint lost                 # something came that is no frame: nothing is known from here on
    bint closed               # a Close frame has begun: its sender sends nothing behind it
    int have                  # octets of `head` that are there
    long long left            # payload of the current frame that is still to come
    unsigned char head[14]

cdef int track_begin(FrameTrack* track, bint masked) noexcept
# Follow the octets from `at` on. Returns `end`; with `stop` the place of the first end of a frame, which may be `at` itself.
cdef long long track_octets(
    unsigned char[::1] view, long long at, long long end, FrameTrack* track, bint stop
) except -1
# So much of the payload went by unseen.
cdef int track_unseen(FrameTrack* track, long long size) noexcept
# Whether a frame of our own may be put in here.
cdef bint between_frames(FrameTrack* track) noexcept
# Writes a Close frame without a reason; returns the position behind it. A masked one has the mask 0: our octets are no secret.
cdef long long put_close(unsigned char[::1] view, long long at, int code, bint masked) except -1

# For tests: (position, boundary, lost, closed, left) after each part; `stop_at`: the part in which to stop.
cpdef list track_parts(bytes data, list sizes, bint masked, int stop_at)
cpdef bytes close_frame(int code, bint masked)
