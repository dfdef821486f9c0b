"""Time, memory and places: what is slow, large or too much is bounded, and everybody else is served on."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable

import pytest

from tests.wire.plane_ends import End, read_messages
from tests.wire.plane_rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEMORY_BYTES = 2 << 20  # for one slow connection: a wide read, its copy, and small change


def used(rig: Rig) -> int:
    return rig.plane.stats()["arena_used_bytes"]


# ---- time


def test_a_head_that_is_dripped_is_late_all_the_same(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(header_ms=250)
    client = rig.client()
    began = time.monotonic()
    unsent = len(GET % 1)
    for octet in GET % 1:
        client.send(bytes([octet]))
        unsent -= 1
        rig.settle(0.02)
        if client.ended:
            break
    assert time.monotonic() - began > 0.2
    assert unsent > 0  # not the end of the head has ended it
    assert rig.response(client).status == 408
    assert rig.lines(1)[0].ending == "client_timeout"


def test_a_body_that_stops(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(body_ms=200)
    client = rig.client(POST % 10 + b"abc")
    origin = rig.origin(wanted=b"abc")
    rig.ended(client)
    assert rig.response(client).status == 408
    rig.ended(origin)
    assert rig.lines(1)[0].ending == "client_timeout"


def test_a_body_below_the_least_rate(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(body_ms=200, body_rate=1000)
    client = rig.client(POST % 1000)
    rig.origin()
    began = time.monotonic()
    while not client.ended and time.monotonic() - began < 3:
        client.send(b"x")
        rig.settle(0.02)
    assert rig.response(client).status == 408


def test_an_idle_connection_ends_without_a_word(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(idle_ms=200)
    silent, used_once = rig.client(), rig.client(GET % 1)
    rig.origin().send(OK)
    rig.response(used_once)
    used_once.take()
    for client in (silent, used_once):
        rig.ended(client, "fin")
        assert client.got == b""


def test_an_idle_upstream_connection_ends(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(upstream_idle_ms=150)
    client = rig.client(GET % 1)
    origin = rig.origin().send(OK)
    rig.response(client)
    rig.ended(origin)
    assert rig.plane.stats()["idle_upstream"] == 0


def test_so_many_idle_upstream_connections(make_rig: Callable[..., Rig]) -> None:
    for most in (0, 1):
        rig = make_rig(upstream_idle_count=most)
        clients = [rig.client(GET % n) for n in range(3)]
        rig.until(lambda r=rig: r.origins[0].heads() == 3)
        for end in rig.origins[0].ends:
            end.send(OK)
        for client in clients:
            rig.response(client)
        rig.until(lambda r=rig, m=most: r.plane.stats()["idle_upstream"] == m)


def test_an_origin_that_does_not_answer(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"response_ms": 200})
    client = rig.client(GET % 1)
    rig.ended(rig.origin())
    assert rig.response(client).status == 504
    assert rig.lines(1)[0].ending == "upstream_timeout"


def test_an_origin_that_stops_within_its_response(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"response_ms": 200})
    client = rig.client(GET % 1)
    rig.origin().send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    rig.ended(client)
    assert not read_messages(bytes(client.got))[0].whole
    assert rig.lines(1)[0].ending == "upstream_timeout"


def test_a_slow_client_is_not_held_against_the_origin(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"response_ms": 150}, body_ms=5000)
    client = rig.client(POST % 4)
    rig.origin()
    for octet in b"slow":
        rig.settle(0.1)
        client.send(bytes([octet]))
    rig.origin(wanted=b"slow").send(OK)
    assert rig.response(client).status == 200


def test_a_client_that_does_not_read(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(send_ms=250)
    client = rig.client(GET % 1, receive_buffer=4096)
    client.reading = False
    rig.origin().send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 20000000)
    rig.until(lambda: rig.plane.stats()["clients"] == 0)
    assert rig.lines(1)[0].ending == "client_gone"


# ---- memory


def test_a_slow_reader_of_a_huge_body(plane: Rig) -> None:
    client = plane.client(GET % 1, receive_buffer=16384)
    client.reading = False
    size = 64 << 20
    origin = plane.origin()
    origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
    plane.settle(0.1)
    assert used(plane) < MEMORY_BYTES
    assert len(origin.unsent) > size // 2
    client.reading = True
    most = 0
    received = 0

    def read_on() -> bool:
        nonlocal most, received
        most = max(most, used(plane))
        received += len(client.take())
        return received >= size

    plane.until(read_on, 20.0)
    assert most < MEMORY_BYTES
    assert plane.lines(1)[0].ending == "ok"


def test_a_slow_origin_of_a_huge_upload(plane: Rig) -> None:
    size = 32 << 20
    client = plane.client(POST % size)
    origin = plane.origin()
    origin.reading = False
    client.send(bytes(size))
    plane.settle(0.1)
    assert used(plane) < MEMORY_BYTES
    assert len(client.unsent) > size // 2
    origin.reading = True
    received = 0

    def read_on() -> bool:
        nonlocal received
        assert used(plane) < MEMORY_BYTES
        received += len(origin.take())
        return received >= size

    plane.until(read_on, 20.0)
    origin.send(OK)
    assert plane.response(client).status == 200


def test_answers_that_nobody_takes_do_not_pile_up(make_rig: Callable[..., Rig]) -> None:
    answer = {"reply_kind": 1, "reply_status": 200, "reply_body": bytes(1 << 20)}
    rig = make_rig(built_in=[(b"/large", answer)])
    client = rig.client(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" * 200, receive_buffer=16384)
    client.reading = False
    rig.settle(0.1)
    assert used(rig) < 4 << 20
    client.reading = True
    received = 0

    def read_on() -> bool:
        nonlocal received
        assert used(rig) < 4 << 20
        received += len(client.take())
        return received > 200 << 20

    rig.until(read_on, 30.0)
    rig.lines(200)


def test_a_second_large_response_to_one_who_has_not_read_the_first(plane: Rig) -> None:
    client = plane.client(GET % 1 + GET % 2, receive_buffer=16384)
    client.reading = False
    body = bytes(3 << 20)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    plane.origin().send(head + body)
    plane.settle(0.05)
    client.reading = True
    plane.origin(wanted=b"GET /2 ").send(head + body)
    client.reading = False
    plane.settle(0.05)
    assert used(plane) < MEMORY_BYTES
    client.reading = True
    assert [len(message.body) for message in plane.responses(client, 2)] == [len(body)] * 2


def test_many_idle_connections_hold_no_memory(plane: Rig) -> None:
    clients = [plane.client(GET % number) for number in range(300)]
    plane.until(lambda: plane.origins[0].heads() == 300)
    for end in plane.origins[0].ends:
        end.send(OK)
    for client in clients:
        plane.response(client)
    plane.settle(0.01)
    assert plane.plane.stats()["clients"] == 300
    assert used(plane) == plane.baseline


def test_hundreds_of_answers_in_one_turn_do_not_mix(make_rig: Callable[..., Rig]) -> None:
    # More output at once than one turn sends: all of these deadlines come up together.
    rig = make_rig(route={"response_ms": 1500, "retry_connect": False}, most_clients=0)
    clients = [
        rig.client(b"GET /%d HTTP/1.1\r\nHost: a\r\nX-Request-Id: %d\r\n\r\n" % (number, number))
        for number in range(600)
    ]
    rig.until(lambda: rig.origins[0].heads() == 600)
    for client in clients:
        assert rig.response(client).status == 504


# ---- places


def test_a_peer_with_one_place(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"max_connections": 1}, pool={"queue_size": 2, "queue_ms": 5000})
    clients = []
    for number in range(4):
        clients.append(rig.client(GET % number))
        rig.settle(0.01)
    assert rig.response(clients[3]).status == 503  # the queue has two places
    for number in range(3):
        origin = rig.origin(wanted=b"GET /%d " % number)
        assert rig.origins[0].heads() == number + 1  # one after the other, in order
        origin.send(OK)
        assert rig.response(clients[number]).status == 200
    assert sorted(line.ending for line in rig.lines(4)) == ["ok", "ok", "ok", "queue_full"]


def test_who_comes_at_once_finds_one_place_too(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"max_connections": 1}, pool={"queue_size": 9, "queue_ms": 5000})
    for number in range(8):
        rig.client(GET % number)
    rig.settle()
    assert rig.origins[0].heads() == 1


def test_a_freed_place_goes_to_the_next_at_once(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"max_connections": 1}, pool={"queue_size": 50, "queue_ms": 5000})
    empty = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    clients = [rig.client(empty % number) for number in range(20)]
    rig.ticked = time.monotonic() + 60  # no tick helps
    rig.until(rig.origins[0].heads)
    for number in range(20):
        rig.until(lambda n=number: rig.origins[0].heads() == n + 1)
        end = rig.origins[0].ends[-1]
        if number % 3 == 1:
            end.close()  # a place is also free when a connection has died
        else:
            end.send(OK)
    rig.ticked = 0.0
    for client in clients:
        rig.until(lambda c=client: c.got)


def test_waiting_has_an_end(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"max_connections": 1}, pool={"queue_size": 9, "queue_ms": 150})
    rig.client(GET % 0)
    rig.origin()
    client = rig.client(GET % 1)
    assert rig.response(client).status == 503
    assert rig.lines(1)[0].ending == "queue_full"


def test_a_client_that_leaves_the_queue(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"max_connections": 1}, pool={"queue_size": 9, "queue_ms": 5000})
    first = rig.client(GET % 0)
    origin = rig.origin()
    leaving = rig.client(GET % 1)
    last = rig.client(GET % 2)
    rig.settle()
    leaving.reset()
    rig.settle()
    origin.send(OK)
    rig.response(first)
    rig.origin(wanted=b"GET /2 ").send(OK)
    assert rig.response(last).status == 200
    assert b"GET /1 " not in origin.got
    assert sorted(line.status for line in rig.lines(3)) == [200, 200, 499]


def test_so_many_clients(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(most_clients=2)
    clients = [rig.client(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(3)]
    rig.settle(0.05)
    assert rig.plane.stats()["clients"] == 2
    assert clients[2].got == b""
    clients[0].close()
    assert rig.response(clients[2]).status == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_no_descriptors_left(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    early = rig.client(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    rig.response(early)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    late = rig.client()
    rig.origins[0].accepting = False
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        rig.until(lambda: 24 in rig.events.troubles)  # EMFILE
        began = time.monotonic()
        while time.monotonic() - began < 0.2:
            rig.move()
        assert len(rig.events.troubles) < 20  # once a tick, not in a loop
        early.take()
        early.send(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
        rig.until(lambda: b"here" in early.got)
        early.take()
        early.send(GET % 1)  # nor is there one to reach the origin with
        rig.until(lambda: b" 503 " in early.got)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    late.send(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    assert rig.response(late).status == 200


# ---- clients that go away


def in_body(rig: Rig) -> End:
    client = rig.client(POST % 10 + b"abc")
    rig.origin(wanted=b"abc")
    return client


def waiting(rig: Rig) -> End:
    client = rig.client(GET % 1)
    rig.origin()
    return client


def in_response(rig: Rig) -> End:
    client = waiting(rig)
    rig.origin().send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    rig.until(lambda: b"abc" in client.got)
    return client


@pytest.mark.parametrize(("phase", "status"), [(in_body, 499), (waiting, 499), (in_response, 200)])
def test_a_client_that_goes_away(plane: Rig, phase: Callable[[Rig], End], status: int) -> None:
    phase(plane).reset()
    (line,) = plane.lines(1)
    assert (line.status, line.ending) == (status, "client_gone")
    plane.ended(plane.origins[0].ends[0])


def test_a_client_that_closes_within_its_body(plane: Rig) -> None:
    in_body(plane).close()
    assert plane.lines(1)[0].status == 499


def test_a_client_that_closes_within_its_head(plane: Rig) -> None:
    client = plane.client(b"GET / HTTP/1.1\r\nHo")
    plane.settle()
    client.close()
    plane.until(lambda: plane.plane.stats()["clients"] == 0)
    plane.lines(0)
