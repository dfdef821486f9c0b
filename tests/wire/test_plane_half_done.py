"""What is only half done: requests not yet read, answers not yet taken, connections that must not be used again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.wire.plane_rig import Rig
from worker.plane.table_doors import enter_peer, leave_peer

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
LOCAL = b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
BODY = bytes(range(256)) * 40000
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)


def test_an_answer_before_the_body_leaves_no_half_request_on_a_pooled_connection(
    plane: Rig,
) -> None:
    client = plane.client(POST % 1)
    origin = plane.origin(wanted=b"abc").send(OK)
    assert plane.response(client).status == 200
    plane.ended(origin)
    other = plane.client(GET % 2)
    plane.origin(1).send(OK)
    assert plane.response(other).status == 200


@pytest.mark.parametrize("first", ["client", "origin"])
def test_what_an_origin_said_unasked_is_no_answer_even_in_the_same_turn(
    plane: Rig, first: str
) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(OK)
    plane.response(client)
    plane.settle()
    client.take()
    said = {"client": lambda: client.send(GET % 2), "origin": lambda: origin.send(EVIL)}
    said.pop(first)()
    for speak in said.values():
        speak()
    plane.origin(1).send(OK)
    assert plane.response(client).body == b"ok"


def test_an_origin_that_says_goodbye_with_its_answer_is_not_kept(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(OK)
    origin.half_close()
    assert plane.response(client).status == 200
    plane.ended(origin)
    assert plane.plane.stats()["idle_upstream"] == 0


def test_who_sends_on_after_a_refusal_is_read_no_further_than_a_bound(plane: Rig) -> None:
    client = plane.client(b"nonsense\r\n\r\n")
    assert plane.response(client).status == 400
    taken, some = 0, bytes(1 << 16)
    while taken < 64 << 20:
        try:
            taken += client.socket.send(some)
        except BlockingIOError:
            plane.move()
        except OSError:
            return
    pytest.fail("all of it was read")


@pytest.mark.parametrize(("request_head", "asked"), [(GET % 1, 2), (POST % 1 + b"defghij", 1)])
def test_what_an_origin_was_too_slow_for_is_sent_again_only_if_that_does_no_harm(
    make_rig: Callable[..., Rig], request_head: bytes, asked: int
) -> None:
    rig = make_rig(origins=2, route={"response_ms": 100, "retry_timeout": True})
    client = rig.client(request_head)
    assert rig.response(client).status == 504
    assert sum(origin.heads() for origin in rig.origins) == asked


@pytest.mark.parametrize("answer", [COUNTED, CHUNKED], ids=["counted", "chunked"])
def test_an_origin_is_not_late_while_the_client_takes_nothing(
    make_rig: Callable[..., Rig], answer: bytes
) -> None:
    rig = make_rig(route={"response_ms": 100})
    client = rig.client(GET % 1, receive_buffer=4096)
    client.reading = False
    rig.origin().send(answer)
    rig.settle(0.5)
    client.reading = True
    assert rig.response(client).body == BODY


def test_the_time_of_a_head_counts_from_its_own_first_octet(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(header_ms=1500)
    for _ in range(5):
        client, began = rig.client(LOCAL[:-2]), time.monotonic()
        rig.until(lambda began=began: time.monotonic() - began > 1.0)
        client.send(LOCAL[-2:] + LOCAL[:-2])
        half = time.monotonic()
        rig.until(lambda began=began: time.monotonic() - began > 1.6)
        client.send(LOCAL[-2:])
        if time.monotonic() - half < 1.4:  # else the machine was too busy to tell
            assert [answer.status for answer in rig.responses(client, 2)] == [200, 200]
            return
    pytest.skip("this machine is too busy for deadlines")


def test_who_comes_later_waits_behind_who_waits_already(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(peer={"max_connections": 1}, pool={"queue_size": 9, "queue_ms": 60000})
    enter_peer(rig.cells, rig.peers[0].cell)  # a request of another worker
    rig.client(GET % 1)
    rig.settle()
    rig.ticked = time.monotonic() + 60  # nobody tells us that its place is free
    leave_peer(rig.cells, rig.peers[0].cell)
    rig.client(GET % 2)
    rig.settle()
    rig.ticked = 0.0
    assert b"GET /1 " in rig.origin().got


def test_a_connection_to_a_peer_that_is_no_more_is_not_kept(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin()
    plane.pool.set_peers([])
    origin.send(OK)
    assert plane.response(client).status == 200
    plane.ended(origin)


def test_after_one_stale_connection_the_other_idle_ones_are_not_tried(plane: Rig) -> None:
    clients = [plane.client(GET % number) for number in range(2)]
    for number in range(2):
        plane.origin(number).send(OK)
    for client in clients:
        plane.response(client)
    plane.settle()
    client = plane.client(GET % 2)
    stale = plane.until(lambda: [end for end in plane.origins[0].ends if b"/2" in end.got])
    stale[0].close()
    plane.origin(2, wanted=b"GET /2 ").send(OK)
    assert plane.response(client).status == 200
