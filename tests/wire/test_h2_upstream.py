"""HTTP/2 towards origins: all four combinations of protocols, shared connections, refusals, ends and back-pressure."""

from __future__ import annotations

from collections.abc import Callable

import h2.connection
import h2.errors
import pytest

from tests.wire.h2_client import H2Client
from tests.wire.h2_origin import H2Origin
from tests.wire.plane_rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n"
BIG = bytes(range(256)) * 4000  # a megabyte: more than every window


@pytest.fixture
def h2_rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(route={"h2": True})


def test_an_http1_request_and_its_http2_answer(h2_rig: Rig) -> None:
    client = h2_rig.client(
        b"GET /x?y=1 HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
        b"X-Up: A\r\nTE: gzip\r\nUpgrade: h2c\r\nUser-Agent: t\r\n\r\n"
    )
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    assert asked.fields[:4] == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"a.test"),
        (b":path", b"/x?y=1"),
    ]
    names = [name for name, _ in asked.fields]
    assert not {b"connection", b"x-hop", b"te", b"upgrade", b"host", b"keep-alive"} & set(names)
    assert asked.get(b"x-up") == b"A"
    assert asked.get(b"x-forwarded-for") == b"127.0.0.1"
    assert asked.get(b"via") == b"1.1 pingpy"
    origin.answer(link, asked, b"hello", fields=[("x-down", "B")])
    message = h2_rig.response(client)
    assert message.line.startswith(b"HTTP/1.1 200")
    assert message.body == b"hello"
    assert message.get(b"x-down") == b"B"
    assert message.get(b"via") == b"2.0 pingpy"
    assert h2_rig.lines(1)[0].status == 200


def test_an_answer_that_has_waited_ends_while_the_client_opens_its_window(h2_rig: Rig) -> None:
    client = H2Client(h2_rig)
    client.credit = False
    stream = client.request("/x")
    origin = H2Origin(h2_rig)
    origin.answer(*origin.request(), BIG[:200_000], fields=[("content-length", "200000")])
    h2_rig.settle()
    client.take()
    client.credit = True
    client.h2.acknowledge_received_data(len(client.answers[stream].body), stream)
    client.flush()
    answer = client.answer(stream)
    assert (answer.whole, bytes(answer.body)) == (True, BIG[:200_000])


def test_trailers_both_ways_from_http1(h2_rig: Rig) -> None:
    client = h2_rig.client(
        b"POST /t HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    assert (asked.body, asked.trailers) == (b"hello", [(b"x-sum", b"1")])
    assert asked.get(b"te") == b"trailers"
    origin.answer(link, asked, b"world", trailers=[("x-check", "2")])
    message = h2_rig.response(client)
    assert message.body == b"world"
    assert message.trailers.lower() == b"x-check: 2\r\n"


def test_large_bodies_and_trailers_both_ways_from_http1(h2_rig: Rig) -> None:
    client = h2_rig.client(
        b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(BIG), BIG)
    )
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    assert bytes(asked.body) == BIG
    assert asked.trailers == [(b"x-sum", b"1")]
    origin.answer(link, asked, BIG, trailers=[("x-check", "2")])
    message = h2_rig.response(client)
    assert message.body == BIG
    assert message.trailers.lower() == b"x-check: 2\r\n"


def test_large_bodies_and_trailers_both_ways_from_http2(h2_rig: Rig) -> None:
    client = H2Client(h2_rig)
    origin = H2Origin(h2_rig)
    stream = client.request("/b", method="POST", ends=False, body=b"")

    def pour(sender: h2.connection.H2Connection, number: int, flush: Callable[[], None]) -> None:
        rest = BIG
        while rest:
            room = min(sender.local_flow_control_window(number), 16384)
            if room > 0:
                sender.send_data(number, rest[:room])
                rest = rest[room:]
            flush()
            origin.until(client.take)

    pour(client.h2, stream, client.flush)
    client.h2.send_headers(stream, [("x-sum", "1")], end_stream=True)
    client.flush()
    link, asked = origin.request()
    assert bytes(asked.body) == BIG
    assert asked.trailers == [(b"x-sum", b"1")]
    link.h2.send_headers(asked.stream, [(":status", "200")])
    pour(link.h2, asked.stream, link.flush)
    link.h2.send_headers(asked.stream, [("x-check", "2")], end_stream=True)
    link.flush()
    answer = client.answer(stream)
    assert bytes(answer.body) == BIG
    assert answer.trailers == [(b"x-check", b"2")]


def test_requests_share_a_connection_up_to_its_bound(h2_rig: Rig) -> None:
    origin = H2Origin(h2_rig, max_concurrent_streams=3)
    first = h2_rig.client(GET % 0)
    link, asked = origin.request()
    origin.answer(link, asked)
    assert h2_rig.response(first).body == b"ok"
    clients = [h2_rig.client(GET % number) for number in range(1, 6)]
    origin.until(lambda: sum(len(link.asked) for link in origin.links) == 6)
    origin.move()
    assert [len(link.asked) for link in origin.links] == [4, 2]
    for number in range(1, 6):
        link, asked = origin.request(number)
        origin.answer(link, asked, b"%d" % number)
    bodies = {h2_rig.response(client).body for client in clients}
    assert bodies == {b"%d" % number for number in range(1, 6)}
    assert h2_rig.plane.stats()["upstream_opened"] == 2


