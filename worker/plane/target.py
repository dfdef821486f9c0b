"""Brings paths and host names into the one form that rules are compared with."""

import cython
from cython.cimports.worker.plane.octets import (
    CLASS,
    FNV_BASIS,
    FNV_PRIME,
    O_DIGIT,
    O_HEX,
    O_HOST,
)

HOST_BYTES = cython.declare(cython.int, 255)
BAD = cython.declare(cython.int, -2)


def is_normal_path(view, offset, size):
    """No escape, no empty segment, no segment that begins with a dot."""
    at: cython.longlong
    end: cython.longlong = offset + size
    last: cython.uchar = 0
    octet: cython.uchar
    if size == 0 or view[offset] != 0x2F:
        return size == 1 and view[offset] == 0x2A
    for at in range(offset, end):
        octet = view[at]
        if octet == 0x25 or (last == 0x2F and (octet == 0x2F or octet == 0x2E)):
            return False
        last = octet
    return True


def normalise_path(view, offset, size, out_offset, out_limit):
    """Decode once, then merge slashes and remove dot segments as the octets are written."""
    at: cython.longlong = offset
    end: cython.longlong = offset + size
    out: cython.longlong = out_offset
    octet: cython.int
    if size == 0 or view[offset] != 0x2F:
        return special_path(view, offset, size, out_offset, out_limit)
    if size > out_limit:
        return BAD
    while at < end:
        octet = view[at]
        at += 1
        if octet == 0x25:
            octet = unescaped(view, at, end)
            at += 2
            if octet <= 0:
                return BAD
        if octet == 0x2F:
            out = close_segment(view, out_offset, out)
            if out < 0:
                return BAD
            if out > out_offset and view[out - 1] == 0x2F:
                continue  # an empty or removed segment
        view[out] = cython.cast(cython.uchar, octet)
        out += 1
    out = close_segment(view, out_offset, out)
    return BAD if out < 0 else cython.cast(cython.int, out - out_offset)


@cython.cfunc
@cython.exceptval(-1, check=True)
def special_path(
    view: cython.uchar[::1],
    offset: cython.longlong,
    size: cython.int,
    out_offset: cython.longlong,
    out_limit: cython.int,
) -> cython.int:
    """An absolute-form target may have no path, which means "/"; OPTIONS may have "*"."""
    if out_limit < 1 or size > 1 or (size == 1 and view[offset] != 0x2A):
        return BAD
    view[out_offset] = 0x2A if size else 0x2F
    return 1


@cython.cfunc
@cython.exceptval(-1, check=True)
def unescaped(view: cython.uchar[::1], at: cython.longlong, end: cython.longlong) -> cython.int:
    """The octet that two hexadecimal digits mean, or -2."""
    if end - at < 2 or not CLASS[view[at]] & O_HEX or not CLASS[view[at + 1]] & O_HEX:
        return BAD
    return hex_value(view[at]) * 16 + hex_value(view[at + 1])


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def hex_value(octet: cython.uchar) -> cython.int:
    """The value of a hexadecimal digit."""
    return octet - 0x30 if octet <= 0x39 else (octet | 0x20) - 0x57


@cython.cfunc
@cython.exceptval(-1, check=True)
def close_segment(
    view: cython.uchar[::1], begin: cython.longlong, out: cython.longlong
) -> cython.longlong:
    """A segment ends at `out`: where to write on, without it when it is a dot segment; -2 above the root.

    Dot segments with parameters ("..;x") are refused: some origins drop the parameter and then climb.
    """
    dots: cython.int = 0
    at: cython.longlong = out
    while at > begin and view[at - 1] != 0x2F:
        at -= 1
    if at == begin or at == out or view[at] != 0x2E:
        return out
    while at + dots < out and view[at + dots] == 0x2E:
        dots += 1
    if dots > 2:
        return out
    if at + dots < out:
        return BAD if view[at + dots] == 0x3B else out
    if dots == 1:
        return at
    at -= 1  # at the slash before the ".."
    if at == begin:
        return BAD
    while view[at - 1] != 0x2F:
        at -= 1
    return at


def is_host(view, offset, size):
    """A name, an IPv4 address or a bracketed IPv6 address, with or without a port."""
    end: cython.longlong = offset + size
    at: cython.longlong = offset
    last: cython.uchar = 0x2E
    if size <= 0:
        return False
    if view[at] == 0x5B:
        at = ipv6_end(view, at + 1, end)
        if at < 0:
            return False
    else:
        while at < end and CLASS[view[at]] & O_HOST:
            if last == 0x2E and view[at] == 0x2E:
                return False  # an empty label
            last = view[at]
            at += 1
        if at == offset or at - offset > HOST_BYTES:
            return False
    return at == end or (view[at] == 0x3A and is_port(view, at + 1, end))


