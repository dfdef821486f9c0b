"""Reads, judges and writes HTTP/2 frames, one at a time."""

import cython

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PREFACE_TEXT = cython.declare(cython.uchar[24])
# By kind, for RFC 9113 section 6: the stream must be 0 (1), must not be 0 (2), may be either (0).
STREAM_RULE = cython.declare(cython.uchar[10])
# The payload's exact size, or -1.
EXACT_BYTES = cython.declare(cython.int[10])
# Points that a frame costs.
COST = cython.declare(cython.int[10])
COST_UNKNOWN = cython.declare(cython.int, 5)
COST_EMPTY = cython.declare(cython.int, 10)
EARN_BYTES = cython.declare(cython.longlong, 4096)


def fill() -> None:
    """Fill the C tables; runs once, at import."""
    index: cython.int
    for index in range(24):
        PREFACE_TEXT[index] = PREFACE[index]
    for index in range(10):
        STREAM_RULE[index] = (2, 2, 2, 2, 1, 2, 1, 1, 0, 2)[index]
        EXACT_BYTES[index] = (-1, -1, 5, 4, -1, -1, 8, -1, 4, -1)[index]
        COST[index] = (0, 1, 5, 10, 20, 0, 10, 1, 1, 10)[index]


fill()


def preface(view, at, end):
    """RFC 9113 3.4."""
    i: cython.int
    for i in range(PREFACE_BYTES):
        if at + i >= end:
            return 0
        if view[at + i] != PREFACE_TEXT[i]:
            return -2
    return PREFACE_BYTES


def order_begin(order, client):
    """A connection starts."""
    order.started = False
    order.client = client
    order.block_stream = 0
    return 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def four(view: cython.uchar[::1], at: cython.longlong) -> cython.longlong:
    """Four octets as a number."""
    value: cython.uint = cython.cast(cython.uint, view[at]) << 24
    value |= view[at + 1] << 16 | view[at + 2] << 8 | view[at + 3]
    return value


@cython.cfunc
@cython.exceptval(check=False)
def refuse(frame: cython.pointer(Frame), error: cython.int, stream: cython.uint) -> cython.int:
    """Note why, and whose error it is."""
    frame.error = error
    frame.error_stream = stream
    return -2


def frame_head(view, at, end, frame, order):
    """RFC 9113 4.1; the contract is in the .pxd."""
    if end - at < FRAME_HEAD_BYTES:
        return 0
    frame.size = view[at] << 16 | view[at + 1] << 8 | view[at + 2]
    frame.kind = view[at + 3]
    frame.flags = view[at + 4]
    frame.stream = cython.cast(cython.uint, four(view, at + 5)) & 0x7FFFFFFF
    frame.error = E_NO_ERROR
    frame.error_stream = 0
    frame.data_size = frame.padding = 0
    frame.value = frame.last_stream = 0
    if not order.started:
        # RFC 9113 3.4: the first frame is SETTINGS, and no acknowledgement
        if frame.kind != T_SETTINGS or frame.flags & FLAG_ACK:
            return refuse(frame, E_PROTOCOL, 0)
        order.started = True
    if order.block_stream:
        # RFC 9113 6.10: nothing comes between the frames of a field block
        if frame.kind != T_CONTINUATION or frame.stream != order.block_stream:
            return refuse(frame, E_PROTOCOL, 0)
    elif frame.kind == T_CONTINUATION:
        return refuse(frame, E_PROTOCOL, 0)
    if frame.size > FRAME_BYTES:
        return refuse(frame, E_FRAME_SIZE, 0)
    if frame.kind <= T_CONTINUATION and not known_kind(frame, order):
        return -2
    return FRAME_HEAD_BYTES


@cython.cfunc
@cython.exceptval(check=False)
def known_kind(frame: cython.pointer(Frame), order: cython.pointer(FrameOrder)) -> cython.bint:
    """The rules of each kind that the head can break."""
    rule: cython.uchar = STREAM_RULE[frame.kind]
    if (rule == 1 and frame.stream != 0) or (rule == 2 and frame.stream == 0):
        refuse(frame, E_PROTOCOL, 0)
        return False
    if EXACT_BYTES[frame.kind] >= 0 and frame.size != EXACT_BYTES[frame.kind]:
        # RFC 9113 6.3: of these only PRIORITY cannot alter the connection
        refuse(frame, E_FRAME_SIZE, frame.stream if frame.kind == T_PRIORITY else 0)
        return False
    if frame.kind == T_SETTINGS and (
        frame.size % 6 or (frame.flags & FLAG_ACK and frame.size)  # RFC 9113 6.5
    ):
        refuse(frame, E_FRAME_SIZE, 0)
        return False
    if frame.kind == T_GOAWAY and frame.size < 8:
        refuse(frame, E_FRAME_SIZE, 0)
        return False
    if frame.kind == T_PUSH_PROMISE:
        # RFC 9113 8.4: a client cannot push, and as a client we switch it off
        refuse(frame, E_PROTOCOL, 0)
        return False
    if frame.kind == T_HEADERS or frame.kind == T_CONTINUATION:
        order.block_stream = 0 if frame.flags & FLAG_END_HEADERS else frame.stream
    return True


