"""Scans request lines with their targets, and status lines."""

import cython
from cython.cimports.worker.plane.h1_parse import (
    FAULT_AUTHORITY,
    FAULT_CONNECT,
    FAULT_LINE_END,
    FAULT_LINE_SPACE,
    FAULT_METHOD,
    FAULT_STATUS_LINE,
    FAULT_TARGET_FORM,
    FAULT_TARGET_OCTET,
    FAULT_VERSION,
    FAULT_VERSION_SYNTAX,
    H_ABSOLUTE,
    M_CONNECT,
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_OTHER,
    M_PATCH,
    M_POST,
    M_PUT,
    M_TRACE,
    Head,
)
from cython.cimports.worker.plane.octets import (
    CLASS,
    LOWER,
    O_DIGIT,
    O_PATH,
    O_QUERY,
    O_VALUE,
    eight,
)
from cython.cimports.worker.plane.target import is_host

# Methods as numbers: their octets, most significant first.
W_GET = cython.declare(cython.ulonglong, int.from_bytes(b"GET", "big"))
W_HEAD = cython.declare(cython.ulonglong, int.from_bytes(b"HEAD", "big"))
W_POST = cython.declare(cython.ulonglong, int.from_bytes(b"POST", "big"))
W_PUT = cython.declare(cython.ulonglong, int.from_bytes(b"PUT", "big"))
W_DELETE = cython.declare(cython.ulonglong, int.from_bytes(b"DELETE", "big"))
W_OPTIONS = cython.declare(cython.ulonglong, int.from_bytes(b"OPTIONS", "big"))
W_PATCH = cython.declare(cython.ulonglong, int.from_bytes(b"PATCH", "big"))
W_TRACE = cython.declare(cython.ulonglong, int.from_bytes(b"TRACE", "big"))
W_CONNECT = cython.declare(cython.ulonglong, int.from_bytes(b"CONNECT", "big"))

VERSION = cython.declare(cython.uchar[8])
# The version that nearly all have, as `eight` reads it.
HTTP_1_1 = cython.declare(cython.ulonglong, int.from_bytes(b"HTTP/1.1", "little"))
SCHEME = cython.declare(cython.uchar[8])


def fill() -> None:
    """Fill the C tables; runs once, at import."""
    index: cython.int
    for index in range(8):
        VERSION[index] = b"HTTP/1.1"[index]
        SCHEME[index] = b"https://"[index]


fill()


@cython.cfunc
@cython.exceptval(check=False)
def refuse(head: cython.pointer(Head), fault: cython.int) -> cython.int:
    """Note why."""
    head.fault = fault
    return -2


def request_line(view, end, head):
    """RFC 9112 3. Returns the position after the line, 0 when more octets are needed, -2 when it is refused."""
    at: cython.longlong = head.start
    octet: cython.uchar = 0
    word: cython.ulonglong = 0
    while at < end:
        octet = view[at]
        if LOWER[octet] == 0:
            break
        word = (word << 8) | octet
        at += 1
    if at == end:
        return 0
    head.method_size = cython.cast(cython.int, at - head.start)
    if octet != 0x20 or head.method_size == 0:
        return refuse(head, FAULT_LINE_SPACE if octet == 0x20 else FAULT_METHOD)
    head.method = method_of(word) if head.method_size < 8 else M_OTHER
    if head.method == M_CONNECT:
        return refuse(head, FAULT_CONNECT)
    at = scan_target(view, at + 1, end, head)
    if at <= 0:
        return at
    if end - at < 10:
        return version_fault(view, at, end, head)
    if (
        view[at] == 0x48
        and view[at + 1] == 0x54
        and view[at + 2] == 0x54
        and view[at + 3] == 0x50
        and view[at + 4] == 0x2F
        and view[at + 5] == 0x31
        and view[at + 6] == 0x2E
        and (view[at + 7] == 0x31 or view[at + 7] == 0x30)
        and view[at + 8] == 0x0D
        and view[at + 9] == 0x0A
    ):
        head.minor = view[at + 7] - 0x30
        head.line_size = cython.cast(cython.int, at + 8 - head.start)
        return at + 10
    return version_fault(view, at, end, head)


@cython.cfunc
@cython.exceptval(check=False)
def method_of(word: cython.ulonglong) -> cython.int:
    """The method whose octets these are; methods are case-sensitive (RFC 9110 9.1)."""
    if word == W_GET:
        return M_GET
    if word == W_POST:
        return M_POST
    if word == W_HEAD:
        return M_HEAD
    if word == W_PUT:
        return M_PUT
    if word == W_DELETE:
        return M_DELETE
    if word == W_OPTIONS:
        return M_OPTIONS
    if word == W_PATCH:
        return M_PATCH
    if word == W_TRACE:
        return M_TRACE
    return M_CONNECT if word == W_CONNECT else M_OTHER


