"""The HTTP client's engine: bytes in, a response or an error out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pingpy.client import MAX_FIELDS, MAX_HEAD_BYTES, Http1Engine, split_address
from pingpy.errors import BadResponse, UpstreamClosed
from pingpy.http import Headers


def engine(method="GET", *, max_body_bytes=100, body=b"", headers=()):
    return Http1Engine(method, "/healthz", Headers(headers), body, max_body_bytes)


def answer(data, *, method="GET", max_body_bytes=100, closed=False, cut=None):
    asked = engine(method, max_body_bytes=max_body_bytes)
    for piece in [data] if cut is None else [data[:cut], data[cut:]]:
        assert asked.receive(piece) == b""
    if closed:
        asked.end_of_input()
    return asked.response


def test_the_request_is_framed_here():
    asked = engine("POST", body=b"abc", headers=[("Host", "a"), ("Content-Length", "99")])
    assert asked.opening() == (
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert b"Content-Length" not in engine().opening()
    assert b"Content-Length: 0\r\n" in engine("POST").opening()


COMPLETE = [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
    (b"HTTP/1.1 204 No\r\n\r\n", 204, b"", False),
    (b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", 304, b"", False),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: v\r\n\r\n",
        200,
        b"hi",
        False,
    ),
    (b"HTTP/1.0 200 OK\r\n\r\nuntil close", 200, b"until close", True),
    (
        b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n"
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        500,
        b"",
        False,
    ),
]


@pytest.mark.parametrize(("data", "status", "body", "closed"), COMPLETE)
def test_a_complete_response_however_it_is_cut(data, status, body, closed):
    for cut in range(len(data) + 1):
        response = answer(data, closed=closed, cut=cut)
        assert (response.status, response.body, response.truncated) == (status, body, False)
        assert "x" not in response.headers
        assert "t" not in response.headers


def test_a_head_response_has_no_body_whatever_its_length_says():
    response = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method="HEAD")
    assert (response.status, response.body) == (200, b"")


def test_bytes_after_the_end_are_not_looked_at():
    response = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxGARBAGE\0\0")
    assert response.body == b"x"
    response = answer(b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nhi")
    assert response.status == 204


def test_white_space_behind_a_value_is_dropped():
    response = answer(b"HTTP/1.1 204 No\r\nX:  a b \t\r\n\r\n")
    assert response.headers.get("x") == b"a b"


def test_a_long_body_is_cut_and_said_to_be():
    response = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n0123456789", max_body_bytes=4)
    assert (response.body, response.truncated) == (b"0123", True)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", b"HTT"])
def test_a_close_in_the_middle_is_an_error(data):
    with pytest.raises(UpstreamClosed):
        answer(data, closed=True)


def test_a_chunked_body_cut_short_is_an_error():
    with pytest.raises(UpstreamClosed):
        answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi", closed=True)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MAX_FIELDS + 2),
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * MAX_HEAD_BYTES,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD_BYTES // 25 + 1),
    ],
)
def test_what_is_not_a_bounded_response_is_refused(data):
    asked = engine()

    def feed():
        for start in range(0, len(data), 4096):
            asked.receive(data[start : start + 4096])

    with pytest.raises(BadResponse):
        feed()


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_give_a_response_or_a_known_error(data, cut):
    asked = engine()
    try:
        asked.receive(b"HTTP/1.1 200 OK\r\n" + data[:cut])
        asked.receive(data[cut:])
        asked.end_of_input()
    except (BadResponse, UpstreamClosed):
        return
    assert asked.response is not None


def test_addresses_are_split():
    assert split_address("192.0.2.1:80") == ("192.0.2.1", 80)
    assert split_address("[2001:db8::1]:8080") == ("2001:db8::1", 8080)
    for bad in ("192.0.2.1", "a:0", "a:70000", "a:x", ""):
        with pytest.raises(ValueError, match="not an address"):
            split_address(bad)