@cython.cfunc
@cython.exceptval(-1, check=True)
def is_port(view: cython.uchar[::1], at: cython.longlong, end: cython.longlong) -> cython.bint:
    """1 to 65535; the empty port that RFC 3986 3.2.3 allows is refused."""
    value: cython.int = 0
    if at >= end or end - at > 5:
        return False
    while at < end:
        if not CLASS[view[at]] & O_DIGIT:
            return False
        value = value * 10 + (view[at] - 0x30)
        at += 1
    return 0 < value <= 65535


@cython.cfunc
@cython.exceptval(-1, check=True)
def ipv6_end(view: cython.uchar[::1], at: cython.longlong, end: cython.longlong) -> cython.longlong:
    """The position after the closing bracket of an IPv6 literal (RFC 3986 3.2.2; no zone), or -2."""
    groups: cython.int = 0
    digits: cython.int
    gap: cython.bint = end - at > 2 and view[at] == 0x3A and view[at + 1] == 0x3A
    if gap:
        at += 2
    while at < end and not (gap and view[at] == 0x5D):
        digits = 0
        while at + digits < end and digits < 5 and CLASS[view[at + digits]] & O_HEX:
            digits += 1
        if digits == 0 or digits > 4 or at + digits >= end:
            return BAD
        if view[at + digits] == 0x2E:
            at = ipv4_end(view, at, end)
            groups += 2
            break
        groups += 1
        at += digits
        if view[at] == 0x5D:
            break
        if view[at] != 0x3A:
            return BAD
        at += 1
        if at < end and view[at] == 0x3A:
            if gap:
                return BAD
            gap = True
            at += 1
        elif at < end and view[at] == 0x5D:
            return BAD
    if at < 0 or at >= end or view[at] != 0x5D:
        return BAD
    return at + 1 if (groups < 8 if gap else groups == 8) else BAD


@cython.cfunc
@cython.exceptval(-1, check=True)
def ipv4_end(view: cython.uchar[::1], at: cython.longlong, end: cython.longlong) -> cython.longlong:
    """The position after a dotted IPv4 address, or -2."""
    part: cython.int
    digits: cython.int
    value: cython.int
    for part in range(4):
        digits = 0
        value = 0
        while at < end and digits < 4 and CLASS[view[at]] & O_DIGIT:
            value = value * 10 + (view[at] - 0x30)
            digits += 1
            at += 1
        if digits == 0 or digits > 3 or value > 255:
            return BAD
        if part < 3:
            if at >= end or view[at] != 0x2E:
                return BAD
            at += 1
    return at


@cython.cfunc
@cython.exceptval(-1, check=True)
def host_end(view: cython.uchar[::1], offset: cython.longlong, size: cython.int) -> cython.longlong:
    """Where the port's colon stands, or the end."""
    at: cython.longlong = offset + size
    while at > offset and CLASS[view[at - 1]] & O_DIGIT:
        at -= 1
    if at > offset and view[at - 1] == 0x3A and at < offset + size:
        return at - 1
    return offset + size


def bare_host(view, offset, size, out_offset, out_limit):
    """Lower case, no port, no final dot."""
    end: cython.longlong = host_end(view, offset, size)
    at: cython.longlong
    octet: cython.uchar
    if end > offset + 1 and view[end - 1] == 0x2E:
        end -= 1
    if end - offset > out_limit:
        return BAD
    for at in range(offset, end):
        octet = view[at]
        view[out_offset + (at - offset)] = octet | 0x20 if 0x41 <= octet <= 0x5A else octet
    return cython.cast(cython.int, end - offset)


def host_port(view, offset, size):
    """The digits after the last colon."""
    at: cython.longlong
    value: cython.int = 0
    for at in range(host_end(view, offset, size) + 1, offset + size):
        value = value * 10 + (view[at] - 0x30)
    return value


def fnv_lower(view, offset, size):
    """Case aside."""
    value: cython.uint = FNV_BASIS
    at: cython.longlong
    octet: cython.uchar
    for at in range(offset, offset + size):
        octet = view[at]
        if 0x41 <= octet <= 0x5A:
            octet |= 0x20
        value = (value ^ octet) * cython.cast(cython.uint, FNV_PRIME)
    return value


def fnv_exact(view, offset, size):
    """As it stands."""
    value: cython.uint = FNV_BASIS
    at: cython.longlong
    for at in range(offset, offset + size):
        value = (value ^ view[at]) * cython.cast(cython.uint, FNV_PRIME)
    return value


def fnv_bytes(text):
    """Case aside, for text that is not in the arena."""
    value: cython.uint = FNV_BASIS
    octet: cython.uchar
    for octet in text.lower():
        value = (value ^ octet) * cython.cast(cython.uint, FNV_PRIME)
    return value