def frame_body(view, at, end, frame):
    """RFC 9113 section 6; the contract is in the .pxd."""
    head: cython.int = 0
    if frame.kind == T_DATA or frame.kind == T_HEADERS:
        if frame.flags & FLAG_PADDED:
            # RFC 9113 6.1, 6.2: padding as long as the payload or longer is an error of the connection
            if frame.size < 1:
                return refuse(frame, E_FRAME_SIZE, 0)
            if at >= end:
                return 0
            frame.padding = view[at]
            head = 1
        if frame.kind == T_HEADERS and frame.flags & FLAG_PRIORITY:
            head += 5
        if head > frame.size:
            return refuse(frame, E_FRAME_SIZE, 0)
        if frame.padding > frame.size - head:
            return refuse(frame, E_PROTOCOL, 0)
        frame.data_size = frame.size - head - frame.padding
        frame.data = at + head
        if frame.kind == T_DATA:
            return FRAME_HEAD_BYTES
    if end - at < frame.size:
        return 0
    if frame.kind == T_CONTINUATION:
        frame.data = at
        frame.data_size = frame.size
    elif frame.kind == T_RST_STREAM:
        frame.value = cython.cast(cython.uint, four(view, at))
    elif frame.kind == T_GOAWAY:
        frame.last_stream = cython.cast(cython.uint, four(view, at)) & 0x7FFFFFFF
        frame.value = cython.cast(cython.uint, four(view, at + 4))
    elif frame.kind == T_WINDOW_UPDATE:
        frame.value = cython.cast(cython.uint, four(view, at)) & 0x7FFFFFFF
        if frame.value == 0:
            return refuse(frame, E_PROTOCOL, frame.stream)  # RFC 9113 6.9
    return FRAME_HEAD_BYTES + frame.size


def read_setting(view, at, client, name, value):
    """RFC 9113 6.5.2, RFC 8441 3: values out of range are errors of the connection; unknown names are ignored."""
    key: cython.int = view[at] << 8 | view[at + 1]
    said: cython.uint = cython.cast(cython.uint, four(view, at + 2))
    name[0] = key
    value[0] = said
    if key == SET_ENABLE_PUSH and (said > 1 or (client and said)):
        return E_PROTOCOL  # RFC 9113 6.5.2: a server must not say 1
    if key == SET_INITIAL_WINDOW_SIZE and said > cython.cast(cython.uint, WINDOW_LIMIT):
        return E_FLOW_CONTROL
    if key == SET_MAX_FRAME_SIZE and (said < 16384 or said > 16777215):
        return E_PROTOCOL
    if key == SET_ENABLE_CONNECT_PROTOCOL and said > 1:
        return E_PROTOCOL
    return E_NO_ERROR


@cython.cfunc
@cython.exceptval(-1)
def put_four(view: cython.uchar[::1], at: cython.longlong, value: cython.uint) -> cython.longlong:
    """A number as four octets."""
    view[at] = value >> 24
    view[at + 1] = value >> 16 & 0xFF
    view[at + 2] = value >> 8 & 0xFF
    view[at + 3] = value & 0xFF
    return at + 4


def put_frame(view, at, size, kind, flags, stream):
    """The nine octets."""
    view[at] = size >> 16 & 0xFF
    view[at + 1] = size >> 8 & 0xFF
    view[at + 2] = size & 0xFF
    view[at + 3] = kind
    view[at + 4] = flags
    return put_four(view, at + 5, stream & 0x7FFFFFFF)


def put_setting(view, at, name, value):
    """One setting of a SETTINGS payload."""
    view[at] = name >> 8 & 0xFF
    view[at + 1] = name & 0xFF
    return put_four(view, at + 2, value)


def put_rst(view, at, stream, error):
    """A whole RST_STREAM."""
    return put_four(view, put_frame(view, at, 4, T_RST_STREAM, 0, stream), error)


def put_goaway(view, at, last_stream, error):
    """A whole GOAWAY."""
    at = put_four(view, put_frame(view, at, 8, T_GOAWAY, 0, 0), last_stream)
    return put_four(view, at, error)


def put_window(view, at, stream, increment):
    """A whole WINDOW_UPDATE."""
    return put_four(view, put_frame(view, at, 4, T_WINDOW_UPDATE, 0, stream), increment)


def put_ping_ack(view, at, payload):
    """The answer to a PING whose eight octets stand at `payload`."""
    i: cython.int
    at = put_frame(view, at, 8, T_PING, FLAG_ACK, 0)
    for i in range(8):
        view[at + i] = view[payload + i]
    return at + 8


def purse_begin(purse, now_ms):
    """A connection starts."""
    purse.points = PURSE_FULL
    purse.filled_ms = now_ms
    return 0


def purse_pay(purse, frame, now_ms):
    """Frames that carry payload cost nothing; empty ones, resets, settings and fragments cost most."""
    cost: cython.longlong = COST[frame.kind] if frame.kind <= T_CONTINUATION else COST_UNKNOWN
    gained: cython.longlong = (now_ms - purse.filled_ms) * PURSE_PER_SECOND // 1000
    if gained > 0:
        purse.points = min(purse.points + gained, PURSE_FULL)
        purse.filled_ms = now_ms
    if frame.kind == T_DATA and frame.data_size == 0 and not frame.flags & FLAG_END_STREAM:
        cost = COST_EMPTY
    purse.points -= cost
    return purse.points >= 0


def purse_earn(purse, octets):
    """Every few KiB pay for one frame."""
    purse.points = min(purse.points + octets // EARN_BYTES, PURSE_FULL)
    return 0
