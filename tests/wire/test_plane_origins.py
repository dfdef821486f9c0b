"""Origins that misbehave, die, are late or are full: what the client sees, and how often the origin was asked."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from pingpy.phases import BoundPhases
from tests.wire.plane_ends import End, Origin, read_messages
from tests.wire.plane_rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


BAD_RESPONSES = {
    "no http": b"SSH-2.0-OpenSSH\r\n\r\n",
    "http/2": b"HTTP/2 200 OK\r\n\r\n",
    "bare lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "bad status": b"HTTP/1.1 20x OK\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "space before colon": b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    "large": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
}


@pytest.mark.parametrize("kind", BAD_RESPONSES)
def test_a_response_that_is_none(plane: Rig, kind: str) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(BAD_RESPONSES[kind])
    assert plane.response(client).status == 502
    plane.ended(origin)
    (line,) = plane.lines(1)
    assert (line.status, line.ending) == (502, "bad_response")
    assert len(plane.events.refusals) == 1
    client.take()
    client.send(GET % 2)  # the client's own connection is well
    plane.origin(1).send(OK)
    assert plane.response(client).status == 200


def test_a_folded_field_never_reaches_the_client_folded(plane: Rig) -> None:
    client = plane.client(GET % 1)
    plane.origin().send(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n")
    message = plane.response(client)
    assert message.status == 502 or message.get(b"X") == b"a b"


def test_a_status_line_without_its_last_space(plane: Rig) -> None:
    client = plane.client(GET % 1)
    plane.origin().send(b"HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n")
    assert plane.response(client).line == b"HTTP/1.1 299 "


def test_octets_behind_a_response_end_the_connection(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert plane.response(client).body == b"ok"
    plane.ended(origin)
    client.take()
    client.send(GET % 2)
    plane.origin(1).send(OK)
    assert plane.response(client).body == b"ok"


def test_octets_on_an_idle_connection_end_it(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(OK)
    plane.response(client)
    plane.settle()
    origin.send(OK)
    plane.ended(origin)
    assert plane.plane.stats()["idle_upstream"] == 0


CUTS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
    "in the trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y",
}


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("kind", CUTS)
def test_a_response_cut_short_is_never_presented_as_complete(
    plane: Rig, kind: str, version: bytes, reset: bool
) -> None:
    client = plane.client(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)
    origin = plane.origin().send(CUTS[kind])
    plane.settle()
    if origin.socket.fileno() >= 0 and not origin.ended:
        _ = origin.reset() if reset else origin.close()
    plane.ended(client)
    found = read_messages(bytes(client.got), closed=client.ended == "fin")
    assert not (found and found[0].whole), found
    assert plane.lines(1)[0].ending == "upstream_closed"


def test_a_bad_chunk_ends_the_response_visibly(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(CUTS["chunked"])
    plane.until(lambda: b"abc" in client.got)
    origin.send(b"zz\r\n")
    plane.ended(client)
    assert not read_messages(bytes(client.got))[0].whole
    assert plane.lines(1)[0].ending == "bad_response"


def test_a_body_until_close_that_is_reset_is_not_complete(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin().send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    plane.settle()
    origin.reset()
    plane.ended(client)
    assert not read_messages(bytes(client.got))[0].whole


def test_a_flood_of_informational_responses_is_cut(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin()
    origin.send(b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 100000)
    plane.ended(origin)
    assert plane.lines(1)[0].ending == "bad_response"
    plane.until(lambda: b" 502 " in client.got)
    assert client.got.count(b" 103 ") == 100


# ---- stale connections


def warmed(plane: Rig) -> tuple[End, End]:
    """A client and an origin between which one request has passed."""
    client = plane.client(GET % 0)
    origin = plane.origin().send(OK)
    plane.response(client)
    plane.settle(0.01)
    client.take()
    origin.take()
    return client, origin


def test_a_pooled_connection_that_was_closed_is_not_used(plane: Rig) -> None:
    client, origin = warmed(plane)
    origin.close()
    client.send(POST % 1)
    plane.origin(1).send(OK)
    assert plane.response(client).status == 200
    assert plane.lines(2)[1].retries == 0


def test_a_get_on_a_stale_connection_is_sent_again(plane: Rig) -> None:
    client, _ = warmed(plane)
    client.send(GET % 1)
    plane.origin(0).close()
    plane.origin(1).send(OK)
    assert plane.response(client).status == 200
    line = plane.lines(2)[1]
    assert (line.retries, line.ending) == (1, "ok")


def test_a_post_on_a_stale_connection_is_not(plane: Rig) -> None:
    client, _ = warmed(plane)
    client.send(POST % 1)
    plane.origin(0, wanted=b"hi").close()
    assert plane.response(client).status == 502
    assert len(plane.origins[0].ends) == 1
    line = plane.lines(2)[1]
    assert (line.retries, line.ending) == (0, "upstream_closed")


def test_a_get_on_a_fresh_connection_is_not_sent_again(plane: Rig) -> None:
    client = plane.client(GET % 1)
    plane.origin().close()
    assert plane.response(client).status == 502
    plane.settle()
    assert len(plane.origins[0].ends) == 1


def test_a_post_of_which_nothing_was_sent_is_sent_again(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(hooks=GATE)
    client = rig.client(GET % 0)
    rig.until(lambda: rig.events.parked)
    rig.events.let_go()
    origin = rig.origin().send(OK)
    rig.response(client)
    client.take()
    client.send(POST % 1)
    rig.until(lambda: rig.events.parked)  # the connection is chosen, the request not yet sent
    origin.close()
    rig.settle()
    rig.events.let_go()
    rig.until(lambda: rig.events.parked)
    rig.events.let_go()
    rig.origin(1, wanted=b"hi").send(OK)
    assert rig.response(client).status == 200
    assert rig.lines(2)[1].retries == 1


async def wait(session: object, request: object, ctx: object) -> None:
    """A hook that makes every attempt wait."""


GATE = BoundPhases(upstream_request_filter=wait)


def test_an_origin_that_speaks_before_it_is_asked(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(hooks=GATE)
    client = rig.client(GET % 0)
    rig.until(lambda: rig.origins[0].ends and rig.events.parked)
    rig.origins[0].ends[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    rig.settle()
    rig.events.let_go()
    assert rig.response(client).status == 502  # that peer is not asked again


# ---- no connection


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.parametrize("data", [GET % 1, POST % 1, b"PATCH /1 HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_peer_that_refuses_gives_way_to_the_next(
    make_rig: Callable[..., Rig], data: bytes
) -> None:
    rig = make_rig(origins=1)
    refusing = rig.make_peer(closed_port())
    rig.pool.set_peers([refusing, rig.peers[0]])
    for number in range(20):  # this pool picks at random
        client = rig.client(data)
        rig.until(lambda n=number: rig.origins[0].heads() > n)
        rig.origins[0].ends[-1].send(OK)
        assert rig.response(client).status == 200
        client.close()
    lines = rig.lines(20)
    assert sum(line.retries for line in lines) > 0
    assert {line.ending for line in lines} == {"ok"}


def test_all_peers_refuse(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.pool.set_peers([rig.make_peer(closed_port()) for _ in range(2)])
    client = rig.client(GET % 1)
    assert rig.response(client).status == 502
    assert rig.lines(1)[0].ending == "connect_failed"


def test_retries_have_a_budget(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"retry_budget": 0.0})
    rig.pool.set_peers([rig.make_peer(closed_port()), rig.make_peer(closed_port())])
    for _ in range(12):
        client = rig.client(GET % 1 + GET % 2)
        rig.responses(client, 2)
        client.close()
    assert sum(line.retries for line in rig.lines(24)) == 10  # what a worker starts with


def test_a_connection_that_is_not_made_in_time(make_rig: Callable[..., Rig]) -> None:
    full = Origin(backlog=0)
    taken = [socket.socket() for _ in range(4)]
    try:
        for one in taken:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", full.port))
        time.sleep(0.01)
        rig = make_rig(route={"connect_ms": 150, "retry_connect": False})
        rig.pool.set_peers([rig.make_peer(full.port)])
        client = rig.client(GET % 1)
        assert rig.response(client).status == 504
        assert rig.lines(1)[0].ending == "connect_timeout"
    finally:
        full.close()
        for one in taken:
            one.close()


def test_no_peers_at_all(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.pool.set_peers([])
    client = rig.client(GET % 1)
    assert rig.response(client).status == 503
    assert rig.lines(1)[0].ending == "no_peer"


def test_a_status_that_may_be_tried_again(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(origins=2, route={"statuses": [503]})
    client = rig.client(GET % 1)
    rig.until(lambda: any(origin.heads() for origin in rig.origins))
    first, second = sorted(rig.origins, key=Origin.heads, reverse=True)
    first.ends[0].send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
    rig.until(second.heads)
    second.ends[0].send(OK)
    assert rig.response(client).status == 200
    assert rig.lines(1)[0].retries == 1


def test_the_last_status_is_the_answer_when_nobody_else_is_left(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(route={"statuses": [503]})
    client = rig.client(GET % 1)
    rig.origin().send(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
    message = rig.response(client)
    assert (message.status, message.body) == (503, b"busy")
    assert rig.lines(1)[0].ending == "ok"


def test_a_body_with_trailers_is_not_sent_again(plane: Rig) -> None:
    client, _ = warmed(plane)
    client.send(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"
    )
    plane.origin(0, wanted=b"X-Sum: 1\r\n\r\n").close()
    assert plane.response(client).status == 502
    assert len(plane.origins[0].ends) == 1