def test_requests_that_come_while_the_connection_is_made_share_it(h2_rig: Rig) -> None:
    h2_rig.origins[0].accepting = False
    clients = [h2_rig.client(GET % number) for number in range(5)]
    h2_rig.settle()
    h2_rig.origins[0].accepting = True
    origin = H2Origin(h2_rig)
    for number in range(5):
        origin.answer(*origin.request(number))
    for client in clients:
        assert h2_rig.response(client).body == b"ok"
    assert h2_rig.plane.stats()["upstream_opened"] == 1


def test_a_cap_of_requests_in_flight_holds_for_streams(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(
        route={"h2": True}, peer={"max_connections": 2}, pool={"queue_size": 9, "queue_ms": 5000}
    )
    clients = [rig.client(GET % number) for number in range(4)]
    origin = H2Origin(rig)
    origin.request(1)
    rig.settle()
    origin.move()
    assert sum(len(link.asked) for link in origin.links) == 2
    for number in range(4):
        origin.answer(*origin.request(number))
    for client in clients:
        assert rig.response(client).body == b"ok"


def test_refused_streams_are_sent_again_whatever_the_method(h2_rig: Rig) -> None:
    client = h2_rig.client(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    link.h2.reset_stream(asked.stream, h2.errors.ErrorCodes.REFUSED_STREAM)
    link.flush()
    link, again = origin.request(1)
    assert (again.get(b":path"), bytes(again.body)) == (b"/p", b"abc")
    origin.answer(link, again)
    assert h2_rig.response(client).body == b"ok"
    assert h2_rig.lines(1)[0].retries == 1


def test_a_goaway_lets_finish_what_was_seen_and_sends_the_rest_elsewhere(h2_rig: Rig) -> None:
    clients = [h2_rig.client(GET % 0)]
    origin = H2Origin(h2_rig)
    link, first = origin.request()
    clients.append(h2_rig.client(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"))
    origin.request(1)
    link.h2.close_connection(last_stream_id=first.stream)
    link.flush()
    other, again = origin.request(2)
    assert other is not link
    assert again.get(b":path") == b"/1"
    origin.answer(other, again, b"again")
    assert h2_rig.response(clients[1]).body == b"again"
    # what it had seen is still answered on the old connection, with frames that the library sends no more
    link.end.send(b"\0\0\1\1\4\0\0\0\1\x88" + b"\0\0\2\0\1\0\0\0\1ok")
    assert h2_rig.response(clients[0]).body == b"ok"
    h2_rig.until(lambda: origin.links[0].end.ended)


def test_a_reset_within_the_response_cuts_the_client(h2_rig: Rig) -> None:
    client = h2_rig.client(GET % 0)
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    origin.answer(link, asked, b"half", ends=False)
    h2_rig.until(lambda: b"half" in client.got)
    link.h2.reset_stream(asked.stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
    link.flush()
    h2_rig.ended(client)
    assert b"0\r\n\r\n" not in client.got
    assert h2_rig.lines(1)[0].ending == "upstream_closed"


def test_a_reset_before_the_head_is_a_502(h2_rig: Rig) -> None:
    client = h2_rig.client(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    link.h2.reset_stream(asked.stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
    link.flush()
    assert h2_rig.response(client).line.startswith(b"HTTP/1.1 502")


def test_a_client_that_leaves_cancels_its_stream_and_no_other(h2_rig: Rig) -> None:
    one, two = h2_rig.client(GET % 1), h2_rig.client(GET % 2)
    origin = H2Origin(h2_rig)
    origin.request(1)
    one.reset()
    link = origin.links[0]
    gone = next(a for a in link.asked.values() if a.get(b":path") == b"/1")
    stays = next(a for a in link.asked.values() if a.get(b":path") == b"/2")
    origin.until(lambda: gone.reset == h2.errors.ErrorCodes.CANCEL)
    origin.answer(link, stays)
    assert h2_rig.response(two).body == b"ok"
    h2_rig.clients.remove(one)


def test_an_answer_before_the_request_is_whole(h2_rig: Rig) -> None:
    client = h2_rig.client(
        b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(1000)
    )
    origin = H2Origin(h2_rig)
    link, asked = origin.request(whole=False)
    origin.answer(link, asked, b"too much", status=413)
    link.h2.reset_stream(asked.stream, h2.errors.ErrorCodes.NO_ERROR)
    link.flush()
    h2_rig.until(lambda: b"too much" in client.got)
    assert client.got.startswith(b"HTTP/1.1 413")


def test_an_origin_that_resets_behind_every_answer_keeps_its_connection(h2_rig: Rig) -> None:
    """RFC 9113 8.1 lets it; hundreds of such resets are no flood, because each belongs to a request of ours."""
    origin = H2Origin(h2_rig)
    client = h2_rig.client()
    for number in range(400):
        client.send(b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx" % number)
        link, asked = origin.request(number)
        origin.answer(link, asked)
        link.end.send(b"\0\0\4\3\0" + asked.stream.to_bytes(4, "big") + bytes(4))
        assert h2_rig.response(client).body == b"ok"
        client.take()
    assert h2_rig.plane.stats()["upstream_opened"] == 1


def test_heads_informational_and_bodiless_answers(h2_rig: Rig) -> None:
    client = h2_rig.client(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    link.h2.send_headers(asked.stream, [(":status", "103"), ("link", "</x>")])
    origin.answer(link, asked, None, fields=[("content-length", "5")])
    h2_rig.until(lambda: client.got.endswith(b"\r\n\r\n") and b" 200 " in client.got)
    assert client.take().startswith(b"HTTP/1.1 103")
    client.send(GET % 1)
    origin.answer(*origin.request(1), None, status=204)
    assert h2_rig.response(client).line.startswith(b"HTTP/1.1 204")
    client.take()
    client.send(GET % 2)
    origin.answer(*origin.request(2), None)
    assert h2_rig.response(client).body == b""


BAD_HEADS = [
    [(":status", "200"), ("connection", "close")],
    [(":status", "2000")],
    [("x", "y")],
    [(":status", "200"), ("X-Upper", "y")],
    [(":status", "200"), ("x", "a\r\nb: c")],
    [(":status", "101")],
    [(":status", "200"), ("content-length", "x")],
]


@pytest.mark.parametrize("head", BAD_HEADS)
def test_a_head_that_is_none_is_a_502(h2_rig: Rig, head: list[tuple[str, str]]) -> None:
    client = h2_rig.client(GET % 0)
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    link.h2.config.validate_outbound_headers = False
    link.h2.config.normalize_outbound_headers = False
    block = link.h2.encoder.encode([(n.encode(), v.encode()) for n, v in head])
    link.end.send(len(block).to_bytes(3, "big") + b"\1\5" + asked.stream.to_bytes(4, "big") + block)
    assert h2_rig.response(client).line.startswith(b"HTTP/1.1 502")
    assert h2_rig.lines(1)[0].ending == "bad_response"
    client.take()
    client.send(GET % 1)  # the connection lives on
    origin.answer(*origin.request(1))
    assert h2_rig.response(client).body == b"ok"


@pytest.mark.parametrize("body", [b"1234", b"123456"])
def test_a_body_shorter_or_longer_than_it_said_is_cut(h2_rig: Rig, body: bytes) -> None:
    client = h2_rig.client(GET % 0)
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    link.h2.send_headers(asked.stream, [(":status", "200"), ("content-length", "5")])
    link.h2.send_data(asked.stream, body, end_stream=True)
    link.flush()
    h2_rig.ended(client)
    _, _, came = bytes(client.got).partition(b"\r\n\r\n")
    assert len(came) < 5


def test_an_origin_that_is_late_is_a_504(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"h2": True, "response_ms": 80})
    client = rig.client(GET % 0)
    origin = H2Origin(rig)
    _, asked = origin.request()
    assert rig.response(client).line.startswith(b"HTTP/1.1 504")
    origin.until(lambda: asked.reset == h2.errors.ErrorCodes.CANCEL)


def test_an_idle_connection_is_left_in_order(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"h2": True}, upstream_idle_ms=50)
    client = rig.client(GET % 0)
    origin = H2Origin(rig)
    origin.answer(*origin.request())
    assert rig.response(client).body == b"ok"
    origin.until(lambda: origin.links[0].left == 0 and origin.links[0].end.ended)


def test_an_origin_that_speaks_http1_is_a_502(h2_rig: Rig) -> None:
    client = h2_rig.client(GET % 0)
    end = h2_rig.origin(wanted=b"PRI * HTTP/2.0")
    end.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    assert h2_rig.response(client).line.startswith(b"HTTP/1.1 502")


def test_no_connection_is_a_502(h2_rig: Rig) -> None:
    h2_rig.origins[0].close()
    assert h2_rig.response(h2_rig.client(GET % 0)).line.startswith(b"HTTP/1.1 502")


def test_a_client_that_does_not_read_stops_the_origin(h2_rig: Rig) -> None:
    client = h2_rig.client(GET % 0, receive_buffer=4096)
    client.reading = False
    origin = H2Origin(h2_rig)
    link, asked = origin.request()
    link.h2.send_headers(asked.stream, [(":status", "200")])
    sent = 0
    for _ in range(2000):
        room = min(link.h2.local_flow_control_window(asked.stream), 16384)
        if room > 0:
            link.h2.send_data(asked.stream, bytes(room))
            sent += room
        link.flush()
        h2_rig.move()
        link.move()
    assert sent < 8 << 20
    assert h2_rig.plane.stats()["arena_used_bytes"] < 2 << 20
    other = h2_rig.client(GET % 1)
    origin.answer(*origin.request(1))
    assert h2_rig.response(other).body == b"ok"
    client.reading = True
    origin.send(link, asked, b"end", ends=True)
    h2_rig.until(lambda: client.got.endswith(b"0\r\n\r\n"))
