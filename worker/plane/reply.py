"""Answers of our own: the head and body of an error, a redirect, a fixed response, as HTTP/1 bytes."""

import http
import time
import wsgiref.handlers

import cython
from cython.cimports.worker.plane.h1_write import PERSIST_CLOSE, PERSIST_KEEP_ALIVE
from cython.cimports.worker.plane.route import HeaderEdits

REASONS = {status.value: status.phrase for status in http.HTTPStatus}
TOO_LARGE = "the body is larger than max_body_bytes allows"
BODILESS = frozenset((204, 304))  # RFC 9110 15.3.5, 15.4.5
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n"


def reply_body(status, body):
    """The body of an answer: an error that has none says its status in words."""
    if status in BODILESS:
        return b""
    if body is not None:
        return body
    return f"{status} {REASONS.get(status, 'Error')}\n".encode()


def render_reply(status, lines, body, edits, head_only, persistence):
    """The whole answer. The header edits of the route hold for it as for the origin's."""
    content: bytes = reply_body(status, body)
    if lines is None:
        lines = TEXT
    now = wsgiref.handlers.format_date_time(int(time.time())).encode()
    lines = b"Server: pingpy\r\nDate: " + now + b"\r\n" + lines
    if edits is not None:
        lines = kept_lines(lines, edits) + edits.lines
    if status not in BODILESS:
        lines += b"Content-Length: %d\r\n" % len(content)
    if persistence == PERSIST_CLOSE:
        lines += b"Connection: close\r\n"
    elif persistence == PERSIST_KEEP_ALIVE:
        lines += b"Connection: keep-alive\r\n"
    reason = REASONS.get(status, "").encode()
    head = b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, lines)
    return head if head_only else head + content


@cython.cfunc
def kept_lines(lines: bytes, edits: HeaderEdits) -> bytes:
    """The lines without the fields that the route removes or replaces."""
    dropped = {name.lower() for name in edits.drop_names}
    kept = [
        line + b"\r\n"
        for line in lines.split(b"\r\n")
        if line and line.partition(b":")[0].lower() not in dropped
    ]
    return b"".join(kept)
