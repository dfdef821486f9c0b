"""Scans HTTP/1 request and response heads once, strictly: what is not positively recognised is refused."""

import cython
from cython.cimports.worker.plane.h1_connection import needs_settling, settle_fields
from cython.cimports.worker.plane.h1_fields import scan_fields
from cython.cimports.worker.plane.h1_lines import request_line, status_line
from cython.cimports.worker.plane.octets import CLASS, O_VALUE

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


def fill() -> None:
    """Fill the C tables; runs once, at import."""
    index: cython.int
    for index in range(FAULTS):
        FAULT_STATUS[index] = FAULT_ANSWERS[index][0]


fill()


def fault_text(fault):
    """The words for a fault."""
    return FAULT_ANSWERS[fault][1]


def fault_status(fault):
    """The status for a fault of a request."""
    return FAULT_STATUS[fault] if 0 <= fault < FAULTS else 400


def worth_scanning(view, start, checked, end):
    """Look for the empty line, a control octet, a bare CR or a bare LF in what is new (from 3 before)."""
    at: cython.longlong = max(checked - 3, start)
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
            if lines == 3 or (
                last != 0x0D and at >= checked and at > start and view[at - 1] != 0x0D
            ):
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
        if needs_settling(head):
            settle_fields(view, head)
        if not head.fault and settle_host(head) == 0:
            return head.size
    return -FAULT_STATUS[head.fault]


@cython.cfunc
@cython.exceptval(check=False)
def settle_host(head: cython.pointer(Head)) -> cython.int:
    """RFC 9112 3.2, 3.2.2: HTTP/1.1 must have a Host field; an absolute-form target wins over it."""
    index: cython.int = head.first[F_HOST]
    if index < 0:
        return refuse(head, FAULT_HOST_MISSING) if head.minor else 0
    if not head.flags & H_ABSOLUTE:
        head.authority = head.fields[index].value
        head.authority_size = head.fields[index].value_size
    return 0


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
        if not needs_settling(head) or settle_fields(view, head) == 0:
            return head.size
    return -502
