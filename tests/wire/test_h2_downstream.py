"""HTTP/2 clients by prior knowledge: requests and responses of every form, through an HTTP/1.1 origin."""

from __future__ import annotations

from collections.abc import Callable

import h2.settings
import hpack
import pytest

from tests.wire.h2_client import PREFACE, Answer, H2Client, frame, frames_of
from tests.wire.plane_ends import read_head, read_messages
from tests.wire.plane_rig import Rig

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_a_request_and_its_answer(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request(
        "/x?y=1", fields=[("user-agent", "test"), ("cookie", "a=1"), ("cookie", "b=2")]
    )
    origin = plane.origin()
    split = read_head(bytes(origin.got))
    assert split is not None
    message, rest = split
    assert message.line == b"GET /x?y=1 HTTP/1.1"
    assert rest == b""
    assert message.get(b"host") == b"a.test"
    assert message.get(b"cookie") == b"a=1; b=2"
    assert message.get(b"via") == b"2.0 pingpy"
    assert message.get(b"x-forwarded-for") == b"127.0.0.1"
    origin.send(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\nConnection: x-two\r\nX-Two: 2\r\n\r\nok"
    )
    answer = client.answer(stream)
    assert (answer.status, bytes(answer.body), answer.reset) == (200, b"ok", None)
    assert answer.get(b"content-length") == b"2"
    assert answer.get(b"x-one") == b"1"
    assert answer.get(b"x-two") is None
    assert answer.get(b"via") == b"1.1 pingpy"
    assert plane.lines(1)[0].request == "GET /x?y=1 HTTP/2.0"


def test_a_local_answer(plane: Rig) -> None:
    client = H2Client(plane)
    for _ in range(3):
        answer = client.get("/local")
        assert (answer.status, bytes(answer.body)) == (200, b"here")
    assert client.get("/local", method="HEAD").body == b""


def test_a_preface_in_pieces(plane: Rig) -> None:
    client = H2Client(plane, start=False)
    client.h2.initiate_connection()
    client.h2.send_headers(
        1, [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/local")], True
    )
    client.answers[1] = Answer()
    for octet in client.h2.data_to_send():
        client.end.send(bytes([octet]))
        plane.move()
    assert client.answer(1).status == 200


def test_many_streams_at_once(plane: Rig) -> None:
    client = H2Client(plane)
    streams = [client.request(f"/{n}") for n in range(100)]
    plane.until(lambda: plane.origins[0].heads() == 100)
    for end in reversed(plane.origins[0].ends):
        path = bytes(end.got).split(b" ")[1]
        end.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path)
    for number, stream in enumerate(streams):
        assert bytes(client.answer(stream).body) == b"/%d" % number
    assert client.h2.remote_settings.max_concurrent_streams == 100
    lines = plane.lines(100)
    assert {line.status for line in lines} == {200}


def test_more_streams_than_allowed_are_refused(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(streams=3)
    client = H2Client(rig)
    streams = [client.request(f"/{n}") for n in range(3)]
    # before the settings were looked at, a client may ask for more
    extra = client.request("/4")
    assert client.answer(extra).reset == 7
    rig.until(lambda: rig.origins[0].heads() == 3)
    for end in rig.origins[0].ends:
        end.send(OK)
    for stream in streams:
        assert client.answer(stream).status == 200
    again = client.request("/5")
    rig.origins[0].ends[0].take()
    rig.until(lambda: any(b"/5" in bytes(end.got) for end in rig.origins[0].ends))
    next(end for end in rig.origins[0].ends if b"/5" in bytes(end.got)).send(OK)
    assert client.answer(again).status == 200


@pytest.mark.parametrize("size", [0, 1, 16384, 65535, 65536, 300000, 2000000])
def test_a_request_body_of_known_length(plane: Rig, size: int) -> None:
    body = bytes(n * 7 & 0xFF for n in range(size))
    client = H2Client(plane)
    stream = client.request(method="POST", fields=[("content-length", str(size))], body=body)
    origin = plane.origin()
    plane.until(lambda: read_messages(bytes(origin.got))[0].whole)
    message = read_messages(bytes(origin.got))[0]
    assert message.get(b"content-length") == b"%d" % size
    assert message.body == body
    origin.send(OK)
    assert client.answer(stream).status == 200


@pytest.mark.parametrize("size", [0, 1, 100000, 1000000])
def test_a_request_body_of_unknown_length_with_trailers(plane: Rig, size: int) -> None:
    body = bytes(n * 7 & 0xFF for n in range(size))
    client = H2Client(plane)
    stream = client.request(method="POST", body=body, trailers=[("x-sum", "12")])
    origin = plane.origin()
    plane.until(lambda: read_messages(bytes(origin.got))[0].whole)
    message = read_messages(bytes(origin.got))[0]
    assert message.get(b"transfer-encoding") == b"chunked"
    assert message.body == body
    assert message.trailers == b"x-sum: 12\r\n"
    origin.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Back: 3\r\n\r\n"
    )
    answer = client.answer(stream)
    assert (bytes(answer.body), answer.trailers) == (b"ok", [(b"x-back", b"3")])


def test_a_body_that_was_announced_and_is_empty(plane: Rig) -> None:
    """The end comes while there is no connection to the origin yet, or right behind the head."""
    client = H2Client(plane)
    for number in range(2):
        stream = client.request("/x", method="POST", body=b"")
        origin = plane.origin(wanted=b"\r\n\r\n0\r\n\r\n")
        assert origin.take().endswith(b"\r\n\r\n0\r\n\r\n"), number
        origin.send(OK)
        assert client.answer(stream).status == 200


def test_trailers_behind_a_counted_body_do_not_break_its_framing(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request(
        method="POST", fields=[("content-length", "3")], body=b"abc", trailers=[("x-sum", "1")]
    )
    origin = plane.origin(wanted=b"abc").send(OK)
    assert client.answer(stream).status == 200
    again = client.request("/2")
    plane.until(lambda: b"/2" in bytes(origin.got))
    assert b"abcGET /2 HTTP/1.1\r\n" in bytes(origin.got)
    origin.send(OK)
    assert client.answer(again).status == 200


@pytest.mark.parametrize("size", [0, 1, 1024, 4097, 65535, 65536, 1000000, 5000000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_response_body(plane: Rig, size: int, chunked: bool) -> None:
    body = bytes(n * 7 & 0xFF for n in range(size))
    client = H2Client(plane)
    stream = client.request()
    origin = plane.origin()
    if chunked:
        payload = b"".join(
            b"%x\r\n%b\r\n" % (len(body[at : at + 30000]), body[at : at + 30000])
            for at in range(0, size, 30000)
        )
        origin.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + payload + b"0\r\n\r\n"
        )
    else:
        origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body)
    answer = client.answer(stream)
    assert (answer.status, answer.whole, answer.reset) == (200, True, None)
    assert bytes(answer.body) == body
    assert answer.get(b"content-length") == (None if chunked else b"%d" % size)
    assert plane.lines(1)[0].ending == "ok"


def test_a_body_until_close(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request()
    origin = plane.origin()
    origin.send(b"HTTP/1.0 200 OK\r\n\r\nabc")
    plane.settle()
    origin.close()
    answer = client.answer(stream)
    assert (bytes(answer.body), answer.whole) == (b"abc", True)


def test_a_response_cut_short_is_reset(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request()
    origin = plane.origin().send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    plane.settle()
    origin.close()
    answer = client.answer(stream)
    assert (answer.whole, answer.reset) == (False, 2)
    assert client.get("/local").status == 200


@pytest.mark.parametrize(
    ("method", "head", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"1000"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"9"),
    ],
)
def test_responses_without_a_body(
    plane: Rig, method: str, head: bytes, length: bytes | None
) -> None:
    client = H2Client(plane)
    stream = client.request(method=method)
    plane.origin().send(head)
    answer = client.answer(stream)
    assert (answer.whole, bytes(answer.body)) == (True, b"")
    assert answer.get(b"content-length") == length


def test_informational_responses_pass(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request(method="POST", fields=[("expect", "100-continue")], ends=False)
    origin = plane.origin()
    assert b"expect: 100-continue" in bytes(origin.got).lower()
    origin.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    plane.until(lambda: client.take() and client.answers[stream].informational)
    client.send(stream, b"abc", ends=True)
    plane.origin(wanted=b"3\r\nabc\r\n0\r\n\r\n").send(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
    )
    answer = client.answer(stream)
    statuses = [dict(fields)[b":status"] for fields in answer.informational]
    assert statuses == [b"100", b"103"]
    assert answer.status == 200


def test_an_answer_before_the_body_was_sent(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request("/local", method="POST", ends=False)
    answer = client.answer(stream)
    assert (answer.status, answer.whole) == (200, True)
    plane.until(lambda: client.take() and client.answers[stream].reset == 0)
    # what was on its way is taken and thrown away
    client.raw(frame(0, 0, stream, bytes(1000)))
    assert client.get("/local").status == 200


def test_a_client_that_cancels(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request()
    origin = plane.origin()
    client.h2.reset_stream(stream, 8)
    client.flush()
    plane.ended(origin)
    assert plane.lines(1)[0].status == 499
    assert client.get("/local").status == 200


def test_errors_of_ours(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"max_body_bytes": 10})
    rig.origins[0].close()
    client = H2Client(rig)
    answer = client.get("/", method="POST", fields=[("content-length", "11")], body=b"x" * 11)
    assert (answer.status, answer.get(b"content-type")) == (413, b"text/plain; charset=utf-8")
    answer = client.get("/")
    assert answer.status == 502
    assert [line.status for line in rig.lines(2)] == [413, 502]


def test_a_slow_reader_stops_the_origin(plane: Rig) -> None:
    client = H2Client(plane, window=0)
    streams = [client.request(f"/{n}") for n in range(20)]
    plane.until(lambda: plane.origins[0].heads() == 20)
    size = 4 << 20
    for end in plane.origins[0].ends:
        end.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    plane.settle(0.1)
    used = plane.plane.stats()["arena_used_bytes"] - plane.baseline
    assert used < 20 * (300 << 10) + (1 << 20)
    assert client.get("/local", method="HEAD").status == 200
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20})
    client.h2.increment_flow_control_window(1 << 24)
    client.flush()
    for stream in streams:
        assert len(client.answer(stream).body) == size


def test_a_slow_origin_stops_the_client(plane: Rig) -> None:
    client = H2Client(plane)
    stream = client.request(method="POST", ends=False)
    origin = plane.origin()
    origin.reading = False
    sent = 0
    for _ in range(2000):
        room = min(client.h2.local_flow_control_window(stream), 16384)
        if room <= 0:
            before = sent
            plane.settle(0.02)
            client.take()
            if client.h2.local_flow_control_window(stream) <= 0 and before == sent:
                break
            continue
        client.h2.send_data(stream, bytes(room))
        client.flush()
        sent += room
    assert plane.plane.stats()["arena_used_bytes"] - plane.baseline < 2 << 20
    origin.reading = True
    client.send(stream, b"end", ends=True)
    plane.origin(wanted=b"0\r\n\r\n").send(OK)
    assert client.answer(stream).status == 200


def test_streams_share_a_small_window_fairly(plane: Rig) -> None:
    client = H2Client(plane, credit=False)
    streams = [client.request(f"/{n}") for n in range(4)]
    plane.until(lambda: plane.origins[0].heads() == 4)
    for end in plane.origins[0].ends:
        end.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(200000))
    plane.settle(0.05)
    client.take()
    before = {stream: len(client.answers[stream].body) for stream in streams}
    for _ in range(16):
        client.h2.increment_flow_control_window(8192)
        for stream in streams:
            client.h2.increment_flow_control_window(16384, stream)
        client.flush()
        plane.settle(0.01)
        client.take()
    gained = [len(client.answers[stream].body) - before[stream] for stream in streams]
    assert sum(gained) + sum(before.values()) == 65535 + 16 * 8192
    assert max(gained) - min(gained) <= 65536


def test_draining_takes_two_goaways(plane: Rig) -> None:
    client = H2Client(plane)
    under_way = client.request("/1")
    origin = plane.origin()
    plane.plane.drain(150)
    plane.until(lambda: client.take() and client.goaways)
    assert client.goaways[0] == (0, 0x7FFFFFFF)
    # h2 itself opens no stream after a GOAWAY, so this one is on its way already
    block = hpack.Encoder().encode(
        [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/local")]
    )
    raw = lambda: frames_of(bytes(client.end.got))  # noqa: E731
    client.raw(frame(1, 5, 3, block))
    plane.until(lambda: any(kind == 1 and stream == 3 for kind, _, stream, _ in raw()))
    plane.until(lambda: len([one for one in raw() if one[0] == 7]) == 1)
    origin.send(OK)
    plane.until(
        lambda: client.end.ended or any(kind == 0 and stream == 1 for kind, _, stream, _ in raw())
    )
    plane.ended(client.end, "fin")
    assert under_way == 1
    assert [int.from_bytes(payload[:4], "big") for kind, _, _, payload in raw() if kind == 7] == [3]


def test_an_idle_connection_ends_with_goaway(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(idle_ms=150)
    client = H2Client(rig)
    assert client.get("/local").status == 200
    assert client.goaway() == (0, 1)
    rig.ended(client.end, "fin")


def test_h2c_by_upgrade_is_never_done(plane: Rig) -> None:
    client = plane.client(
        b"GET /local HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
    )
    assert plane.response(client).status == 200
    client.take()
    client.send(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    origin = plane.origin()
    assert b"pgrade" not in origin.got
    origin.send(OK)
    assert plane.response(client).status == 200
    # nor is a preface taken behind a request
    client.take()
    client.send(PREFACE)
    assert plane.response(client).status in (400, 505)


def test_a_busy_connection_does_not_run_out_of_credit(plane: Rig) -> None:
    """Whoever gets whole answers may ask for as many as it likes."""
    client = H2Client(plane)
    for _ in range(60):
        streams = [client.request("/local") for _ in range(90)]
        for stream in streams:
            assert client.answer(stream).status == 200
    assert client.goaways == []
