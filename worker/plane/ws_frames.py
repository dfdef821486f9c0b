"""Follows the frames of a WebSocket connection, so that a proxy knows where a frame of its own may stand."""

import cython

OP_CLOSE = cython.declare(cython.int, 8)
# RFC 6455 5.2: continuation, text, binary; close, ping, pong. The others are reserved.
OPCODES = cython.declare(cython.uint, 0b111 | 0b111 << 8)


def track_begin(track, masked):
    """The switch has been made: the next octet begins a frame."""
    track.masked = masked
    track.lost = track.closed = False
    track.have = 0
    track.left = 0
    return 0


def between_frames(track):
    return not track.lost and track.have == 0 and track.left == 0


def track_unseen(track, size):
    track.left = max(track.left - size, 0)
    return 0


def track_octets(view, at, end, track, stop):
    """The contract is in the .pxd."""
    step: cython.longlong
    while not track.lost:
        if track.left:
            step = min(track.left, end - at)
            track.left -= step
            at += step
        if stop and between_frames(track):
            return at
        if at >= end:
            return end
        track.head[track.have] = view[at]
        track.have += 1
        at += 1
        if not plausible(track):
            track.lost = True
        elif track.have == head_bytes(track):
            frame_begins(track)
    return end


@cython.cfunc
@cython.exceptval(check=False)
def plausible(track: cython.pointer(FrameTrack)) -> cython.bint:
    """What the head's newest octet says may stand there (RFC 6455 5.2, 5.5)."""
    opcode: cython.int = track.head[0] & 15
    control: cython.bint = opcode >= 8
    size: cython.int
    if track.have == 1:
        if not (OPCODES >> opcode) & 1:
            return False
        return not control or track.head[0] & 128 != 0
    if track.have == 2:
        size = track.head[1] & 127
        if (track.head[1] & 128 != 0) != track.masked:
            return False
        return not control or size < 126
    # The most significant bit of a length of eight octets is 0.
    return track.have != 3 or track.head[1] & 127 != 127 or track.head[2] < 128


@cython.cfunc
@cython.exceptval(check=False)
def head_bytes(track: cython.pointer(FrameTrack)) -> cython.int:
    """How long the head is; one that is not told yet never equals what is there."""
    size: cython.int = track.head[1] & 127
    if track.have < 2:
        return WS_HEAD_BYTES
    return 2 + (8 if size == 127 else 2 if size == 126 else 0) + (4 if track.masked else 0)


@cython.cfunc
@cython.exceptval(check=False)
def frame_begins(track: cython.pointer(FrameTrack)) -> cython.int:
    """The head is whole: so much payload follows."""
    i: cython.int
    size: cython.int = track.head[1] & 127
    octets: cython.int = 8 if size == 127 else 2 if size == 126 else 0
    track.left = 0 if octets else size
    for i in range(octets):
        track.left = track.left << 8 | track.head[2 + i]
    if track.head[0] & 15 == OP_CLOSE:
        track.closed = True
    track.have = 0
    return 0


def put_close(view, at, code, masked):
    """RFC 6455 5.5.1: the code in two octets."""
    i: cython.int
    view[at] = 0x88
    view[at + 1] = 2 | (0x80 if masked else 0)
    at += 2
    if masked:
        for i in range(4):
            view[at + i] = 0
        at += 4
    view[at] = code >> 8 & 0xFF
    view[at + 1] = code & 0xFF
    return at + 2


def track_parts(data, sizes, masked, stop_at):
    """For tests; the contract is in the .pxd."""
    track: FrameTrack
    view: cython.uchar[::1] = bytearray(data)
    at: cython.longlong = 0
    part: cython.int
    after: cython.longlong
    said: list = []
    track_begin(cython.address(track), masked)
    for part in range(cython.cast(cython.int, len(sizes))):
        after = track_octets(view, at, at + sizes[part], cython.address(track), part == stop_at)
        at += sizes[part]
        boundary: bool = between_frames(cython.address(track))
        said.append((after, boundary, bool(track.lost), bool(track.closed), track.left))
    return said


def close_frame(code, masked):
    """For tests: a Close frame."""
    view: cython.uchar[::1] = bytearray(WS_CLOSE_BYTES)
    return bytes(view[: put_close(view, 0, code, masked)])
