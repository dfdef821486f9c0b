"""Requests and responses through the plane: framing, order, persistence, and every cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.plane_ends import read_messages
from tests.wire.plane_rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"


def test_a_connection_serves_one_request_after_the_other_over_one_upstream_connection(
    plane: Rig,
) -> None:
    client = plane.client()
    for number in range(3):
        client.send(GET % number)
        origin = plane.origin(wanted=b"GET /%d " % number)
        origin.send(OK)
        assert plane.response(client).body == b"ok"
        client.take()
    assert len(plane.origins[0].ends) == 1
    assert [line.request for line in plane.lines(3)] == [f"GET /{n} HTTP/1.1" for n in range(3)]


def test_hundreds_of_pipelined_requests_are_answered_in_order(plane: Rig) -> None:
    client = plane.client(b"".join(GET % number for number in range(300)))
    for number in range(300):
        origin = plane.origin(wanted=b"GET /%d " % number)
        assert origin.take().count(b"GET ") == 1  # one at a time
        origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%03d" % number)
    found = plane.responses(client, 300)
    assert [message.body for message in found] == [b"%03d" % number for number in range(300)]
    plane.lines(300)


def test_local_and_proxied_answers_keep_their_order(plane: Rig) -> None:
    local = b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n"
    client = plane.client((local * 20 + GET % 1 + local) * 5)
    for _ in range(5):
        plane.origin(wanted=b"GET /1 ").send(OK)
        plane.until(lambda: b"GET" in plane.origins[0].ends[0].take())
    bodies = [message.body for message in plane.responses(client, 110)]
    assert bodies == ([b"here"] * 20 + [b"ok"] + [b"here"]) * 5


def test_two_thousand_local_answers_in_one_packet(plane: Rig) -> None:
    client = plane.client(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n" * 2000)
    assert {message.body for message in plane.responses(client, 2000)} == {b"here"}


POSTS = {
    "length": b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    "chunked": b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
    "trailers": b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"b\r\nhello world\r\n0\r\nX-Sum: 1\r\n\r\n",
}
RESPONSES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nabcde\r\n0\r\nX-Sum: 2\r\n\r\n",
    "informational": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
    "bodiless": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
}


@pytest.mark.parametrize("kind", POSTS)
def test_a_request_cut_at_every_byte(plane: Rig, kind: str) -> None:
    data = POSTS[kind]
    for cut in range(1, len(data)):
        client = plane.client(data[:cut])
        plane.settle(0.002)
        client.send(data[cut:])
        check_post(plane, kind)
        assert plane.response(client).body == b"ok"
        client.close()
    plane.lines(len(data) - 1)


def check_post(plane: Rig, kind: str) -> None:
    origin = plane.origins[0]

    def whole() -> bool:
        return bool(origin.ends and read_messages(bytes(origin.ends[0].got))[0].whole)

    plane.until(lambda: origin.ends and origin.ends[0].got and whole())
    (message,) = read_messages(origin.ends[0].take())
    assert message.body == b"hello world"
    assert message.trailers == (b"X-Sum: 1\r\n" if kind == "trailers" else b"")
    origin.ends[0].send(OK)


@pytest.mark.parametrize("kind", POSTS)
def test_a_request_octet_by_octet(plane: Rig, kind: str) -> None:
    client = plane.client()
    for octet in POSTS[kind]:
        client.send(bytes([octet]))
        plane.move()
        plane.move()
    check_post(plane, kind)
    assert plane.response(client).body == b"ok"


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_response_cut_at_every_byte(plane: Rig, kind: str) -> None:
    data = RESPONSES[kind]
    client = plane.client()
    for cut in range(1, len(data)):
        client.send(GET % cut)
        origin = plane.origin(wanted=b"GET /%d " % cut)
        origin.send(data[:cut])
        plane.settle(0.002)
        origin.send(data[cut:])
        check_response(plane, kind)
    assert len(plane.origins[0].ends) == 1
    plane.lines(len(data) - 1)


def check_response(plane: Rig, kind: str) -> None:
    client = plane.clients[0]
    found = plane.responses(client, 2 if kind == "informational" else 1)
    client.take()
    assert found[0].status == {"informational": 103, "bodiless": 204}.get(kind, 200)
    assert found[-1].body == (b"" if kind == "bodiless" else b"abcde")
    assert found[-1].trailers == (b"X-Sum: 2\r\n" if kind == "trailers" else b"")


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_response_octet_by_octet(plane: Rig, kind: str) -> None:
    plane.client(GET % 1)
    origin = plane.origin()
    for octet in RESPONSES[kind]:
        origin.send(bytes([octet]))
        plane.move()
    check_response(plane, kind)


@pytest.mark.parametrize("data", [OK, CHUNKED_OK, b"HTTP/1.1 200 OK\r\n\r\n"], ids=repr)
def test_head_has_no_body_and_keeps_the_length(plane: Rig, data: bytes) -> None:
    client = plane.client(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    plane.origin().send(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    message = plane.response(client, heads_only=[0])
    assert message.get(b"Content-Length") == (b"2" if data is OK else None)
    assert message.get(b"Transfer-Encoding") is None
    client.send(GET % 2)
    plane.origin(wanted=b"GET /2").send(OK)
    plane.responses(client, 2, heads_only=[0])
    assert len(plane.origins[0].ends) == 1


def test_a_body_after_head_is_not_taken_for_the_next_response(plane: Rig) -> None:
    client = plane.client(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET % 2)
    plane.origin().send(OK)  # wrongly with a body
    plane.origin(1, wanted=b"GET /2").send(OK)
    assert plane.responses(client, 2, heads_only=[0])[1].body == b"ok"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(plane: Rig, status: int) -> None:
    client = plane.client(GET % 1)
    plane.origin().send(b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status)
    message = plane.response(client)
    assert message.get(b"Content-Length") == (b"9" if status == 304 else None)
    client.take()
    client.send(GET % 2)
    plane.origin(wanted=b"GET /2").send(OK)
    assert plane.response(client).body == b"ok"


def test_a_body_that_ends_with_the_connection_is_sent_in_chunks(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    plane.settle()
    origin.send(b"def").close()
    message = plane.response(client)
    assert message.body == b"abcdef"
    assert message.get(b"Transfer-Encoding") == b"chunked"
    client.take()
    client.send(GET % 2)
    plane.origin(1).send(OK)
    assert plane.response(client).body == b"ok"


def test_expect_is_forwarded_and_the_body_waits_for_the_client(plane: Rig) -> None:
    client = plane.client(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    origin = plane.origin()
    assert b"Expect: 100-continue\r\n" in origin.got
    origin.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert plane.response(client).status == 100
    client.send(b"hi")
    plane.until(lambda: origin.got.endswith(b"\r\n\r\nhi"))
    origin.send(OK)
    assert plane.responses(client, 2)[1].body == b"ok"


def test_expect_refused_by_the_origin(plane: Rig) -> None:
    client = plane.client(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    plane.origin().send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
    assert plane.response(client).status == 417
    client.send(b"hi" + GET % 2)  # the body is owed all the same
    plane.origin(1, wanted=b"GET /2").send(OK)
    assert plane.responses(client, 2)[1].body == b"ok"
    plane.lines(2)


def test_an_http_1_0_client_gets_one_answer_and_the_end(plane: Rig) -> None:
    client = plane.client(b"GET / HTTP/1.0\r\n\r\n")
    origin = plane.origin()
    assert b" HTTP/1.1\r\n" in origin.got
    origin.send(b"HTTP/1.1 103 Early\r\n\r\n" + CHUNKED_OK)
    plane.ended(client, "fin")
    message = plane.response(client)
    assert (message.status, message.body) == (200, b"ok")
    assert message.get(b"Transfer-Encoding") is None
    assert message.get(b"Connection") == b"close"


def test_an_http_1_0_client_that_asks_for_it_keeps_its_connection(plane: Rig) -> None:
    client = plane.client()
    for number in range(2):
        client.send(b"GET /%d HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" % number)
        plane.origin(wanted=b"GET /%d" % number).send(OK)
        assert plane.response(client).get(b"Connection") == b"keep-alive"
        client.take()


def test_no_length_means_the_end_even_for_an_http_1_0_client_that_wants_more(plane: Rig) -> None:
    client = plane.client(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    plane.origin().send(CHUNKED_OK)
    plane.ended(client, "fin")
    assert plane.response(client).get(b"Connection") == b"close"


def test_connection_close_of_the_client(plane: Rig) -> None:
    client = plane.client(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" + GET % 2)
    plane.origin().send(OK)
    plane.ended(client)
    assert plane.response(client).get(b"Connection") == b"close"
    plane.lines(1)
    assert plane.origins[0].heads() == 1


def test_connection_close_of_the_origin_is_its_own_affair(plane: Rig) -> None:
    client = plane.client(GET % 1)
    plane.origin().send(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert plane.response(client).get(b"Connection") is None
    client.take()
    client.send(GET % 2)
    plane.origin(1).send(OK)
    assert plane.response(client).body == b"ok"


def test_a_half_closed_client_gets_its_answer(plane: Rig) -> None:
    client = plane.client(GET % 1)
    client.half_close()
    plane.origin().send(OK)
    plane.ended(client, "fin")
    assert plane.response(client).body == b"ok"
    assert plane.lines(1)[0].status == 200


def test_so_many_requests_per_connection(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(keepalive_requests=2)
    client = rig.client(GET % 1 + GET % 2 + GET % 3)
    for number in (1, 2):
        rig.origin(wanted=b"GET /%d" % number).send(OK)
    rig.ended(client)
    found = rig.responses(client, 2)
    assert [message.get(b"Connection") for message in found] == [None, b"close"]
