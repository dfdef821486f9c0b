"""HTTP/2 fields as HTTP/1.1 text: what is refused, and that nothing but the fields can come out of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.plane.h1_doors import read_head
from worker.plane.h2_doors import as_text

Fields = list[tuple[bytes, bytes]]
GET: Fields = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":path", b"/a?b"),
    (b":authority", b"a.test"),
]


def without(name: bytes) -> Fields:
    return [field for field in GET if field[0] != name]


def given_as(name: bytes, value: bytes) -> Fields:
    return [(n, value if n == name else v) for n, v in GET]


REFUSED: dict[str, tuple[Fields, int]] = {
    "upper case": ([*GET, (b"X-A", b"1")], 400),
    "empty name": ([*GET, (b"", b"1")], 400),
    "name with a space": ([*GET, (b"x a", b"1")], 400),
    "name with a colon": ([*GET, (b"x:a", b"1")], 400),
    "name with CRLF": ([*GET, (b"x\r\ny", b"1")], 400),
    "name with NUL": ([*GET, (b"x\0", b"1")], 400),
    "8-bit name": ([*GET, (b"x\xe9", b"1")], 400),
    "value with CR": ([*GET, (b"x", b"1\r2")], 400),
    "value with LF": ([*GET, (b"x", b"1\n2")], 400),
    "value with CRLF and a field": ([*GET, (b"x", b"1\r\nhost: b")], 400),
    "value with NUL": ([*GET, (b"x", b"1\x002")], 400),
    "value with a control octet": ([*GET, (b"x", b"1\x1f2")], 400),
    "value with a leading space": ([*GET, (b"x", b" 1")], 400),
    "value with a trailing tab": ([*GET, (b"x", b"1\t")], 400),
    "value of one space": ([*GET, (b"x", b" ")], 400),
    "connection": ([*GET, (b"connection", b"close")], 400),
    "keep-alive": ([*GET, (b"keep-alive", b"5")], 400),
    "proxy-connection": ([*GET, (b"proxy-connection", b"close")], 400),
    "transfer-encoding": ([*GET, (b"transfer-encoding", b"chunked")], 400),
    "upgrade": ([*GET, (b"upgrade", b"h2c")], 400),
    "te": ([*GET, (b"te", b"gzip")], 400),
    "unknown pseudo-field": ([*GET, (b":x", b"1")], 400),
    "nothing but the colon": ([*GET, (b":", b"1")], 400),
    "repeated pseudo-field": ([*GET, (b":path", b"/b")], 400),
    "late pseudo-field": ([*without(b":path"), (b"x", b"1"), (b":path", b"/")], 400),
    ":status in a request": ([*GET, (b":status", b"200")], 400),
    ":protocol without CONNECT": ([*GET, (b":protocol", b"websocket")], 400),
    "no method": (without(b":method"), 400),
    "no scheme": (without(b":scheme"), 400),
    "no path": (without(b":path"), 400),
    "empty path": (given_as(b":path", b""), 400),
    "empty method": (given_as(b":method", b""), 400),
    "another scheme": (given_as(b":scheme", b"ftp"), 400),
    "scheme in upper case": (given_as(b":scheme", b"HTTPS"), 400),
    "path without a slash": (given_as(b":path", b"a"), 400),
    "absolute path": (given_as(b":path", b"http://a/"), 400),
    "path with a space": (given_as(b":path", b"/ HTTP/1.1"), 400),
    "path with CRLF": (given_as(b":path", b"/ HTTP/1.1\r\nhost: b\r\n\r\nGET /"), 400),
    "path with a fragment": (given_as(b":path", b"/#a"), 400),
    "8-bit path": (given_as(b":path", b"/\xe9"), 400),
    "method with a space": (given_as(b":method", b"GET /"), 400),
    "method that is no token": (given_as(b":method", b"G(T"), 400),
    "authority with a space": (given_as(b":authority", b"a b"), 400),
    "authority with CRLF": (given_as(b":authority", b"a\r\nx: y"), 400),
    "authority and another Host": ([*GET, (b"host", b"b.test")], 400),
    "CONNECT": ([(b":method", b"CONNECT"), (b":authority", b"a.test:443")], 405),
    "CONNECT for something else": (
        [(b":method", b"CONNECT"), (b":protocol", b"connect-udp"), *GET[1:]],
        405,
    ),
    "no room": ([*GET, (b"x", b"1" * 5000)], 431),
}


@pytest.mark.parametrize(("fields", "status"), REFUSED.values(), ids=REFUSED)
def test_refused(fields: Fields, status: int) -> None:
    answer = as_text(fields)
    assert answer[0] == status
    assert answer[1]


ACCEPTED: dict[str, tuple[Fields, bytes]] = {
    "plain": (GET, b"GET /a?b HTTP/1.1\r\nhost: a.test\r\n\r\n"),
    "fields": (
        [*GET, (b"x-a", b"1"), (b"accept", b"a, b"), (b"x-a", b"")],
        b"GET /a?b HTTP/1.1\r\nhost: a.test\r\nx-a: 1\r\naccept: a, b\r\nx-a: \r\n\r\n",
    ),
    "Host instead": (
        [*without(b":authority"), (b"host", b"b.test")],
        b"GET /a?b HTTP/1.1\r\nhost: b.test\r\n\r\n",
    ),
    "Host as well": (
        [*GET, (b"x", b"y"), (b"host", b"A.test")],
        b"GET /a?b HTTP/1.1\r\nhost: a.test\r\nx: y\r\n\r\n",
    ),
    "cookies": (
        [*GET, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c")],
        b"GET /a?b HTTP/1.1\r\nhost: a.test\r\ncookie: a=1; b=2; c\r\nx: y\r\n\r\n",
    ),
    "te: trailers": (
        [*GET, (b"te", b"trailers")],
        b"GET /a?b HTTP/1.1\r\nhost: a.test\r\nte: trailers\r\n\r\n",
    ),
    "8-bit value": (
        [*GET, (b"x", b"\xe9 \xff")],
        b"GET /a?b HTTP/1.1\r\nhost: a.test\r\nx: \xe9 \xff\r\n\r\n",
    ),
    "OPTIONS *": (
        [(b":method", b"OPTIONS"), *given_as(b":path", b"*")[1:]],
        b"OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n",
    ),
}


@pytest.mark.parametrize(("fields", "text"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(fields: Fields, text: bytes) -> None:
    assert as_text(fields) == (text, True, False)
    assert read_head(text)["result"] == len(text)


def test_the_scheme_is_told() -> None:
    assert as_text(given_as(b":scheme", b"http"))[1:] == (False, False)


def test_extended_connect_becomes_get() -> None:
    fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]]
    assert as_text(fields) == (b"GET /a?b HTTP/1.1\r\nhost: a.test\r\n\r\n", True, True)


def test_responses() -> None:
    text = b"HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n"
    assert as_text([(b":status", b"204"), (b"server", b"x")], "response")[0] == text
    assert read_head(text, response=True)["status"] == 204


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [(b"server", b"x")],
        [(b":status", b"20")],
        [(b":status", b"2000")],
        [(b":status", b"+20")],
        [(b":status", b"200"), (b":status", b"200")],
        [(b":status", b"200"), (b":path", b"/")],
        [(b"x", b"y"), (b":status", b"200")],
        [(b":status", b"200"), (b"connection", b"close")],
        [(b":status", b"200"), (b"X", b"y")],
        [(b":status", b"200"), (b"x", b"a\r\nb")],
    ],
)
def test_refused_responses(fields: Fields) -> None:
    assert as_text(fields, "response")[0] == 502


def test_trailers() -> None:
    assert (
        as_text([(b"grpc-status", b"0"), (b"x", b"")], "trailers")[0]
        == b"grpc-status: 0\r\nx: \r\n"
    )
    assert as_text([], "trailers")[0] == b""
    for fields in (
        [(b":status", b"200")],
        [(b"content-length", b"1")],
        [(b"host", b"a")],
        [(b"X", b"y")],
        [(b"x", b"\n")],
    ):
        assert as_text(fields, "trailers")[0] == 400


OCTETS = st.one_of(
    st.sampled_from(
        [b"", b"a", b"host", b":path", b"/", b"GET", b"cookie", b"te", b"x-a", b"\r\n", b" "]
    ),
    st.binary(max_size=8),
)


@given(st.lists(st.tuples(OCTETS, OCTETS), max_size=6), st.booleans())
def test_nothing_can_be_smuggled(fields: Fields, good: bool) -> None:
    fields = [*GET, *fields] if good else fields
    answer = as_text(fields)
    if isinstance(answer[0], int):
        return
    head = read_head(answer[0])
    if head["result"] < 0:
        return  # one form has one judge: what the fields do not decide, the scanner does
    assert head["result"] == len(answer[0])
    sent = {name: value for name, value in fields if name.startswith(b":")}
    assert head["method"] == sent[b":method"]
    assert head["target"] == sent[b":path"]
    lines = [
        (field["name"], field["value"])
        for field in head["fields"]
        if field["name"] not in (b"host", b"cookie")
    ]
    assert lines == [
        field
        for field in fields
        if not field[0].startswith(b":") and field[0] not in (b"host", b"cookie")
    ]