@cython.cfunc
@cython.exceptval(-1, check=True)
def version_fault(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, head: cython.pointer(Head)
) -> cython.longlong:
    """The rest of the line is not "HTTP/1.1" or "HTTP/1.0" and CRLF: incomplete, or why not."""
    i: cython.int
    octet: cython.uchar
    for i in range(10):
        if at + i == end:
            return 0
        octet = view[at + i]
        if i == 8 and (view[at + 5] != 0x31 or view[at + 7] > 0x31):
            return refuse(head, FAULT_VERSION)
        if i == 0 and octet == 0x20:
            return refuse(head, FAULT_LINE_SPACE)
        if i >= 8:
            if octet != (0x0D if i == 8 else 0x0A):
                return refuse(head, FAULT_LINE_END)
        elif i == 5 or i == 7:
            if not CLASS[octet] & O_DIGIT:
                return refuse(head, FAULT_VERSION_SYNTAX)
        elif octet != VERSION[i]:
            return refuse(head, FAULT_VERSION_SYNTAX)
    return refuse(head, FAULT_VERSION)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def class_end(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, octets: cython.int
) -> cython.longlong:
    """Where the octets of a class end. In bounds: the loop does not run unless 0 <= at and end <= len(view)."""
    if at < 0 or end > view.shape[0]:
        return at
    with cython.boundscheck(False):
        while at < end and CLASS[view[at]] & octets:
            at += 1
    return at


@cython.cfunc
@cython.exceptval(-1, check=True)
def scan_target(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, head: cython.pointer(Head)
) -> cython.longlong:
    """RFC 9112 3.2. Returns the position after the space that follows the target, 0 or -2."""
    start: cython.longlong = head.start
    octet: cython.uchar
    if at == end:
        return 0
    head.target = cython.cast(cython.int, at - start)
    octet = view[at]
    if octet == 0x2A and head.method == M_OPTIONS:
        at += 1
        head.path = head.target
        head.path_size = 1
    else:
        if octet != 0x2F:
            at = absolute_form(view, at, end, head)
            if at <= 0:
                return at
        head.path = cython.cast(cython.int, at - start)
        at = class_end(view, at, end, O_PATH)
        head.path_size = cython.cast(cython.int, at - start) - head.path
        if at < end and view[at] == 0x3F:
            at += 1
            head.query = cython.cast(cython.int, at - start)
            at = class_end(view, at, end, O_QUERY)
            head.query_size = cython.cast(cython.int, at - start) - head.query
    if at >= end:
        return 0
    head.target_size = cython.cast(cython.int, at - start) - head.target
    octet = view[at]
    if octet == 0x20:
        return at + 1
    if octet == 0x0D or octet == 0x0A:
        return refuse(head, FAULT_VERSION_SYNTAX)  # HTTP/0.9
    return refuse(head, FAULT_TARGET_OCTET)


@cython.cfunc
@cython.exceptval(-1, check=True)
def absolute_form(
    view: cython.uchar[::1], at: cython.longlong, end: cython.longlong, head: cython.pointer(Head)
) -> cython.longlong:
    """RFC 9112 3.2.2: "http://" or "https://" and a host, no userinfo. Returns the position after it, 0 or -2."""
    i: cython.int = 0
    begin: cython.longlong
    if view[at] == 0x20 or view[at] == 0x09:
        return refuse(head, FAULT_LINE_SPACE)
    while i < 8:
        if at == end:
            return 0
        if i == 4 and view[at] == 0x3A:
            i = 5  # no "s"
        # SCHEME has lower-case letters, ':' and '/'; the latter are not what | 0x20 makes of other printable octets
        if (view[at] | 0x20 if i < 5 else view[at]) != SCHEME[i]:
            return refuse(head, FAULT_TARGET_FORM)
        i += 1
        at += 1
    begin = at
    while at < end and CLASS[view[at]] & O_QUERY and view[at] != 0x2F and view[at] != 0x3F:
        at += 1
    if at == end:
        return 0
    if not is_host(view, begin, at - begin):
        return refuse(head, FAULT_AUTHORITY)
    head.flags |= H_ABSOLUTE
    head.authority = cython.cast(cython.int, begin - head.start)
    head.authority_size = cython.cast(cython.int, at - begin)
    return at


def status_line(view, end, head):
    """RFC 9112 4: HTTP/1.0 or HTTP/1.1, 100 to 599, any reason. Returns the position after the line, 0 or -2."""
    at: cython.longlong = head.start
    i: cython.int
    octet: cython.uchar
    first: cython.int = 8 if at + 8 <= end and eight(view, at) == HTTP_1_1 else 0
    at += first
    for i in range(first, 12):
        if at == end:
            return 0
        octet = view[at]
        at += 1
        if i >= 9:
            if not CLASS[octet] & O_DIGIT:
                return refuse(head, FAULT_STATUS_LINE)
            head.status = head.status * 10 + (octet - 0x30)
        elif octet != (0x20 if i == 8 else VERSION[i]) and not (i == 7 and octet == 0x30):
            return refuse(head, FAULT_STATUS_LINE)
    if head.status < 100 or head.status > 599:
        return refuse(head, FAULT_STATUS_LINE)
    head.minor = view[at - 5] - 0x30
    if at < end and view[at] == 0x20:
        at += 1
        head.reason = cython.cast(cython.int, at - head.start)
        while at < end and CLASS[view[at]] & O_VALUE:
            at += 1
        head.reason_size = cython.cast(cython.int, at - head.start) - head.reason
    if at == end or (at + 1 == end and view[at] == 0x0D):
        return 0
    if view[at] != 0x0D or view[at + 1] != 0x0A:
        return refuse(head, FAULT_STATUS_LINE)  # the space may be missing when there is no reason
    head.line_size = cython.cast(cython.int, at - head.start)
    return at + 2
