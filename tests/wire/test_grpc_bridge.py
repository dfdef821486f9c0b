"""gRPC-Web through the plane: over HTTP/1.1 and HTTP/2, binary and text, trailers, errors, and what is not it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from pingpy.phases import bind
from tests.wire.h2_client import H2Client
from tests.wire.h2_origin import Asked, H2Link, H2Origin
from tests.wire.plane_ends import End, read_messages
from tests.wire.plane_rig import Rig

GRPC = [("content-type", "application/grpc+proto")]
OK = [("grpc-status", "0"), ("x-after-bin", "AAE")]
DONE = b"grpc-status: 0\r\nx-after-bin: AAE\r\n"


ROUTE = {"grpc": True, "grpc_web": True, "tunnel_ms": 60_000}


def framed(message: bytes, flags: int = 0) -> bytes:
    return bytes([flags]) + len(message).to_bytes(4, "big") + message


def text(*parts: bytes) -> bytes:
    """Each part by itself, as a sender that flushes each message has them: padding in the middle."""
    return b"".join(base64.b64encode(part) for part in parts)


def untext(body: bytes) -> bytes:
    return b"".join(base64.b64decode(body[at : at + 4]) for at in range(0, len(body), 4))


def call(
    body: bytes | None,
    kind: bytes = b"application/grpc-web+proto",
    more: bytes = b"",
    method: bytes = b"POST",
) -> bytes:
    head = b"%b /a.B/C HTTP/1.1\r\nHost: a\r\nX-Grpc-Web: 1\r\nContent-Type: %b\r\n" % (
        method,
        kind,
    )
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return head + more + length + b"\r\n" + (body or b"")


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(route=ROUTE)


def test_a_call_over_http1(rig: Rig) -> None:
    question = framed(b"question")
    client = rig.client(call(question))
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert bytes(asked.body) == question
    assert asked.get(b"content-type") == b"application/grpc+proto"
    assert asked.get(b"te") == b"trailers"
    assert asked.get(b"x-grpc-web") is None
    assert asked.get(b"content-length") is None
    origin.answer(link, asked, framed(b"answer"), fields=GRPC, trailers=OK)
    message = rig.response(client)
    assert message.status == 200
    assert message.get(b"content-type") == b"application/grpc-web+proto"
    assert message.body == framed(b"answer") + framed(DONE, 0x80)
    assert message.trailers == b""
    client.take()
    client.send(call(framed(b"again")))  # the connection goes on
    link, asked = origin.request(1)
    origin.answer(link, asked, framed(b"2"), fields=GRPC, trailers=[("grpc-status", "0")])
    assert rig.response(client).body == framed(b"2") + framed(b"grpc-status: 0\r\n", 0x80)
    assert [line.status for line in rig.lines(2)] == [200, 200]


def test_a_call_over_http2(rig: Rig) -> None:
    client = H2Client(rig)
    body = framed(b"question")
    fields = [("content-type", "application/grpc-web"), ("content-length", str(len(body)))]
    stream = client.request("/a.B/C", method="POST", fields=fields, body=body)
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert (asked.get(b"content-type"), asked.get(b"te")) == (b"application/grpc", b"trailers")
    assert bytes(asked.body) == body
    origin.answer(link, asked, framed(b"answer"), fields=GRPC, trailers=OK)
    answer = client.answer(stream)
    assert answer.get(b"content-type") == b"application/grpc-web+proto"
    assert bytes(answer.body) == framed(b"answer") + framed(DONE, 0x80)
    assert (answer.whole, answer.reset, answer.trailers) == (True, None, [])


def test_text_is_decoded_wherever_it_is_cut(rig: Rig) -> None:
    one, two = framed(b"a question"), framed(b"ab", 1)
    body = text(one, two, b"")
    origin = H2Origin(rig)
    kind = b"application/grpc-web-text"
    for number, at in enumerate(range(len(body) + 1)):
        data = call(body, kind)
        client = rig.client(data[: len(data) - len(body) + at])
        if at < len(body):
            rig.settle(0)
            client.send(body[at:])
        link, asked = origin.request(number)
        assert bytes(asked.body) == one + two
        origin.answer(link, asked, framed(b"a"), fields=GRPC, trailers=[("grpc-status", "0")])
        message = rig.response(client)
        assert message.get(b"content-type") == b"application/grpc-web-text+proto"
        assert untext(message.body) == framed(b"a") + framed(b"grpc-status: 0\r\n", 0x80)
        client.close()


def test_text_in_chunks_of_one_octet(rig: Rig) -> None:
    body = text(framed(b"question"))
    chunks = b"".join(b"1\r\n%c\r\n" % octet for octet in body) + b"0\r\n\r\n"
    kind, more = b"application/grpc-web-text+proto", b"Transfer-Encoding: chunked\r\n"
    client = rig.client(call(None, kind, more))
    for octet in chunks:
        client.send(bytes([octet]))
        rig.move()
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert bytes(asked.body) == framed(b"question")
    origin.answer(link, asked, None, fields=[*GRPC, *OK])
    assert rig.response(client).get(b"grpc-status") == b"0"


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_message_comes_as_soon_as_it_is_whole(rig: Rig, cut: int) -> None:
    """And what comes of one is not kept for the rest, but for what base64 cannot say yet."""
    kind = b"application/grpc-web-text" if cut % 2 else b"application/grpc-web"
    client = rig.client(call(text(framed(b"")) if cut % 2 else framed(b""), kind))
    origin = H2Origin(rig)
    link, asked = origin.request()
    origin.answer(link, asked, b"", fields=GRPC, ends=False)

    def body() -> bytes:
        found = read_messages(bytes(client.got))
        raw = found[0].body if found else b""
        return untext(raw) if cut % 2 else raw

    sent = b""
    for number in range(3):
        message = framed(b"%06d" % number)
        for part in (message[:cut], message[cut:]):
            origin.send(link, asked, part)
            sent += part
            least = len(sent) if part == message[cut:] else len(sent) - 2
            origin.until(lambda least=least: len(body()) >= least)
            assert sent.startswith(body())
        assert body() == sent
    link.h2.send_headers(asked.stream, OK, end_stream=True)
    link.flush()
    origin.until(lambda: rig.lines(1))
    assert body() == sent + framed(DONE, 0x80)


def test_large_messages_both_ways(rig: Rig) -> None:
    big = framed(bytes(range(256)) * 8000)
    client = rig.client(call(text(big), b"application/grpc-web-text"))
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert bytes(asked.body) == big
    origin.answer(link, asked, big, fields=GRPC, trailers=OK)
    message = rig.response(client)
    assert untext(message.body) == big + framed(DONE, 0x80)


@pytest.mark.parametrize(
    ("sent", "accept", "text_out"),
    [
        (b"application/grpc-web", b"application/grpc-web-text", True),
        (b"application/grpc-web-text", b"application/grpc-web", False),
        (b"application/grpc-web-text", b"*/*", True),
    ],
)
def test_the_client_may_say_which_answer_it_wants(
    rig: Rig, sent: bytes, accept: bytes, text_out: bool
) -> None:
    body = text(framed(b"q")) if sent.endswith(b"text") else framed(b"q")
    client = rig.client(call(body, sent, b"Accept: %b\r\n" % accept))
    origin = H2Origin(rig)
    link, asked = origin.request()
    origin.answer(link, asked, framed(b"a"), fields=GRPC, trailers=OK)
    message = rig.response(client)
    wanted = framed(b"a") + framed(DONE, 0x80)
    assert (untext(message.body) if text_out else message.body) == wanted
    assert (b"-text" in (message.get(b"content-type") or b"")) is text_out


def test_an_answer_of_trailers_only_stays_a_head(rig: Rig) -> None:
    client = rig.client(call(framed(b"q")))
    origin = H2Origin(rig)
    link, asked = origin.request()
    said = [*GRPC, ("grpc-status", "5"), ("grpc-message", "no such thing")]
    origin.answer(link, asked, None, fields=said)
    message = rig.response(client)
    assert (message.status, message.body) == (200, b"")
    assert message.get(b"grpc-status") == b"5"
    assert message.get(b"content-type") == b"application/grpc-web+proto"
    assert message.get(b"content-length") == b"0"


def test_what_is_no_answer_of_grpc_passes_as_it_is(rig: Rig) -> None:
    client = rig.client(call(framed(b"q")))
    origin = H2Origin(rig)
    link, asked = origin.request()
    page = [("content-type", "text/html")]
    origin.answer(link, asked, b"<p>gone", status=502, fields=page, trailers=[("x-a", "b")])
    message = rig.response(client)
    assert (message.status, message.body, message.trailers) == (502, b"<p>gone", b"x-a: b\r\n")
    assert message.get(b"content-type") == b"text/html"


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (b"application/grpc", b"POST"),
        (b"application/grpc+proto", b"POST"),
        (b"application/json", b"POST"),
        (b"application/grpc-web", b"PUT"),
        (b"application/grpc-web", b"OPTIONS"),
    ],
)
def test_what_is_no_call_of_grpc_web_passes_as_it_is(rig: Rig, kind: bytes, method: bytes) -> None:
    client = rig.client(call(b"=!?", kind, method=method))
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert bytes(asked.body) == b"=!?"
    assert asked.get(b"content-type") == kind
    assert asked.get(b"x-grpc-web") == b"1"
    origin.answer(link, asked, framed(b"a"), fields=GRPC, trailers=OK)
    message = rig.response(client)
    assert message.body == framed(b"a")
    assert message.trailers.lower() == DONE.lower()


def test_a_rule_without_the_key_translates_nothing(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"grpc": True})
    client = rig.client(call(framed(b"q")))
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert asked.get(b"content-type") == b"application/grpc-web+proto"
    origin.answer(link, asked, b"x")
    assert rig.response(client).body == b"x"


@pytest.mark.parametrize("body", [b"AA=A", b"A", b"AAAAA", b"AAA", b"A A=", b"AA-_", b"====="])
def test_text_that_is_none_is_refused(rig: Rig, body: bytes) -> None:
    client = rig.client(call(body, b"application/grpc-web-text"))
    message = rig.response(client)
    assert message.get(b"grpc-status") == b"13"
    assert message.get(b"grpc-message") == b"400 Bad Request"
    assert rig.lines(1)[0].ending == "bad_request"


def begun(rig: Rig, kind: bytes, part: bytes) -> tuple[H2Origin, H2Link, Asked, End]:
    """A call whose answer has begun with these octets."""
    client = rig.client(
        call(framed(b"q") if kind == b"" else text(framed(b"q")), b"application/grpc-web" + kind)
    )
    origin = H2Origin(rig)
    link, asked = origin.request()
    origin.answer(link, asked, part, fields=GRPC, ends=False)
    origin.until(lambda: client.got.count(b"\r\n\r\n"))
    return origin, link, asked, client


@pytest.mark.parametrize("kind", [b"", b"-text"])
def test_an_origin_that_breaks_off_between_messages_is_a_status(rig: Rig, kind: bytes) -> None:
    origin, link, _, client = begun(rig, kind, framed(b"a"))
    rig.settle()
    link.end.reset()
    message = rig.response(client)
    body = untext(message.body) if kind else message.body
    trailers = b"grpc-status: 14\r\ngrpc-message: the answer ended early\r\n"
    assert body == framed(b"a") + framed(trailers, 0x80)
    assert client.ended == ""  # nothing is wrong with the connection
    assert rig.lines(1)[0].ending != "OK"
    origin.move()


def test_an_origin_that_breaks_off_within_a_message_is_a_cut(rig: Rig) -> None:
    _, link, _, client = begun(rig, b"", framed(b"answer")[:7])
    rig.settle()
    link.end.reset()
    rig.ended(client)
    assert not read_messages(bytes(client.got))[0].whole


def test_an_origin_that_falls_silent_is_a_deadline(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={**ROUTE, "tunnel_ms": 100})
    _, _, _, client = begun(rig, b"", framed(b"a"))
    assert b"grpc-status: 4\r\n" in rig.response(client).body


@pytest.mark.parametrize("silent", [True, False])
def test_errors_of_ours_are_statuses_in_the_head(
    make_rig: Callable[..., Rig], silent: bool
) -> None:
    rig = make_rig(route={**ROUTE, "response_ms": 50})
    if not silent:
        rig.origins[0].close()
    message = rig.response(rig.client(call(framed(b"q"))))
    assert message.line == b"HTTP/1.1 200 OK"
    assert message.get(b"grpc-status") == (b"4" if silent else b"14")
    assert message.get(b"content-type") == b"application/grpc-web+proto"


def test_a_client_that_leaves_cancels_the_call(rig: Rig) -> None:
    origin, _, asked, client = begun(rig, b"", framed(b"a"))
    client.reset()
    origin.until(lambda: asked.reset is not None)
    assert rig.lines(1)[0].ending != "OK"


def test_a_slow_client_holds_the_origin_up(rig: Rig) -> None:
    """Nothing piles up here but windows; and all of it comes in the end."""
    client = rig.client(b"", receive_buffer=4096)
    client.reading = False
    client.send(call(text(framed(b"q")), b"application/grpc-web-text"))
    origin = H2Origin(rig)
    link, asked = origin.request(0)
    link.h2.send_headers(asked.stream, [(":status", "200"), *GRPC])
    sent = 0
    for _ in range(1000):
        room = min(link.h2.local_flow_control_window(asked.stream), 16384)
        if room > 5:
            link.h2.send_data(asked.stream, framed(bytes(room - 5)))
            sent += room
        link.flush()
        origin.move()
        rig.move()
        if sent > 8 << 20:
            break
    assert sent < 8 << 20
    assert rig.plane.stats()["arena_used_bytes"] < rig.baseline + (2 << 20)
    client.reading = True
    link.h2.send_headers(asked.stream, OK, end_stream=True)
    link.flush()
    message = rig.response(client)
    assert len(untext(message.body)) == sent + len(framed(DONE, 0x80))


def test_hooks_see_the_browsers_request_and_the_origins_answer(
    make_rig: Callable[..., Rig],
) -> None:
    seen: list[Any] = []

    class Watch:
        def request_filter(self, session: Any, ctx: Any) -> None:
            seen.append(session.request.headers.get("content-type"))
            session.request.headers.set("x-by", "hook")

        def response_filter(self, session: Any, response: Any, ctx: Any) -> None:
            response.headers.set("x-also", "hook")

    rig = make_rig(route=ROUTE, hooks=bind(Watch()))
    client = rig.client(call(framed(b"q")))
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert asked.get(b"x-by") == b"hook"
    assert asked.get(b"content-type") == b"application/grpc+proto"
    origin.answer(link, asked, framed(b"a"), fields=GRPC, trailers=OK)
    message = rig.response(client)
    assert message.get(b"x-also") == b"hook"
    assert message.get(b"content-type") == b"application/grpc-web+proto"
    assert seen == [b"application/grpc-web+proto"]
