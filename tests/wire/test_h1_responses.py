"""Every row of the table of HTTP/1 responses, whole and cut at every octet."""

from typing import Any

import pytest

from worker.plane.h1_doors import read_head


def fields(*lines: bytes, version: bytes = b"1.1") -> bytes:
    """A whole response head with these field lines."""
    return b"HTTP/" + version + b" 200 OK\r\n" + b"".join(f + b"\r\n" for f in lines) + b"\r\n"


def line(text: bytes) -> bytes:
    """A whole response head with this status line."""
    return text + b"\r\nX: y\r\n\r\n"


ACCEPTED: list[tuple[str, bytes, dict[str, Any]]] = [
    (
        "plain",
        line(b"HTTP/1.1 200 OK"),
        {"status": 200, "reason": b"OK", "minor": 1, "line": b"HTTP/1.1 200 OK"},
    ),
    ("1.0", line(b"HTTP/1.0 404 Not Found"), {"status": 404, "reason": b"Not Found", "minor": 0}),
    ("empty reason", line(b"HTTP/1.1 200 "), {"status": 200, "reason": b""}),
    ("no space before an absent reason", line(b"HTTP/1.1 204"), {"status": 204, "reason": b""}),
    ("8-bit reason", line(b"HTTP/1.1 200 C'est l\xe0\tok"), {"reason": b"C'est l\xe0\tok"}),
    ("reason of blanks", line(b"HTTP/1.1 200   x "), {"reason": b"  x "}),
    ("100", line(b"HTTP/1.1 100 Continue"), {"status": 100}),
    ("103", line(b"HTTP/1.1 103 Early Hints"), {"status": 103}),
    ("599", line(b"HTTP/1.1 599 ?"), {"status": 599}),
    ("no fields", b"HTTP/1.1 200 OK\r\n\r\n", {"fields": []}),
    ("length", fields(b"Content-Length: 17"), {"content_length": 17, "flags": 0}),
    ("equal lengths", fields(b"Content-Length: 17", b"Content-Length: 17"), {"content_length": 17}),
    ("chunked", fields(b"Transfer-Encoding: chunked"), {"content_length": -1, "flags": 1}),
    (
        "length of a 204",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        {"content_length": 0},
    ),
    ("close", fields(b"Connection: close"), {"flags": 2}),
    (
        "keep-alive in 1.0",
        fields(b"Connection: keep-alive", version=b"1.0"),
        {"flags": 4, "minor": 0},
    ),
    (
        "101",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        {"status": 101, "flags": 8},
    ),
    (
        "control in a cookie's quotes is none",
        fields(b'Set-Cookie: a="b\xff c"; Path=/'),
        {"status": 200},
    ),
]
REFUSED: list[tuple[str, bytes]] = [
    ("status 99", line(b"HTTP/1.1 099 x")),
    ("status 600", line(b"HTTP/1.1 600 x")),
    ("status 999", line(b"HTTP/1.1 999 x")),
    ("status of two digits", line(b"HTTP/1.1 20 OK")),
    ("status of four digits", line(b"HTTP/1.1 2000 OK")),
    ("status with a sign", line(b"HTTP/1.1 +20 OK")),
    ("no status", line(b"HTTP/1.1 OK")),
    ("double space", line(b"HTTP/1.1  200 OK")),
    ("tab after the version", line(b"HTTP/1.1\t200 OK")),
    ("tab after the status", line(b"HTTP/1.1 200\tOK")),
    ("leading space", line(b" HTTP/1.1 200 OK")),
    ("leading CRLF", b"\r\n" + line(b"HTTP/1.1 200 OK")),
    ("HTTP/2.0", line(b"HTTP/2.0 200 OK")),
    ("HTTP/1.2", line(b"HTTP/1.2 200 OK")),
    ("HTTP/0.9", line(b"HTTP/0.9 200 OK")),
    ("lower case", line(b"http/1.1 200 OK")),
    ("ICY", line(b"ICY 200 OK")),
    ("RTSP", line(b"RTSP/1.0 200 OK")),
    ("no head at all", b"<html>\r\n\r\n"),
    ("NUL in the reason", line(b"HTTP/1.1 200 O\0K")),
    ("control octet in the reason", line(b"HTTP/1.1 200 O\x07K")),
    ("DEL in the reason", line(b"HTTP/1.1 200 O\x7fK")),
    ("bare LF after the status line", b"HTTP/1.1 200 OK\nX: y\r\n\r\n"),
    ("bare CR in the status line", b"HTTP/1.1 200 O\rK\r\nX: y\r\n\r\n"),
    ("bare LF after a field", b"HTTP/1.1 200 OK\r\nX: y\nZ: z\r\n\r\n"),
    ("bare LF at the end", b"HTTP/1.1 200 OK\r\nX: y\r\n\n"),
    ("only LF", b"HTTP/1.1 200 OK\nX: y\n\n"),
    ("folded line", fields(b"X: a", b" b")),
    ("space before the colon", fields(b"X : a")),
    ("no colon", fields(b"X")),
    ("empty name", fields(b": a")),
    ("name with a space", fields(b"X Y: a")),
    ("NUL in a value", fields(b"X: a\0b")),
    ("control octet in a value", fields(b"X: a\x01b")),
    ("length with a sign", fields(b"Content-Length: +5")),
    ("length list", fields(b"Content-Length: 5, 5")),
    ("empty length", fields(b"Content-Length:")),
    ("too long a length", fields(b"Content-Length: " + b"1" * 19)),
    ("different lengths", fields(b"Content-Length: 5", b"Content-Length: 6")),
    ("chunked and a length", fields(b"Content-Length: 5", b"Transfer-Encoding: chunked")),
    ("chunked in 1.0", fields(b"Transfer-Encoding: chunked", version=b"1.0")),
    ("gzip", fields(b"Transfer-Encoding: gzip")),
    ("gzip, chunked", fields(b"Transfer-Encoding: gzip, chunked")),
    ("chunked twice", fields(b"Transfer-Encoding: chunked, chunked")),
    ("malformed Connection", fields(b"Connection: close;")),
    ("nominates Content-Length", fields(b"Connection: content-length")),
]


