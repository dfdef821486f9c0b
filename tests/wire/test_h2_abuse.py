"""HTTP/2 clients that break the rules: the connection or the stream ends, and all others are served."""

from __future__ import annotations

import pytest

from tests.wire.h2_client import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    frame,
    frames_of,
)
from tests.wire.h2_raw import (
    CLOSED,
    COMPRESSION,
    FLOW,
    HELLO,
    LOCAL,
    PROTOCOL,
    PROXIED,
    SIZE,
    begin,
    block,
    goaway,
    request,
    reset,
    served,
)
from tests.wire.plane_rig import Rig

# ---- errors of the connection


WRONG = {
    "not a preface": (PREFACE[:18] + b"XX\r\n\r\n" + bytes(9), None),
    "no settings first": (PREFACE + frame(PING, 0, 0, bytes(8)), PROTOCOL),
    "settings acknowledged first": (PREFACE + frame(SETTINGS, ACK, 0), PROTOCOL),
    "a frame too large": (HELLO + frame(DATA, 0, 1, bytes(16385)), SIZE),
    "settings of a stream": (HELLO + frame(SETTINGS, 0, 1), PROTOCOL),
    "settings of an odd size": (HELLO + frame(SETTINGS, 0, 0, bytes(5)), SIZE),
    "a window that is too large": (HELLO + frame(SETTINGS, 0, 0, b"\0\4\x80\0\0\0"), FLOW),
    "push switched to 2": (HELLO + frame(SETTINGS, 0, 0, b"\0\2\0\0\0\2"), PROTOCOL),
    "a push": (HELLO + frame(PUSH, 4, 1, bytes(10)), PROTOCOL),
    "a short ping": (HELLO + frame(PING, 0, 0, bytes(7)), SIZE),
    "a ping of a stream": (HELLO + frame(PING, 0, 1, bytes(8)), PROTOCOL),
    "data of an idle stream": (HELLO + frame(DATA, 0, 1, b"abc"), PROTOCOL),
    "a window of an idle stream": (HELLO + frame(WINDOW, 0, 1, b"\0\0\0\1"), PROTOCOL),
    "a reset of an idle stream": (HELLO + frame(RST, 0, 1, bytes(4)), PROTOCOL),
    "headers of an even stream": (HELLO + request(2), PROTOCOL),
    "headers of stream 0": (HELLO + request(0), PROTOCOL),
    "a continuation of nothing": (HELLO + frame(CONTINUATION, 4, 1, b"\x82"), PROTOCOL),
    "something within a block": (
        HELLO + frame(HEADERS, 1, 1, b"\x82") + frame(PING, 0, 0, bytes(8)),
        PROTOCOL,
    ),
    "a continuation of another stream": (
        HELLO + frame(HEADERS, 1, 1, b"\x82") + frame(CONTINUATION, 4, 3, b""),
        PROTOCOL,
    ),
    "a bad field block": (HELLO + frame(HEADERS, 5, 1, b"\x80"), COMPRESSION),
    "a block cut short": (HELLO + frame(HEADERS, 5, 1, b"\x40\x7f"), COMPRESSION),
    "a table that grows": (
        HELLO + frame(HEADERS, 5, 1, b"\x3f\xe1\x7f" + block(LOCAL)),
        COMPRESSION,
    ),
    "more padding than there is": (HELLO + frame(HEADERS, 5 | PADDED, 1, b"\xff\x82"), PROTOCOL),
    "a window of 0": (HELLO + frame(WINDOW, 0, 0, bytes(4)), PROTOCOL),
    "the connection's window": (HELLO + frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"), FLOW),
    "a stream that has ended": (HELLO + request(1) + frame(DATA, 0, 1, b"abc"), CLOSED),
    "headers of a stream that has ended": (HELLO + request(3) + request(1), CLOSED),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_an_error_of_the_connection(plane: Rig, name: str) -> None:
    data, error = WRONG[name]
    client = plane.client(data)
    if error is None:
        plane.ended(client)
    else:
        assert goaway(plane, client) == error
    served(plane)


# ---- errors of a stream


def test_a_body_that_is_longer_than_it_says(plane: Rig) -> None:
    client = begin(plane)
    client.send(request(1, [*PROXIED, ("content-length", "3")], 0))
    plane.origin()
    client.send(frame(DATA, 0, 1, b"abcGET /smuggled HTTP/1.1\r\n\r\n"))
    assert reset(plane, client, 1) == PROTOCOL
    plane.settle()
    assert b"smuggled" not in b"".join(bytes(end.got) for end in plane.origins[0].ends)
    served(plane)


@pytest.mark.parametrize("length", ["4", "2", "3, 3", "+3", "3x"])
def test_a_body_of_another_length_than_it_says(plane: Rig, length: str) -> None:
    client = begin(plane)
    client.send(request(1, [*PROXIED, ("content-length", length)], 0))
    client.send(frame(DATA, END_STREAM, 1, b"abc"))
    assert reset(plane, client, 1) == PROTOCOL
    served(plane)


def test_a_header_that_promises_a_body_and_ends_the_stream(plane: Rig) -> None:
    client = begin(plane).send(request(1, [*PROXIED, ("content-length", "3")]))
    plane.until(lambda: any(kind == HEADERS for kind, *_ in frames_of(bytes(client.got))))
    assert plane.lines(1)[0].status == 400
    assert plane.origins[0].ends == []


BAD_FIELDS = {
    "upper case": [*PROXIED, ("X-One", "1")],
    "CRLF in a value": [*PROXIED, ("x", "a\r\nhost: b")],
    "LF in a value": [*PROXIED, ("x", "a\nb")],
    "NUL in a value": [*PROXIED, ("x", "a\0b")],
    "a space in a name": [*PROXIED, ("x y", "1")],
    "a colon in a name": [*PROXIED, ("x:y", "1")],
    "no path": PROXIED[:3],
    "two paths": [*PROXIED, (":path", "/y")],
    "an empty path": [*PROXIED[:3], (":path", "")],
    "a space in the path": [*PROXIED[:3], (":path", "/a b")],
    "CRLF in the path": [*PROXIED[:3], (":path", "/ HTTP/1.1\r\nx: y")],
    "no method": PROXIED[1:],
    "a bad method": [(":method", "GE T"), *PROXIED[1:]],
    "no scheme": [PROXIED[0], *PROXIED[2:]],
    "a late pseudo-field": [*PROXIED[:3], ("x", "1"), PROXIED[3]],
    "an unknown pseudo-field": [*PROXIED, (":x", "1")],
    "a status": [*PROXIED, (":status", "200")],
    "another host": [*PROXIED, ("host", "b")],
    "a bad authority": [*PROXIED[:2], (":authority", "a b"), PROXIED[3]],
    "userinfo": [*PROXIED[:2], (":authority", "u@a"), PROXIED[3]],
    "no authority and no host": [*PROXIED[:2], PROXIED[3]],
    "connection": [*PROXIED, ("connection", "close")],
    "transfer-encoding": [*PROXIED, ("transfer-encoding", "chunked")],
    "upgrade": [*PROXIED, ("upgrade", "h2c")],
    "te": [*PROXIED, ("te", "gzip")],
    "two lengths": [*PROXIED, ("content-length", "1"), ("content-length", "2")],
}


@pytest.mark.parametrize("name", list(BAD_FIELDS))
def test_a_request_that_is_none(plane: Rig, name: str) -> None:
    client = begin(plane)
    client.send(frame(HEADERS, END_HEADERS, 1, block(BAD_FIELDS[name])))
    assert reset(plane, client, 1) == PROTOCOL
    assert plane.lines(1)[0].status == 400
    assert plane.origins[0].ends == []
    client.send(request(3))
    plane.until(
        lambda: any(kind == DATA and at == 3 for kind, _, at, _ in frames_of(bytes(client.got)))
    )


def test_trailers_that_are_none(plane: Rig) -> None:
    client = begin(plane)
    for stream, trailers in enumerate(
        ([(":path", "/")], [("content-length", "3")], [("X", "1")], [("x", "a\r\nb")])
    ):
        client.send(request(2 * stream + 1, PROXIED, 0))
        plane.until(lambda n=stream: plane.origins[0].heads() > n)
        client.send(frame(HEADERS, 5, 2 * stream + 1, block(trailers)))
        assert reset(plane, client, 2 * stream + 1) == PROTOCOL
    client.send(request(9, PROXIED, 0))
    client.send(frame(HEADERS, END_HEADERS, 9, block([("x", "1")])))  # without the end
    assert reset(plane, client, 9) == PROTOCOL


def test_trailers_do_not_end_a_body_that_is_shorter_than_it_says(plane: Rig) -> None:
    client = begin(plane)
    client.send(request(1, [*PROXIED, ("content-length", "5")], 0) + frame(DATA, 0, 1, b"abc"))
    origin = plane.origin(wanted=b"abc")
    client.send(frame(HEADERS, 5, 1, block([("x-sum", "1")])))
    assert reset(plane, client, 1) == PROTOCOL
    plane.ended(origin)
    served(plane)


def test_heads_over_the_bounds(plane: Rig) -> None:
    client = begin(plane)
    client.send(request(1, [*LOCAL, *((f"x-{n}", "1") for n in range(120))]))
    big = block([*LOCAL, *((f"x-{n}", "y" * 4000) for n in range(17))])
    client.send(frame(HEADERS, END_STREAM, 3, big[:16384]))
    for at in range(16384, len(big), 16384):
        last = at + 16384 >= len(big)
        client.send(frame(CONTINUATION, END_HEADERS if last else 0, 3, big[at : at + 16384]))
    assert [line.status for line in plane.lines(2)] == [431, 431]
    client.send(request(5))
    plane.until(
        lambda: any(kind == DATA and at == 5 for kind, _, at, _ in frames_of(bytes(client.got)))
    )
