"""Says why an HTTP/2 connection ends by an error: to the other side a code, to the operator the bound and its key."""

from cython.cimports.worker.plane.h2_frames import (
    E_COMPRESSION,
    E_ENHANCE_YOUR_CALM,
    E_FLOW_CONTROL,
    E_FRAME_SIZE,
    E_PROTOCOL,
    E_STREAM_CLOSED,
    PURSE_FULL,
    PURSE_PER_SECOND,
)

KINDS = (
    "DATA",
    "HEADERS",
    "PRIORITY",
    "RST_STREAM",
    "SETTINGS",
    "PUSH_PROMISE",
    "PING",
    "GOAWAY",
    "WINDOW_UPDATE",
    "CONTINUATION",
)
BOUND = f"beyond {PURSE_FULL:,} points and {PURSE_PER_SECOND} a second, a fixed bound"
RULES = {
    W_PROTOCOL: "that may not be",
    W_FLOW_CONTROL: "beyond a window",
    W_STREAM_CLOSED: "for a stream that is closed",
    W_FRAME_SIZE: "of a wrong size",
}
# Of those that are not RFC 9113's own.
WORDS = {
    W_FLOOD: "too many frames that move nothing, the last one {frame} (" + BOUND + ")",
    W_RESETS: "too many streams that had to be reset (" + BOUND + ")",
    W_STREAMS: "more and more streams beyond [limits] streams (" + BOUND + ")",
    W_HEADER_BYTES: "a field block far beyond [limits] header_bytes or header_count",
    W_HEADER_TIME: "a field block that did not end within [timeouts] header",
    W_UNREAD: "nothing was read within [timeouts] send",
    W_SILENT: "no answer to a PING ([timeouts] {key})",
}


def why_of(error):
    if error == E_FLOW_CONTROL:
        return W_FLOW_CONTROL
    if error == E_STREAM_CLOSED:
        return W_STREAM_CLOSED
    if error == E_FRAME_SIZE:
        return W_FRAME_SIZE
    return W_COMPRESSION if error == E_COMPRESSION else W_PROTOCOL


def error_of(why):
    if why == W_PROTOCOL:
        return E_PROTOCOL
    if why == W_FLOW_CONTROL:
        return E_FLOW_CONTROL
    if why == W_STREAM_CLOSED:
        return E_STREAM_CLOSED
    if why == W_FRAME_SIZE:
        return E_FRAME_SIZE
    return E_COMPRESSION if why == W_COMPRESSION else E_ENHANCE_YOUR_CALM


def words_of(owner, why):
    frame = "a frame of an unknown kind"
    if owner.frame.kind < 10:
        frame = f"a {KINDS[owner.frame.kind]} frame"
    if why in WORDS:
        key = "upstream_ping" if owner.client else "client_ping"
        return "HTTP/2: " + WORDS[why].format(frame=frame, key=key)
    if why == W_COMPRESSION:
        return "HTTP/2: a field block that cannot be decoded (RFC 7541)"
    if owner.preface_due:
        return "HTTP/2: it did not begin as RFC 9113 3.4 has it"
    return f"HTTP/2: {frame} {RULES[why]} (RFC 9113)"
