"""Scans HTTP/1 request and response heads once, strictly: what is not positively recognised is refused."""

import cython
from cython.cimports.worker.plane.h1_connection import settle_fields
from cython.cimports.worker.plane.h1_fields import scan_fields
from cython.cimports.worker.plane.octets import CLASS, LOWER, O_DIGIT, O_PATH, O_QUERY, O_VALUE
from cython.cimports.worker.plane.target import is_host

BAD = cython.declare(cython.int, -2)

# By Fault: the status that a refused request gets, and the words for the log.
FAULT_ANSWERS = (
    (0, ""),
    (400, "the method is not a token"),
    (405, "CONNECT is not served"),
    (400, "white space in the request line is not one single space"),
    (414, "the request line is too long"),
    (400, "the target has an octet that may not stand there"),
    (400, "the target has none of the allowed forms"),
    (400, "the target's authority is not a host"),
    (400, "the protocol version is malformed or missing"),
    (505, "the protocol version is neither HTTP/1.0 nor HTTP/1.1"),
    (502, "the status line is malformed"),
    (400, "a line does not end with CRLF"),
    (400, "a field name is empty or has an octet that may not stand there"),
    (400, "white space before a field's colon"),
    (400, "a field line is folded, or white space precedes the first one"),
    (400, "a field value has a control octet"),
    (431, "the head is too long"),
    (431, "the head has too many fields"),
    (400, "no Host field"),
    (400, "more than one Host field"),
    (400, "the Host field is not a host"),
    (400, "Content-Length is not a number of at most 18 digits"),
    (400, "Content-Length is repeated with different values"),
    (400, "Transfer-Encoding is malformed, or chunked is repeated or not last"),
    (501, "Transfer-Encoding names a coding other than chunked"),
    (400, "Transfer-Encoding in HTTP/1.0"),
    (400, "Transfer-Encoding together with Content-Length"),
    (400, "Connection is not a list of tokens"),
    (400, "Connection names Host or Content-Length, or too many fields"),
    (400, "a chunk size is malformed or too large"),
    (400, "a chunk extension or the end of its line is malformed"),
    (400, "chunk extensions are too long"),
    (400, "a chunk's data is not followed by CRLF, or the body goes on after its end"),
    (400, "a trailer field is malformed"),
    (400, "a trailer field has a name that is not allowed there"),
    (400, "the trailer section is too long"),
)
FAULT_STATUS = cython.declare(cython.int[64])

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
SCHEME = cython.declare(cython.uchar[8])


def fill() -> None:
    """Fill the C tables; runs once, at import."""
    index: cython.int
    for index in range(FAULTS):
        FAULT_STATUS[index] = FAULT_ANSWERS[index][0]
    for index in range(8):
        VERSION[index] = b"HTTP/1.1"[index]
        SCHEME[index] = b"https://"[index]


fill()


def fault_text(fault):
    """The words for a fault."""
    return FAULT_ANSWERS[fault][1]


def fault_status(fault):
    """The status for a fault of a request."""
    return FAULT_STATUS[fault] if 0 <= fault < FAULTS else 400


def worth_scanning(view, checked, end):
    """Look for the empty line, a control octet, a bare CR or a bare LF in what is new (from 3 before)."""
    at: cython.longlong = max(checked - 3, 0)
    octet: cython.uchar
    last: cython.uchar = 0
    lines: cython.int = 0  # octets of CRLFCRLF seen in a row
    while at < end:
        octet = view[at]
        if octet == 0x0D:
            if last == 0x0D:
                return 1
            lines = 3 if lines == 2 else 1
        elif octet == 0x0A:
            if lines == 3 or (last != 0x0D and at >= checked and at > 0 and view[at - 1] != 0x0D):
                return 1
            lines = 2
        else:
            if last == 0x0D or not CLASS[octet] & O_VALUE:
                return 1
            lines = 0
        last = octet
        at += 1
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def begin(head: cython.pointer(Head), start: cython.longlong) -> cython.void:
    """Clear what scanning fills in."""
    index: cython.int
    head.start = start
    head.size = head.count = head.flags = head.fault = head.minor = head.line_size = 0
    head.method = head.method_size = head.target = head.target_size = 0
    head.path = head.path_size = head.query = head.query_size = 0
    head.authority = head.authority_size = head.status = head.reason = head.reason_size = 0
    head.content_length = -1
    for index in range(32):
        head.first[index] = -1


