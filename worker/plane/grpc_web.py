"""Reads and writes what gRPC-Web does to gRPC: media types, base64 in pieces, messages' ends, trailers as a frame."""

import cython

# gRPC's status codes, as far as we say them.
UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED = 2, 4, 7, 8
UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 12, 13, 14, 16

GRPC = b"application/grpc"
WEB = b"application/grpc-web"
TEXT = b"application/grpc-web-text"
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
LETTER = cython.declare(cython.uchar[64])
# By octet: the six bits it stands for; 64: padding, 255: nothing.
MEANING = cython.declare(cython.uchar[256])
MESSAGE_HEAD_BYTES = cython.declare(cython.int, 5)
TRAILERS = cython.declare(cython.int, 0x80)


def fill() -> None:
    """Fill the C tables; runs once, at import."""
    index: cython.int
    for index in range(256):
        MEANING[index] = 255
    for index in range(64):
        LETTER[index] = ALPHABET[index]
        MEANING[ALPHABET[index]] = index
    MEANING[0x3D] = 64


fill()


def web_kind(value: bytes):
    """(suffix, whether it is text) of a media type of gRPC-Web: (b"+proto", False); None: it is another one."""
    kind = value.partition(b";")[0].strip().lower()
    for start, text in ((TEXT, True), (WEB, False)):
        if kind == start or kind.startswith(start + b"+"):
            return kind[len(start) :], text
    return None


def grpc_suffix(value: bytes):
    """What stands behind "application/grpc" in a media type of gRPC: b"+proto", b""; None: it is another one."""
    kind = value.partition(b";")[0].strip().lower()
    if kind == GRPC or kind.startswith(GRPC + b"+"):
        return kind[len(GRPC) :]
    return None


# ---- base64 (RFC 4648 section 4)


def base64_in_begin(base64):
    base64.bits = 0
    base64.place = base64.padding = 0
    return 0


def base64_out_begin(base64):
    base64.have = 0
    return 0


def base64_is_whole(base64):
    return base64.place == 0 and base64.padding == 0


def decode_base64(view, at, end, to, base64):
    """The contract is in the .pxd."""
    start: cython.longlong = to
    meaning: cython.int
    while at < end:
        meaning = MEANING[view[at]]
        at += 1
        if base64.padding:
            if meaning != 64:
                return -2
            base64.padding -= 1
        elif meaning == 64:
            if base64.place < 2:
                return -2
            base64.padding = 3 - base64.place
            base64.place = 0
        elif meaning > 64:
            return -2
        else:
            base64.bits = (base64.bits << 6 | meaning) & 0xFFFF
            base64.place += 1
            if base64.place > 1:  # two bits are left over, then four, then none
                view[to] = base64.bits >> (8 - 2 * base64.place) & 0xFF
                to += 1
            base64.place &= 3
    return to - start


def encode_base64(view, at, end, to, base64, flush):
    """The contract is in the .pxd."""
    three: cython.uint
    while base64.have and at < end:
        if base64.have == 2:
            to = put_group(view, to, base64.kept[0] << 16 | base64.kept[1] << 8 | view[at], 4)
            base64.have = 0
        else:
            base64.kept[base64.have] = view[at]
            base64.have += 1
        at += 1
    while end - at >= 3:
        three = view[at] << 16 | view[at + 1] << 8 | view[at + 2]
        to = put_group(view, to, three, 4)
        at += 3
    while at < end:
        base64.kept[base64.have] = view[at]
        base64.have += 1
        at += 1
    if flush and base64.have:
        three = base64.kept[0] << 16
        if base64.have == 2:
            three |= base64.kept[1] << 8
        to = put_group(view, to, three, base64.have + 1)
        base64.have = 0
    return to


@cython.cfunc
@cython.exceptval(-1)
def put_group(
    view: cython.uchar[::1], to: cython.longlong, three: cython.uint, letters: cython.int
) -> cython.longlong:
    """Three octets as four letters, of which those beyond `letters` are padding."""
    view[to] = LETTER[three >> 18 & 63]
    view[to + 1] = LETTER[three >> 12 & 63]
    view[to + 2] = LETTER[three >> 6 & 63] if letters > 2 else 0x3D
    view[to + 3] = LETTER[three & 63] if letters > 3 else 0x3D
    return to + 4


# ---- messages


def messages_begin(messages):
    messages.have = 0
    messages.size = messages.left = 0
    return 0


def between_messages(messages):
    return messages.have == 0 and messages.left == 0


def follow_messages(view, at, end, messages):
    """gRPC's Length-Prefixed-Message: one octet of flags, four of length, and so many of the message."""
    step: cython.longlong
    while at < end:
        if messages.left:
            step = min(messages.left, end - at)
            messages.left -= step
            at += step
            continue
        if messages.have:
            messages.size = messages.size << 8 | view[at]
        messages.have += 1
        at += 1
        if messages.have == MESSAGE_HEAD_BYTES:
            messages.left = messages.size
            messages.have = 0
            messages.size = 0
    return 0


def put_trailer_frame(view, to, lines, size):
    """The contract is in the .pxd."""
    i: cython.longlong
    octet: cython.uchar
    in_name: cython.bint = True
    view[to] = TRAILERS
    view[to + 1] = size >> 24 & 0xFF
    view[to + 2] = size >> 16 & 0xFF
    view[to + 3] = size >> 8 & 0xFF
    view[to + 4] = size & 0xFF
    to += MESSAGE_HEAD_BYTES
    for i in range(size):
        octet = view[lines + i]
        if octet == 0x3A:
            in_name = False
        elif octet == 0x0A:
            in_name = True
        elif in_name and 0x41 <= octet <= 0x5A:
            octet |= 0x20
        view[to + i] = octet
    return to + size


# ---- for tests


def decode_parts(data, sizes):
    """The contract is in the .pxd."""
    base64: Base64In
    view: cython.uchar[::1] = bytearray(data)
    at: cython.longlong = 0
    size: cython.longlong
    found: bytes = b""
    base64_in_begin(cython.address(base64))
    for part in sizes:
        size = decode_base64(view, at, at + part, at, cython.address(base64))
        if size < 0:
            return None
        found += bytes(view[at : at + size])
        at += part
    return found if base64_is_whole(cython.address(base64)) else None


def encode_parts(data, sizes, flushes):
    """The contract is in the .pxd."""
    base64: Base64Out
    count: cython.longlong = len(data)
    view: cython.uchar[::1] = bytearray(data) + bytearray(2 * count + 16)
    at: cython.longlong = 0
    end: cython.longlong
    found: list = []
    base64_out_begin(cython.address(base64))
    for part, flush in zip(sizes, flushes, strict=True):
        end = encode_base64(view, at, at + part, count, cython.address(base64), flush)
        found.append(bytes(view[count:end]))
        at += part
    return found


def message_ends(data, sizes):
    """The contract is in the .pxd."""
    messages: Messages
    view: cython.uchar[::1] = bytearray(data)
    at: cython.longlong = 0
    found: list = []
    messages_begin(cython.address(messages))
    for part in sizes:
        follow_messages(view, at, at + part, cython.address(messages))
        at += part
        found.append(bool(between_messages(cython.address(messages))))
    return found


def trailer_frame(lines):
    """For tests: the frame with these lines."""
    size: cython.longlong = len(lines)
    view: cython.uchar[::1] = bytearray(lines) + bytearray(size + 5)
    return bytes(view[size : put_trailer_frame(view, size, 0, size)])
