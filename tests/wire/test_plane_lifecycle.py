"""Drain and back, the deadline, and connections at rest that move from one plane to another."""

from __future__ import annotations

from collections.abc import Callable

from tests.wire.plane_rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def idle(rig: Rig) -> object:
    """A client between two requests."""
    client = rig.client(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    rig.response(client)
    client.take()
    rig.settle(0.01)
    return client


def test_a_request_under_way_is_answered_and_then_the_end_said(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin()
    plane.plane.drain(60000)
    origin.send(OK)
    plane.ended(client, "fin")
    message = plane.response(client)
    assert (message.body, message.get(b"Connection")) == (b"ok", b"close")


def test_requests_sent_ahead_are_answered_and_the_last_one_says_the_end(plane: Rig) -> None:
    client = plane.client(GET % 1 + GET % 2)
    origin = plane.origin()
    plane.settle(0.01)
    plane.plane.drain(60000)
    origin.send(OK)
    plane.until(lambda: b"GET /2 " in origin.got or len(plane.origins[0].ends) > 1)
    plane.origins[0].ends[-1].send(OK)
    first, second = plane.responses(client, 2)
    assert (first.body, first.get(b"Connection")) == (b"ok", None)
    assert (second.body, second.get(b"Connection")) == (b"ok", b"close")
    plane.ended(client, "fin")


def test_an_idle_connection_has_a_little_time_for_a_request_on_its_way(plane: Rig) -> None:
    client, other = idle(plane), idle(plane)
    plane.plane.drain(300)
    client.send(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    assert plane.response(client).get(b"Connection") == b"close"
    plane.ended(client, "fin")
    plane.ended(other, "fin")
    assert other.got == b""


def test_who_has_not_spoken_yet_gets_a_first_answer(plane: Rig) -> None:
    silent = plane.client()
    half = plane.client(b"GET /local HT")
    plane.settle()
    plane.plane.drain(1)
    plane.settle(0.3)
    silent.send(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    half.send(b"TP/1.1\r\nHost: a\r\n\r\n")
    for client in (silent, half):
        assert plane.response(client).body == b"here"
        plane.ended(client, "fin")


def test_nobody_is_accepted_until_resume(plane: Rig) -> None:
    resting = idle(plane)
    plane.plane.drain(200)
    late = plane.client(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    plane.settle(0.05)
    assert late.got == b""
    plane.plane.resume()
    assert plane.response(late).get(b"Connection") is None
    plane.settle(0.4)
    assert resting.ended == ""  # it need not hurry any more
    resting.send(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    assert plane.response(resting).body == b"here"


def test_the_deadline_cuts_everybody(plane: Rig) -> None:
    client = plane.client(GET % 1)
    plane.origin()
    idle(plane)
    assert plane.plane.close_all() == 2
    plane.ended(client)
    assert plane.plane.stats()["clients"] == 0
    assert plane.lines(2)[1].ending == "client_gone"


def test_the_time_of_requests_ends_and_streams_and_their_clients_go_on(plane: Rig) -> None:
    slow, stream = plane.client(GET % 1), plane.client(GET % 2)
    first, second = plane.origin(0), plane.origin(1)
    if b"GET /1 " in second.got:
        first, second = second, first
    first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    second.send(head + b"5\r\none\n\n\r\n")
    plane.until(lambda: b"half" in slow.got and b"one" in stream.got)
    idle(plane)
    plane.plane.drain(60000)
    assert plane.plane.stats()["streams"] == 1
    assert plane.plane.end_requests() == 2
    plane.ended(slow)
    second.send(b"5\r\ntwo\n\n\r\n")
    plane.until(lambda: b"two" in stream.got)
    plane.plane.end_tunnels(1)
    plane.ended(stream)
    assert not stream.got.endswith(b"0\r\n\r\n")
    assert [line.ending for line in plane.lines(3)[1:]] == ["drain_deadline"] * 2


def test_a_connection_at_rest_moves_to_another_plane(make_rig: Callable[..., Rig]) -> None:
    old, new = make_rig(), make_rig()
    resting = idle(old)
    busy = old.client(GET % 1)
    half = old.client(b"GET /")
    old.origin()
    old.settle(0.01)
    moved = old.plane.detach_idle()
    assert [(number, requests) for _, number, requests in moved] == [(0, 1)]
    assert old.plane.stats()["clients"] == 2
    resting.send(GET % 2)  # comes while nobody watches
    old.settle(0.01)
    new.plane.attach_idle(moved)
    assert new.plane.stats()["clients"] == 1
    new.clients.append(resting)
    new.origin(wanted=b"GET /2 ").send(OK)
    assert new.response(resting).body == b"ok"
    assert new.lines(1)[0].client == "127.0.0.1"
    old.origins[0].ends[0].send(OK)
    assert old.response(busy).body == b"ok"
    half.send(b"local HTTP/1.1\r\nHost: a\r\n\r\n")
    assert old.response(half).body == b"here"