@cython.cfunc
@cython.exceptval(check=False)
def refuse(head: cython.pointer(Head), fault: cython.int) -> cython.int:
    """Note why."""
    head.fault = fault
    return BAD


def scan_request(view, start, end, head, limits):
    """The contract is in the .pxd. Faults are found in the order of the octets, so cuts cannot change the verdict."""
    stop: cython.longlong = min(end, start + limits.head_bytes)
    at: cython.longlong
    begin(head, start)
    at = request_line(view, min(stop, start + limits.request_line_bytes + 2), head)
    if at == 0:
        if end - start >= limits.head_bytes:
            refuse(head, FAULT_HEAD_LONG)
        elif end - start >= limits.request_line_bytes + 2:
            refuse(head, FAULT_LINE_LONG)
        else:
            return 0
    elif at > 0:
        at = scan_fields(view, at, stop, head, min(limits.header_count, MAX_FIELDS))
        if at == 0:
            if end - start < limits.head_bytes:
                return 0
            refuse(head, FAULT_HEAD_LONG)
    if not head.fault:
        head.size = cython.cast(cython.int, at - start)
        if settle_fields(view, head) == 0 and settle_host(view, head) == 0:
            return head.size
    return -FAULT_STATUS[head.fault]


@cython.cfunc
@cython.exceptval(-1, check=True)
def settle_host(view: cython.uchar[::1], head: cython.pointer(Head)) -> cython.int:
    """RFC 9112 3.2, 3.2.2: HTTP/1.1 must have a Host field; an absolute-form target wins over it."""
    index: cython.int = head.first[F_HOST]
    if index < 0:
        return refuse(head, FAULT_HOST_MISSING) if head.minor else 0
    if not head.flags & H_ABSOLUTE:
        head.authority = head.fields[index].value
        head.authority_size = head.fields[index].value_size
    return 0


@cython.cfunc
@cython.exceptval(-1, check=True)
def request_line(
    view: cython.uchar[::1], end: cython.longlong, head: cython.pointer(Head)
) -> cython.longlong:
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
        while at < end and CLASS[view[at]] & O_PATH:
            at += 1
        head.path_size = cython.cast(cython.int, at - start) - head.path
        if at < end and view[at] == 0x3F:
            at += 1
            head.query = cython.cast(cython.int, at - start)
            while at < end and CLASS[view[at]] & O_QUERY:
                at += 1
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


def scan_response(view, start, end, head, limits):
    """The contract is in the .pxd."""
    stop: cython.longlong = min(end, start + limits.head_bytes)
    at: cython.longlong
    begin(head, start)
    at = status_line(view, stop, head)
    if at > 0:
        at = scan_fields(view, at, stop, head, min(limits.header_count, MAX_FIELDS))
    if at == 0:
        if end - start < limits.head_bytes:
            return 0
        refuse(head, FAULT_HEAD_LONG)
    if not head.fault:
        head.size = cython.cast(cython.int, at - start)
        if settle_fields(view, head) == 0:
            return head.size
    return -502


@cython.cfunc
@cython.exceptval(-1, check=True)
def status_line(
    view: cython.uchar[::1], end: cython.longlong, head: cython.pointer(Head)
) -> cython.longlong:
    """RFC 9112 4: HTTP/1.0 or HTTP/1.1, 100 to 599, any reason. Returns the position after the line, 0 or -2."""
    at: cython.longlong = head.start
    i: cython.int
    octet: cython.uchar
    for i in range(12):
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
