"""HTTP/2 streams that wait do not stop the others of their connection; idle connections show signs of life."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.wire.h2_client import H2Client
from tests.wire.h2_origin import H2Link, H2Origin
from tests.wire.plane_ends import End, Origin
from tests.wire.plane_rig import Rig

STREAM_WINDOW = 262144
CONNECTION_WINDOW = 1 << 20
GET = b"GET /%d HTTP/1.1\r\nHost: a.test\r\n\r\n"


def fill(rig: Rig, client: H2Client, stream: int) -> int:
    """Send until nothing more is taken: by the kernel, then by the stream's window."""
    sent = quiet = 0
    while quiet < 10:
        room = min(client.h2.local_flow_control_window(stream), 16384)
        quiet = 0 if room > 0 else quiet + 1
        if room > 0:
            client.h2.send_data(stream, bytes(room))
            sent += room
        client.flush()
        rig.settle(0 if room > 0 else 0.005)
        client.take()
    return sent


def deaf(origin: Origin) -> Any:
    """From here on it reads nothing of new connections; returns what undoes that."""
    hearing = origin.wrap

    def wrap(taken: Any) -> Any:
        end = hearing(taken)
        end.reading = False
        return end

    def undo() -> None:
        origin.wrap = hearing  # type: ignore[method-assign]

    origin.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    origin.wrap = wrap  # type: ignore[method-assign]
    return undo


def test_a_ninth_upload_goes_past_eight_that_are_stuck(make_rig: Callable[..., Rig]) -> None:
    """Their origin takes nothing: each is held at its own window, and the connection's is opened for the others."""
    rig = make_rig()
    undo = deaf(rig.origins[0])
    client = H2Client(rig)
    streams = []
    for number in range(8):
        streams.append(client.request(f"/stuck{number}", method="POST", body=b"", ends=False))
        assert fill(rig, client, streams[-1]) >= STREAM_WINDOW
    waiting = rig.plane.stats()["waiting_bytes"]
    assert waiting > CONNECTION_WINDOW  # without loans the connection would be shut
    undo()
    body = bytes(range(256)) * 8192  # two megabytes
    stream = client.request("/ninth", method="POST", body=body)
    end = rig.origin(8, wanted=b"0\r\n\r\n")
    assert len(end.got) > len(body)
    end.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert bytes(client.answer(stream).body) == b"ok"
    for stuck in streams[:4]:
        client.h2.reset_stream(stuck)
    client.flush()
    rig.settle()
    assert rig.plane.stats()["waiting_bytes"] < waiting
    for end in rig.origins[0].ends[4:8]:  # those that are read now come through whole
        end.reading = True
    for stuck in streams[4:]:
        client.send(stuck, b"end", ends=True)
        end = rig.origin(streams.index(stuck), wanted=b"end\r\n0\r\n\r\n")
        end.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert bytes(client.answer(stuck).body) == b"ok"
    assert rig.plane.stats()["waiting_bytes"] == 0


def test_slow_clients_do_not_stop_others_on_a_shared_connection(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(route={"h2": True})
    origin = H2Origin(rig)
    slow = [rig.client(GET % number, receive_buffer=4096) for number in range(8)]
    for number, client in enumerate(slow):
        client.reading = False
        link, asked = origin.request(number)
        link.h2.send_headers(asked.stream, [(":status", "200")])
        quiet = 0
        while quiet < 20:
            room = min(link.h2.local_flow_control_window(asked.stream), 16384)
            quiet = 0 if room > 0 else quiet + 1
            if room > 0:
                link.h2.send_data(asked.stream, bytes(room))
            link.flush()
            rig.settle(0.002)
            origin.move()
    assert len(origin.links) == 1
    fast = rig.client(GET % 9)
    link, asked = origin.request(8)
    body = bytes(range(256)) * 8192
    origin.answer(link, asked, body)
    assert rig.response(fast).body == body
    for client in slow:
        client.close()
    rig.settle()
    assert rig.plane.stats()["waiting_bytes"] == 0


def test_what_waits_is_bounded_for_the_worker(make_rig: Callable[..., Rig]) -> None:
    """Beyond its bound a connection is on its own: its window of a megabyte, as much as it would have without loans."""
    rig = make_rig()
    rig.plane.most_loans = 1 << 20
    deaf(rig.origins[0])
    client = H2Client(rig)
    for number in range(12):
        stream = client.request(f"/{number}", method="POST", body=b"", ends=False)
        fill(rig, client, stream)
    stats = rig.plane.stats()
    assert stats["waiting_bytes"] <= 1 << 20
    assert client.h2.outbound_flow_control_window < 16384  # the connection's own
    assert stats["arena_used_bytes"] < rig.baseline + (4 << 20)


def rested(rig: Rig) -> tuple[End, H2Origin, H2Link]:
    """A client whose request was answered, and the connection to the origin that is idle since."""
    client = rig.client(GET % 0)
    origin = H2Origin(rig)
    link, asked = origin.request()
    origin.answer(link, asked)
    assert rig.response(client).body == b"ok"
    client.take()
    return client, origin, link


@pytest.fixture
def pinging(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(route={"h2": True}, upstream_ping_ms=60, upstream_idle_ms=60_000)


def test_an_idle_origin_is_asked_for_signs_of_life(pinging: Rig) -> None:
    client, origin, link = rested(pinging)
    origin.until(lambda: link.pings >= 3)
    assert (link.left, link.end.ended) == (None, "")
    client.send(GET % 1)
    origin.answer(*origin.request(1))
    assert pinging.response(client).body == b"ok"
    assert pinging.plane.stats()["upstream_opened"] == 1


def test_an_origin_that_gives_none_is_left_before_a_request_is_lost(pinging: Rig) -> None:
    client, origin, link = rested(pinging)
    # Nothing of it is looked at from here on, as behind a NAT that has forgotten the connection.
    pinging.until(lambda: link.end.ended)
    client.send(b"POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")
    pinging.until(lambda: len(pinging.origins[0].ends) == 2)
    origin.links[0].move = lambda: None  # type: ignore[method-assign]
    origin.answer(*origin.request(1))
    assert pinging.response(client).body == b"ok"
    assert [line.retries for line in pinging.lines(2)] == [0, 0]


def test_while_it_is_asked_it_gets_no_request(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"h2": True}, upstream_ping_ms=1000, upstream_idle_ms=60_000)
    client, origin, link = rested(rig)
    rig.until(lambda: b"\0\0\x08\x06\0\0\0\0\0" in link.end.got)  # a PING that is not answered yet
    client.send(GET % 1)
    rig.until(lambda: len(rig.origins[0].ends) == 2)
    origin.answer(*origin.request(1))  # this answers the PING, too
    assert rig.response(client).body == b"ok"
    assert rig.plane.stats()["upstream_opened"] == 2


def test_idle_connections_to_http2_origins_are_counted(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"h2": True}, upstream_idle_ms=300)
    client = rig.client(GET % 0)
    origin = H2Origin(rig)
    link, asked = origin.request()
    assert rig.plane.stats()["idle_upstream"] == 0
    origin.answer(link, asked)
    assert rig.response(client).body == b"ok"
    assert rig.plane.stats()["idle_upstream"] == 1
    client.take()
    client.send(GET % 1)
    link, asked = origin.request(1)
    assert rig.plane.stats()["idle_upstream"] == 0
    origin.answer(link, asked)
    assert rig.response(client).body == b"ok"
    assert rig.plane.stats()["idle_upstream"] == 1
    origin.until(lambda: origin.links[0].end.ended)
    assert rig.plane.stats()["idle_upstream"] == 0
