"""What must never cross the plane: second requests hidden in bodies, fields that are not the client's to send."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.wire.plane_ends import End, Message, read_messages
from tests.wire.plane_rig import LOCAL, Rig
from worker.plane.route import HeaderEdits

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
LOOPBACK = (bytes([127, 0, 0, 0]), 8)


def sent(origin: End) -> Message:
    """The one request that this origin got."""
    (message,) = read_messages(bytes(origin.got))
    assert message.whole
    return message


# ---- CVE-2025-4366: what follows an answer that did not wait for the body


@pytest.mark.parametrize("target", [b"/local", b"/../../etc", b"/large"])
def test_a_body_that_is_a_request_is_never_one(make_rig: Callable[..., Rig], target: bytes) -> None:
    rig = make_rig(built_in=[LOCAL, (b"/large", {"max_body_bytes": 1})])
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (target, len(HIDDEN))
    client = rig.client(head + HIDDEN + GET % 2)
    rig.origin(wanted=b"GET /2 ").send(OK)
    assert rig.responses(client, 2)[1].body == b"ok"
    assert [line.request for line in rig.lines(2)] == [
        f"POST {target.decode()} HTTP/1.1",
        "GET /2 HTTP/1.1",
    ]
    assert b"hidden" not in rig.origins[0].ends[0].got


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_the_same_in_pieces_and_in_chunks(plane: Rig, step: int) -> None:
    chunk = b"%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(HIDDEN), HIDDEN)
    data = b"POST /local HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
    client = plane.client()
    for at in range(0, len(data), step):
        client.send(data[at : at + step])
        plane.move()
    client.send(GET % 2)
    plane.origin(wanted=b"GET /2 ").send(OK)
    assert [message.body for message in plane.responses(client, 2)] == [b"here", b"ok"]
    plane.lines(2)


def test_a_body_that_nobody_wants_is_read_only_so_far(plane: Rig) -> None:
    client = plane.client(b"POST /local HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n")
    client.send(b"x" * 3000000)
    plane.ended(client)
    assert plane.response(client).status == 200
    plane.lines(1)


def test_a_bad_chunk_in_a_body_that_nobody_wants_ends_the_connection(plane: Rig) -> None:
    client = plane.client(b"POST /local HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    plane.response(client)
    client.send(b"zz\r\n" + HIDDEN)
    plane.ended(client)
    plane.lines(1)
    assert plane.origins[0].ends == []


def test_an_answer_of_the_origin_before_it_read_the_body(plane: Rig) -> None:
    head = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
    client = plane.client(head + HIDDEN[:10])
    origin = plane.origin()
    origin.send(OK)
    plane.response(client)
    client.send(HIDDEN[10:] + GET % 2)
    plane.origin(1, wanted=b"GET /2 ").send(OK)
    plane.responses(client, 2)
    plane.ended(origin)  # it waits for the rest of a body: not to be used again
    plane.lines(2)
    assert len(plane.origins[0].ends) == 2


# ---- CVE-2026-2833: Upgrade is nothing until the origin agrees


@pytest.mark.parametrize("protocol", [b"websocket", b"foo", b"h2c"])
def test_upgrade_is_dropped_and_the_body_keeps_its_frame(plane: Rig, protocol: bytes) -> None:
    head = b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: %b\r\n"
    head += b"HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: %d\r\n\r\n"
    client = plane.client(head % (protocol, len(HIDDEN)) + HIDDEN)
    origin = plane.origin(wanted=HIDDEN)
    message = sent(origin)
    assert message.body == HIDDEN
    for name in (b"Upgrade", b"Connection", b"HTTP2-Settings"):
        assert message.get(name) is None
    origin.send(OK)
    plane.response(client)
    client.send(HIDDEN)
    plane.until(lambda: origin.got.count(b"GET /hidden") == 2)
    assert len(read_messages(bytes(origin.got))) == 2  # the second one is a request of its own
    origin.send(OK)
    plane.lines(2)


def test_an_origin_that_switches_unasked_is_refused(plane: Rig) -> None:
    client = plane.client(
        b"GET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"
    )
    plane.origin().send(b"HTTP/1.1 101 Switching\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n")
    assert plane.response(client).status == 502
    assert plane.lines(1)[0].ending == "bad_response"


# ---- CVE-2026-105299 and the fields that are ours

NOMINATING = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For, X-Forwarded-Proto, via, X-Request-Id,"
    b" X-Private\r\nX-Private: 1\r\nX-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n"
    b"X-Request-Id: mine\r\n\r\n"
)


@pytest.mark.parametrize("trusted", [(), (LOOPBACK,)])
def test_nominated_fields_go_before_ours_come(
    make_rig: Callable[..., Rig], trusted: tuple[tuple[bytes, int], ...]
) -> None:
    rig = make_rig(trusted=trusted)
    rig.client(NOMINATING)
    message = sent(rig.origin())
    assert message.get(b"X-Forwarded-For") == b"127.0.0.1"
    assert message.get(b"X-Forwarded-Proto") == b"http"
    assert message.get(b"X-Private") is None
    assert message.get(b"Connection") is None
    assert message.get(b"Via") == b"1.1 pingpy"
    assert message.get(b"X-Request-Id")


FORWARDED = (
    b"GET /f HTTP/1.1\r\nHost: site.test\r\nX-Forwarded-For: 8.8.8.8, 127.9.9.9\r\n"
    b"X-Forwarded-For: 127.0.0.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer.test\r\n"
    b"Forwarded: for=8.8.8.8\r\nVia: 1.1 front\r\nX-Request-Id: id-7\r\n\r\n"
)


def test_what_a_stranger_says_of_the_way_is_replaced(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(trusted=[(bytes([10, 0, 0, 0]), 8)])
    rig.client(FORWARDED)
    origin = rig.origin()
    message = sent(origin)
    assert message.getlist(b"X-Forwarded-For") == [b"127.0.0.1"]
    assert message.getlist(b"X-Forwarded-Proto") == [b"http"]
    assert message.getlist(b"X-Forwarded-Host") == [b"site.test"]
    assert message.getlist(b"Forwarded") == []
    assert message.getlist(b"Via") == [b"1.1 front", b"1.1 pingpy"]
    assert message.get(b"X-Request-Id") == b"id-7"
    origin.send(OK)
    assert rig.lines(1)[0].client == "127.0.0.1"


def test_what_a_trusted_proxy_says_is_extended(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(trusted=[LOOPBACK])
    rig.client(FORWARDED)
    origin = rig.origin()
    message = sent(origin)
    assert message.get(b"X-Forwarded-For") == b"8.8.8.8, 127.9.9.9, 127.0.0.7, 127.0.0.1"
    assert message.get(b"X-Forwarded-Proto") == b"https"
    assert message.get(b"X-Forwarded-Host") == b"outer.test"
    assert message.get(b"Forwarded") == b"for=8.8.8.8, for=127.0.0.1;proto=http"
    origin.send(OK)
    assert rig.lines(1)[0].client == "8.8.8.8"  # right to left, past those who are trusted


@pytest.mark.parametrize(
    ("value", "client"),
    [
        (b"1.2.3.4, junk", "127.0.0.1"),
        (b"2001:db8::1", "2001:db8::1"),
        (b"127.0.0.2", "127.0.0.2"),
        (b"", "127.0.0.1"),
        (b"5.6.7.8:1234", "5.6.7.8"),
        (b"[2001:db8::2]:80, 127.0.0.3", "2001:db8::2"),
    ],
)
def test_the_clients_address_is_read_right_to_left(
    make_rig: Callable[..., Rig], value: bytes, client: str
) -> None:
    rig = make_rig(trusted=[LOOPBACK])
    rig.client(b"GET /local HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + value + b"\r\n\r\n")
    assert rig.lines(1)[0].client == client


@pytest.mark.parametrize(
    ("target", "line"),
    [
        (b"http://right.test/p?q", b"GET /p?q HTTP/1.1"),
        (b"http://right.test", b"GET / HTTP/1.1"),
        (b"http://right.test?q", b"GET /?q HTTP/1.1"),
    ],
)
def test_absolute_form_wins_over_host(plane: Rig, target: bytes, line: bytes) -> None:
    plane.client(b"GET %b HTTP/1.1\r\nHost: wrong.test\r\n\r\n" % target)
    message = sent(plane.origin())
    assert message.line == line
    assert message.get(b"Host") == b"right.test"
    assert message.get(b"X-Forwarded-Host") == b"right.test"


def test_options_for_the_whole_server(plane: Rig) -> None:
    plane.client(b"OPTIONS http://right.test HTTP/1.1\r\nHost: a\r\n\r\n")
    assert sent(plane.origin()).line == b"OPTIONS * HTTP/1.1"  # RFC 9112 3.2.4


def test_an_http_1_0_request_without_host(plane: Rig) -> None:
    plane.client(b"GET / HTTP/1.0\r\n\r\n")
    message = sent(plane.origin())
    assert message.get(b"Host") == b""
    assert message.get(b"Via") == b"1.0 pingpy"


@pytest.mark.parametrize(
    "length", [b"Content-Length: 2\r\nContent-Length: 2", b"content-length: 2"]
)
def test_exactly_one_length_goes_up(plane: Rig, length: bytes) -> None:
    plane.client(b"PUT / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\nhi" % length)
    assert sent(plane.origin(wanted=b"hi")).get(b"Content-Length") == b"2"


REFUSED = {
    b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n": 501,
    b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n": 405,
    b"GET / HTTP/1.2\r\nHost: a\r\n\r\n": 505,
    b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n": 414,
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70000 + b"\r\n\r\n": 431,
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n": 431,
}


@pytest.mark.parametrize("data", REFUSED, ids=range(len(REFUSED)))
def test_a_refused_head_is_answered_logged_and_the_end(plane: Rig, data: bytes) -> None:
    client = plane.client(data + HIDDEN)
    plane.ended(client)
    message = plane.response(client)
    assert message.status == REFUSED[data]
    assert message.get(b"Connection") == b"close"
    (line,) = plane.lines(1)
    assert (line.status, line.ending) == (REFUSED[data], "bad_request")
    assert line.request.startswith(data[:12].decode())
    assert plane.origins[0].ends == []


def test_our_own_errors_have_the_changes_of_proxy_and_their_size_in_the_log(
    make_rig: Callable[..., Rig],
) -> None:
    edits = HeaderEdits([b"server"], b"X-Served-By: edge-1\r\n")
    rig = make_rig(origins=0, route={"response_edits": edits}, log="$status $body_bytes_sent")
    for data, status in (
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 503),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        (b"GET /../.. HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ):
        message = rig.response(rig.client(data))
        assert (message.status, message.get(b"X-Served-By")) == (status, b"edge-1")
        assert message.get(b"Server") is None
        assert message.body
        rig.log.write_out()
        text = Path(f"/proc/self/fd/{rig.log_file.fileno()}").read_text()
        assert text.splitlines()[-1] == f"{status} {len(message.body)}"


def test_a_refused_head_after_good_requests(plane: Rig) -> None:
    client = plane.client(GET % 1 + b"BAD\r\n\r\n" + HIDDEN)
    plane.origin().send(OK)
    plane.ended(client)
    assert [message.status for message in plane.responses(client, 2)] == [200, 400]
    assert plane.origins[0].heads() == 1
