"""Long bodies by splice(2): every byte, back-pressure, ends of all kinds, and keep-alive after them."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.wire.plane_ends import End
from tests.wire.plane_rig import Rig

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
POST = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
SMALL_OK = OK % 2 + b"ok"
LONG = random.Random(1).randbytes(5_000_001)
SLOW = 65536  # a receive buffer that stops a sender soon


@pytest.fixture(autouse=True)
def no_descriptor_leaks() -> Iterator[None]:
    before = open_pipes()
    yield
    # the rig is closed after this: its spare pipes may still be there, others not
    assert open_pipes() - before <= 2 * 16


def open_pipes() -> int:
    return sum(is_pipe(name) for name in os.listdir("/proc/self/fd"))


def is_pipe(name: str) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{name}").startswith("pipe:")
    except OSError:
        return False


def spliced(plane: Rig) -> int:
    return int(plane.plane.stats()["spliced_bytes"])


def begin_download(plane: Rig, body: bytes, **how: Any) -> tuple[End, End]:
    client = plane.client(GET % 1, **how)
    origin = plane.origin(wanted=b"GET /1 ")
    origin.take()
    origin.send(OK % len(body))
    return client, origin


@pytest.mark.parametrize("size", [65535, 65536, 65537, 70000, 262144, 1 << 20, len(LONG)])
def test_a_download_arrives_whole_and_both_connections_are_used_again(
    plane: Rig, size: int
) -> None:
    body = LONG[:size]
    client = plane.client()
    for number in range(3):
        client.send(GET % number)
        origin = plane.origin(wanted=b"GET /%d " % number)
        origin.take()
        origin.send(OK % size + body)
        assert plane.response(client).body == body
        head = bytes(client.take()).partition(b"\r\n\r\n")[0]
        line = plane.lines(number + 1)[-1]
        assert (line.status, line.ending, line.bytes_sent) == (200, "ok", len(head) + 4 + size)
    assert len(plane.origins[0].ends) == 1
    if size >= 262144:
        assert spliced(plane) > 0


def test_most_of_a_long_body_never_comes_into_user_space(plane: Rig) -> None:
    client, origin = begin_download(plane, LONG)
    plane.until(lambda: client.got)
    origin.send(LONG)
    assert plane.response(client).body == LONG
    assert spliced(plane) > len(LONG) * 3 // 4


def test_pieces_of_every_size_and_pauses(plane: Rig) -> None:
    client, origin = begin_download(plane, LONG)
    sizes = random.Random(2)
    at = 0
    while at < len(LONG):
        size = sizes.choice([1, 10, 1000, 16384, 16385, 100_000, 900_000])
        origin.send(LONG[at : at + size])
        at += size
        for _ in range(sizes.randrange(4)):
            plane.move()
    assert plane.response(client).body == LONG


def test_a_slow_client_holds_the_origin_up(plane: Rig) -> None:
    body = LONG * 8
    client, origin = begin_download(plane, body, receive_buffer=SLOW)
    client.reading = False
    origin.send(body)
    plane.settle()
    assert len(origin.unsent) > 8_000_000
    assert plane.plane.stats()["arena_used_bytes"] - plane.baseline < 600_000
    plane.settle(0.3)  # the kernel's buffers may still shift a little, and then hold no more
    assert len(origin.unsent) > 8_000_000
    client.reading = True
    assert plane.response(client).body == body
    assert plane.lines(1)[0].ending == "ok"


def test_the_next_answer_comes_behind_what_is_still_in_the_pipe(plane: Rig) -> None:
    client, origin = begin_download(plane, LONG, receive_buffer=SLOW)
    client.reading = False
    client.send(GET % 2 + b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    origin.send(LONG)
    plane.settle()
    client.reading = True
    plane.until(lambda: b"GET /2 " in origin.got)
    origin.send(SMALL_OK)
    assert [m.body for m in plane.responses(client, 3)] == [LONG, b"ok", b"here"]


def test_an_origin_that_closes_behind_its_body_while_the_client_is_slow(plane: Rig) -> None:
    client, origin = begin_download(plane, LONG, receive_buffer=SLOW)
    client.reading = False
    origin.send(LONG)
    plane.until(lambda: not origin.unsent or not plane.move())
    client.reading = True
    plane.until(lambda: not origin.unsent)
    origin.close()
    assert plane.response(client).body == LONG


@pytest.mark.parametrize("how", ["close", "reset"])
def test_an_origin_that_ends_too_early_leaves_a_visible_cut(plane: Rig, how: str) -> None:
    client, origin = begin_download(plane, LONG)
    origin.send(LONG[:3_000_000])
    plane.until(lambda: len(client.got) > 2_900_000)
    getattr(origin, how)()
    plane.ended(client)
    body = bytes(client.got).partition(b"\r\n\r\n")[2]
    assert LONG.startswith(body)
    assert len(body) <= 3_000_000
    assert plane.lines(1)[0].ending != "ok"


def test_a_client_that_goes_away_ends_the_download(plane: Rig) -> None:
    client, origin = begin_download(plane, LONG * 8, receive_buffer=SLOW)
    origin.send(LONG * 8)
    plane.until(lambda: len(client.got) > 1_000_000)
    client.reset()
    plane.clients.remove(client)
    plane.ended(origin)
    assert plane.lines(1)[0].ending != "ok"


def test_an_origin_that_stops_is_not_waited_for(make_rig: Callable[..., Rig]) -> None:
    plane = make_rig(route={"response_ms": 200})
    client, origin = begin_download(plane, LONG)
    origin.send(LONG[:2_000_000])
    plane.ended(client)
    assert 1_900_000 < len(client.got) < 2_001_000
    assert [status for status, _ in plane.events.refusals] == [504]


def test_chunked_and_bodiless_answers_take_the_ordinary_way(plane: Rig) -> None:
    client = plane.client(GET % 1)
    origin = plane.origin(wanted=b"GET /1 ")
    origin.take()
    chunks = b"".join(b"%x\r\n%s\r\n" % (100_000, LONG[:100_000]) for _ in range(10))
    origin.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert plane.response(client).body == LONG[:100_000] * 10
    client.take()
    client.send(b"HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    plane.origin(wanted=b"HEAD /2 ").send(OK % 5_000_000)
    assert plane.response(client, heads_only={0}).get(b"Content-Length") == b"5000000"
    client.take()
    client.send(GET % 3)
    plane.origin(wanted=b"GET /3 ").send(SMALL_OK)
    assert plane.response(client).body == b"ok"
    assert spliced(plane) == 0


class Phases(SimpleNamespace):
    """What the plane looks at of bound phases."""

    def __getattr__(self, name: str) -> None:
        return None


@pytest.mark.parametrize("name", ["response_body_filter", "request_body_filter"])
def test_a_body_that_a_hook_wants_to_see_comes_into_user_space(
    make_rig: Callable[..., Rig], name: str
) -> None:
    plane = make_rig(hooks=Phases(**{name: lambda *_: None}))
    if name == "response_body_filter":
        client, origin = begin_download(plane, LONG)
        origin.send(LONG)
        assert plane.response(client).body == LONG
    else:
        upload(plane, LONG)
    assert spliced(plane) == 0


def test_without_descriptors_for_pipes_bodies_pass_all_the_same(plane: Rig) -> None:
    client, origin = begin_download(plane, LONG)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert highest > 0
        origin.send(LONG)
        for _ in range(2000):
            origin.move()
            client.move()
            plane.plane.ready()
            if len(client.got) > len(LONG):
                break
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert plane.response(client).body == LONG
    assert spliced(plane) == 0


# ---- uploads


def upload(plane: Rig, body: bytes, number: int = 1) -> End:
    client = plane.client(POST % (number, len(body)) + body)
    origin = plane.origin(wanted=b"POST /%d " % number)
    plane.until(lambda: bytes(origin.got).partition(b"\r\n\r\n")[2] == body)
    return client


@pytest.mark.parametrize("size", [65536, 90_000, 300_000, len(LONG)])
def test_an_upload_arrives_whole_and_both_connections_are_used_again(plane: Rig, size: int) -> None:
    body = LONG[:size]
    client = plane.client()
    for number in range(3):
        head = POST % (number, size)
        client.send(head + body)
        origin = plane.origin(wanted=b"POST /%d " % number)
        plane.until(lambda: bytes(origin.got).partition(b"\r\n\r\n")[2] == body)  # noqa: B023
        origin.take()
        origin.send(SMALL_OK)
        assert plane.response(client).body == b"ok"
        client.take()
        line = plane.lines(number + 1)[-1]
        assert (line.status, line.request_bytes) == (200, len(head) + size)
    assert len(plane.origins[0].ends) == 1
    if size == len(LONG):
        assert spliced(plane) > 2 * size


def test_an_origin_that_does_not_read_holds_the_client_up(plane: Rig) -> None:
    body = LONG * 8
    plane.origins[0].socket.setsockopt(1, 8, SLOW)  # SO_RCVBUF, before it accepts
    client = plane.client(POST % (1, len(body)))
    origin = plane.origin(wanted=b"\r\n\r\n")
    origin.reading = False
    client.send(body)
    plane.settle()
    assert len(client.unsent) > 8_000_000
    assert plane.plane.stats()["arena_used_bytes"] - plane.baseline < 600_000
    plane.settle(0.3)  # the kernel's buffers may still shift a little, and then hold no more
    assert len(client.unsent) > 8_000_000
    origin.reading = True
    plane.until(lambda: bytes(origin.got).endswith(body))
    origin.send(SMALL_OK)
    assert plane.response(client).body == b"ok"


def test_an_answer_before_the_upload_is_over(plane: Rig) -> None:
    client = plane.client(POST % (1, len(LONG)) + LONG[:2_000_000])
    origin = plane.origin(wanted=b"POST /1 ")
    plane.until(lambda: len(origin.got) > 1_500_000)
    origin.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    plane.until(lambda: b"\r\n\r\nno" in client.got)
    client.send(LONG[2_000_000:])
    plane.ended(client)
    assert bytes(client.got).count(b"HTTP/1.1 ") == 1
    plane.ended(origin)


def test_an_origin_that_breaks_off_in_an_upload(plane: Rig) -> None:
    client = plane.client(POST % (1, len(LONG)) + LONG[:2_000_000])
    origin = plane.origin(wanted=b"POST /1 ")
    plane.until(lambda: len(origin.got) > 1_500_000)
    origin.reset()
    plane.origins[0].ends.remove(origin)
    plane.until(lambda: b"HTTP/1.1 502 " in client.got)
    assert plane.lines(1)[0].status == 502


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_breaks_off_in_an_upload(plane: Rig, how: str) -> None:
    client = plane.client(POST % (1, len(LONG)) + LONG[:2_000_000])
    origin = plane.origin(wanted=b"POST /1 ")
    plane.until(lambda: len(origin.got) > 1_500_000)
    getattr(client, how)()
    plane.clients.remove(client)
    plane.ended(origin)
    assert plane.lines(1)[0].status == 499


def test_the_request_behind_an_upload_is_not_part_of_it(plane: Rig) -> None:
    client = plane.client(POST % (1, len(LONG)) + LONG + GET % 2)
    origin = plane.origin(wanted=b"POST /1 ")
    plane.until(lambda: bytes(origin.got).endswith(LONG))
    plane.settle()
    assert bytes(origin.got).endswith(LONG)
    origin.take()
    origin.send(SMALL_OK)
    plane.until(lambda: b"GET /2 " in origin.got)
    origin.send(SMALL_OK)
    assert [m.body for m in plane.responses(client, 2)] == [b"ok", b"ok"]