@pytest.mark.parametrize(
    ("data", "says"), [case[1:] for case in ACCEPTED], ids=[c[0] for c in ACCEPTED]
)
def test_accepted(data: bytes, says: dict[str, Any]) -> None:
    head = read_head(data, response=True)
    assert head["result"] == len(data)
    assert {key: head[key] for key in says} == says
    assert all(read_head(data[:cut], response=True)["result"] == 0 for cut in range(len(data)))
    assert read_head(data + b"\0rest", response=True)["result"] == len(data)


@pytest.mark.parametrize("data", [data for _, data in REFUSED], ids=[name for name, _ in REFUSED])
def test_refused(data: bytes) -> None:
    whole = read_head(data, response=True)
    assert whole["result"] == -502
    assert whole["fault"]
    cuts = [read_head(data[:cut], response=True) for cut in range(len(data))]
    waits = [verdict["result"] for verdict in cuts].count(0)
    assert all(verdict["result"] == 0 for verdict in cuts[:waits])
    assert all(verdict == whole for verdict in cuts[waits:])


def test_nominated_fields_of_a_response_are_marked() -> None:
    head = read_head(
        fields(b"X-A: 1", b"Connection: x-a", b"Keep-Alive: 5", b"X-B: 2"), response=True
    )
    assert [field["hop"] for field in head["fields"]] == [True, True, True, False]


def test_the_head_is_bounded() -> None:
    data = fields(b"X: " + b"a" * 100)
    assert read_head(data, response=True, head_bytes=len(data))["result"] == len(data)
    assert read_head(data, response=True, head_bytes=len(data) - 1)["result"] == -502
    assert read_head(b"HTTP/1.1 200 " + b"a" * 100, response=True, head_bytes=50)["result"] == -502
    assert read_head(fields(*[b"X: y"] * 6), response=True, header_count=5)["result"] == -502
    assert read_head(fields(*[b"X: y"] * 5), response=True, header_count=5)["result"] > 0


def test_the_request_line_bound_is_not_for_responses() -> None:
    data = line(b"HTTP/1.1 200 " + b"a" * 100)
    assert read_head(data, response=True, line_bytes=50)["result"] == len(data)
