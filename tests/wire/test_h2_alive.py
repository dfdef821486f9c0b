"""HTTP/2 connections that fall silent with streams open: asked by a PING, and ended when they do not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.wire.h2_client import H2Client
from tests.wire.h2_origin import H2Origin
from tests.wire.plane_rig import Rig
from worker.plane.cells import Counter

GET = b"GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx"
CALL = [("te", "trailers"), ("content-type", "application/grpc")]
PING_MS = 150
GRPC = {"h2": True, "grpc": True, "tunnel_ms": 3_600_000}


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(route={"h2": True}, upstream_ping_ms=PING_MS)


def blamed(rig: Rig, times: int = 1) -> None:
    peer = f"127.0.0.1:{rig.origins[0].port}"
    said = (peer, "HTTP/2: no answer to a PING ([timeouts] upstream_ping)")
    assert rig.events.broke == [said] * times
    assert rig.cells.value(Counter.C_H2_ORIGIN_SILENT) == times


def test_a_slow_answer_is_waited_for_when_a_ping_is_answered(rig: Rig) -> None:
    """One: a server of gRPC would end the connection for more of them while it has nothing to say."""
    client = rig.client(GET)
    origin = H2Origin(rig)
    link, asked = origin.request()
    for pings in (1, 2):
        origin.until(lambda n=pings: link.pings == n)
        until = time.monotonic() + 6 * PING_MS / 1000
        origin.until(lambda u=until: time.monotonic() > u)
        assert link.pings == pings
        origin.answer(link, asked, b"ok", ends=False) if pings == 1 else origin.send(
            link, asked, b"!", ends=True
        )
    rig.until(lambda: client.got.endswith(b"0\r\n\r\n"))
    assert rig.events.broke == []


def test_an_origin_that_never_says_a_word_is_not_waited_for(rig: Rig) -> None:
    client = rig.client(POST)
    rig.until(lambda: rig.origins[0].ends)
    assert rig.response(client).status == 504
    blamed(rig)


def test_an_origin_that_is_gone_ends_what_it_has_not_answered(rig: Rig) -> None:
    client = rig.client(POST)
    origin = H2Origin(rig)
    origin.request()
    assert rig.response(client).status == 504  # nobody moves the origin any more
    assert rig.events.refusals == [(504, "the origin does not answer a PING")]
    assert rig.lines(1)[0].ending == "upstream_silent"
    blamed(rig)


def test_a_request_that_may_be_sent_again_is_sent_on_another_connection(rig: Rig) -> None:
    first = rig.client(GET)
    origin = H2Origin(rig)
    link, asked = origin.request()
    origin.answer(link, asked)
    rig.response(first)
    first.take()
    first.send(GET)
    dead, _ = origin.request(1)
    rig.until(lambda: len(rig.origins[0].ends) == 2)
    dead.move = lambda: None  # type: ignore[method-assign]
    origin.answer(*origin.request(2))
    assert rig.response(first).body == b"ok"
    assert [line.retries for line in rig.lines(2)] == [0, 1]
    blamed(rig)


def test_a_long_call_is_ended_by_a_status(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route=GRPC, upstream_ping_ms=PING_MS)
    client = H2Client(rig)
    origin = H2Origin(rig)
    stream = client.request("/a.B/C", method="POST", fields=CALL, body=b"", ends=False)
    link, asked = origin.request(whole=False)
    fields = [("content-type", "application/grpc")]
    origin.answer(link, asked, b"\0\0\0\0\1a", fields=fields, ends=False)
    client.rig.until(lambda: client.take() and client.answers[stream].body == b"\0\0\0\0\1a")
    client.rig.until(lambda: client.take() and client.answers[stream].whole)
    answer = client.answers[stream]
    assert answer.status == 200
    assert dict(answer.trailers)[b"grpc-status"] == b"14"
    blamed(rig)


def test_a_call_that_has_no_answer_yet_is_unavailable(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route=GRPC, upstream_ping_ms=PING_MS)
    client = H2Client(rig)
    origin = H2Origin(rig)
    stream = client.request("/a.B/C", method="POST", fields=CALL, body=b"", ends=False)
    origin.request(whole=False)
    client.rig.until(lambda: client.take() and client.answers[stream].fields)
    assert client.answers[stream].get(b"grpc-status") == b"14"


def test_another_answer_that_has_begun_is_cut(rig: Rig) -> None:
    client = rig.client(GET)
    origin = H2Origin(rig)
    link, asked = origin.request()
    origin.answer(link, asked, b"half", ends=False)
    rig.ended(client)
    assert b"half" in client.got
    assert not client.got.endswith(b"0\r\n\r\n")
    blamed(rig)


def test_whatever_comes_is_a_sign_of_life(rig: Rig) -> None:
    client = rig.client(GET)
    origin = H2Origin(rig)
    link, asked = origin.request()
    origin.answer(link, asked, b"", ends=False)
    for _ in range(12):
        origin.send(link, asked, b"more")
        rig.settle(PING_MS / 3000)
        assert not client.ended
    assert b"\0\0\x08\x06\0" not in link.end.got  # nothing was asked
    origin.send(link, asked, b"!", ends=True)
    rig.until(lambda: client.got.endswith(b"0\r\n\r\n"))
    assert rig.events.broke == []


# ---- clients


def test_a_silent_client_with_a_stream_is_asked_and_let_go(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(client_ping_ms=PING_MS)
    client = H2Client(rig)
    client.request("/x")
    client.rig.until(lambda: client.take() and client.asked >= 2)
    assert not client.end.ended
    rig.until(lambda: client.end.ended)  # the client looks at nothing any more
    assert rig.events.unwelcomed == [
        ("127.0.0.1", "HTTP/2: no answer to a PING ([timeouts] client_ping)")
    ]
    assert rig.cells.value(Counter.C_H2_SILENT) == 1
    assert rig.lines(1)[0].status == 499


def test_clients_are_not_asked_unless_that_is_wanted_or_without_a_stream(
    make_rig: Callable[..., Rig],
) -> None:
    for options in ({"client_ping_ms": 0}, {"client_ping_ms": 60}):
        rig = make_rig(**options)
        client = H2Client(rig)
        stream = client.request("/local" if options["client_ping_ms"] else "/x")
        if options["client_ping_ms"]:
            client.answer(stream)
        rig.settle(0.3)
        client.take()
        assert client.asked == 0
        assert not client.end.ended


# ---- a client that has nothing to say


def test_a_call_may_be_silent_as_long_as_a_tunnel(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={**GRPC, "tunnel_ms": 1500}, body_ms=100, body_rate=100)
    client = H2Client(rig)
    origin = H2Origin(rig)
    call = client.request("/a.B/C", method="POST", fields=CALL, body=b"1", ends=False)
    other = client.request("/a.B/D", method="POST", body=b"1", ends=False)
    assert client.answer(other).status == 408
    origin.request(whole=False)
    origin.until(lambda: client.take() and client.answers[call].fields)
    assert client.answers[call].get(b"grpc-status") == b"4"  # it took its time, but not for ever
    calm = [line for line in rig.lines(2) if line.request.startswith("POST /a.B/C")]
    assert [line.ending for line in calm] == ["client_timeout"]
