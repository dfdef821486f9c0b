"""What ends a connection by the other side's fault is told in one line, with the bound and its key, and counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.h2_client import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    RST,
    SETTINGS,
    WINDOW,
    frame,
)
from tests.wire.h2_origin import H2Origin
from tests.wire.h2_raw import HELLO, LOCAL, PROXIED, block, request, served
from tests.wire.libssl_client import TLS1_3, LibsslClient
from tests.wire.plane_rig import Rig
from tests.wire.test_tls_abuse import established
from tests.wire.tls_ends import identity
from worker.plane.cells import Counter
from worker.plane.tls_context import TlsServer

FLOOD = (
    "too many frames that move nothing, the last one a {} frame"
    " (beyond 2,000 points and 200 a second, a fixed bound)"
)
PURSE = " (beyond 2,000 points and 200 a second, a fixed bound)"
RESETS = "too many streams that had to be reset" + PURSE
BLOCK = "a field block far beyond [limits] header_bytes or header_count"
# What is sent, how often, what is said, what is counted.
CLIENTS: dict[str, tuple[bytes, bytes, int, str, Counter]] = {
    "pings": (b"", frame(PING, 0, 0, bytes(8)), 900, FLOOD.format("PING"), Counter.C_H2_FLOOD),
    "settings": (b"", frame(SETTINGS, 0, 0), 900, FLOOD.format("SETTINGS"), Counter.C_H2_FLOOD),
    "windows": (
        b"",
        frame(WINDOW, 0, 0, b"\0\0\0\1"),
        9000,
        FLOOD.format("WINDOW_UPDATE"),
        Counter.C_H2_FLOOD,
    ),
    "unknown frames": (
        b"",
        frame(77, 0, 0, b"abc"),
        2000,
        FLOOD.format("").replace("a  frame", "a frame of an unknown kind"),
        Counter.C_H2_FLOOD,
    ),
    "empty continuations": (
        frame(HEADERS, END_STREAM, 3, b"\x82"),
        frame(CONTINUATION, 0, 3),
        900,
        FLOOD.format("CONTINUATION"),
        Counter.C_H2_FLOOD,
    ),
    "a block without end": (
        frame(HEADERS, END_STREAM, 1, b"\x82"),
        frame(CONTINUATION, 0, 1, b"\0\1a\1b" * 2000),
        400,
        BLOCK,
        Counter.C_H2_BYTES,
    ),
    "a block that is none": (
        b"",
        frame(HEADERS, END_HEADERS, 1, b"\xff" * 20),
        1,
        "a field block that cannot be decoded (RFC 7541)",
        Counter.C_H2_COMPRESSION,
    ),
    "padding longer than its frame": (
        request(1, PROXIED, 0),
        frame(DATA, PADDED, 1, b"\x09abc"),
        1,
        "a DATA frame that may not be (RFC 9113)",
        Counter.C_H2_PROTOCOL,
    ),
    "a ping of seven octets": (
        b"",
        frame(PING, 0, 0, bytes(7)),
        1,
        "a PING frame of a wrong size (RFC 9113)",
        Counter.C_H2_SIZE,
    ),
    "a window beyond its bound": (
        b"",
        frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"),
        2,
        "a WINDOW_UPDATE frame beyond a window (RFC 9113)",
        Counter.C_H2_FLOW,
    ),
}


def told(rig: Rig, said: str, counter: Counter) -> None:
    """One line, one count, and nothing else of either kind."""
    assert rig.events.unwelcomed == [("127.0.0.1", said)]
    assert rig.events.kinds == [counter]
    assert rig.cells.value(counter) == 1
    first, last = Counter.C_H2_PROTOCOL, Counter.C_PROXY_CUT
    assert sum(rig.cells.value(n) for n in range(first, last + 1)) == 1


@pytest.mark.parametrize("name", list(CLIENTS))
def test_a_client_of_http2(plane: Rig, name: str) -> None:
    first, data, times, said, counter = CLIENTS[name]
    client = plane.client(HELLO + first)
    for n in range(times):
        client.send(data)
        if n % 50 == 0:
            plane.move()
    plane.ended(client)
    told(plane, "HTTP/2: " + said, counter)
    served(plane)


def test_what_is_no_preface(plane: Rig) -> None:
    client = plane.client(HELLO[:20] + b"x" * 20)
    plane.ended(client)
    if client.got.startswith(b"HTTP/1.1 "):  # it was not taken for HTTP/2 at all
        assert plane.events.unwelcomed == []
    else:
        told(plane, "HTTP/2: it did not begin as RFC 9113 3.4 has it", Counter.C_H2_PROTOCOL)


def test_rapid_resets_and_streams_that_are_made_to_be_reset(plane: Rig) -> None:
    client = plane.client(HELLO)
    stream = 1
    while not client.ended and stream < 20000:
        client.send(request(stream, PROXIED) + frame(WINDOW, 0, stream, bytes(4)))
        stream += 2
        if stream % 101 == 0:
            plane.move()
    plane.ended(client)
    told(plane, "HTTP/2: " + RESETS, Counter.C_H2_RESETS)
    other = plane.client(HELLO)
    stream = 1
    while not other.ended and stream < 20000:
        other.send(request(stream, PROXIED) + frame(RST, 0, stream, b"\0\0\0\x08"))
        stream += 2
        if stream % 101 == 0:
            plane.move()
    plane.ended(other)
    assert plane.events.unwelcomed[1][1] in (  # the last straw is one of the two that it sends
        "HTTP/2: " + FLOOD.format("RST_STREAM"),
        "HTTP/2: " + FLOOD.format("HEADERS"),
    )


def test_streams_beyond_the_bound(plane: Rig) -> None:
    client = plane.client(HELLO)
    for n in range(10000):
        client.send(request(2 * n + 1, PROXIED))
        if n % 100 == 0:
            plane.move()
        if client.ended:
            break
    plane.ended(client)
    told(
        plane,
        "HTTP/2: more and more streams beyond [limits] streams" + PURSE,
        Counter.C_H2_STREAMS,
    )


def test_a_field_block_in_slow_pieces(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(header_ms=100)
    client = rig.client(HELLO + frame(HEADERS, END_STREAM, 1, block(LOCAL)[:3]))
    rig.ended(client)
    said = "HTTP/2: a field block that did not end within [timeouts] header"
    told(rig, said, Counter.C_H2_SLOW)


def test_a_client_that_takes_nothing(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(send_ms=200, route={"h2": False})
    client = rig.client(HELLO, receive_buffer=4096)
    client.reading = False
    client.send(b"".join(frame(PING, 0, 0, bytes(8)) for _ in range(100)))
    for stream in range(1, 100, 2):
        client.send(request(stream, [*LOCAL[:3], (":path", "/large")]))
    big = b"x" * 60000
    for number in range(50):
        rig.until(lambda n=number: len(rig.origins[0].ends) > n)
        end = rig.origins[0].ends[number]
        end.send(b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 0\r\n\r\n" % big)
    rig.until(lambda: rig.plane.stats()["clients"] == 0)
    told(rig, "HTTP/2: nothing was read within [timeouts] send", Counter.C_H2_UNREAD)
    client.reading = True


def test_an_origin_of_http2_that_breaks_its_protocol(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"h2": True})
    client = rig.client(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    origin = H2Origin(rig)
    link, _ = origin.request()
    link.end.send(frame(PING, 0, 0, bytes(7)))
    assert rig.response(client).status == 502
    peer = f"127.0.0.1:{rig.origins[0].port}"
    assert rig.events.broke == [(peer, "HTTP/2: a PING frame of a wrong size (RFC 9113)")]
    assert rig.cells.value(Counter.C_H2_ORIGIN_SIZE) == 1
    assert rig.events.unwelcomed == []


@pytest.fixture
def server() -> TlsServer:
    return TlsServer(identity())


@pytest.mark.parametrize("flood", [True, False])
def test_tls_after_its_handshake(
    make_rig: Callable[..., Rig], server: TlsServer, flood: bool
) -> None:
    rig = make_rig(tls=server)
    made: list[LibsslClient] = []
    end, client = established(rig, made, TLS1_3)
    if flood:
        for _ in range(5000):
            client.update_keys(asks=False)
        end.send(client.drain())
    else:
        end.send(b"\x17\x03\x03\x00\x40" + bytes(64))  # encrypted by nobody
    rig.ended(end)
    rig.until(lambda: rig.events.unwelcomed)
    [(who, said)] = rig.events.unwelcomed
    assert who == "127.0.0.1"
    assert said.startswith("TLS: ")
    if flood:
        told(
            rig,
            "TLS: it goes on and on without data (a fixed bound of octets)",
            Counter.C_BROKEN_TLS_FLOOD,
        )
    else:
        told(rig, said, Counter.C_BROKEN_TLS_PROTOCOL)
    for one in made:
        one.close()


def test_who_leaves_in_good_order_or_without_a_word_is_not_blamed(
    make_rig: Callable[..., Rig], server: TlsServer
) -> None:
    rig = make_rig(tls=server)
    made: list[LibsslClient] = []
    for number in range(3):
        end, client = established(rig, made, TLS1_3)
        if number == 0:
            client.say_goodbye()
            end.send(client.drain())
            rig.ended(end)
        elif number == 1:
            end.close()
        else:
            end.reset()
    rig.until(lambda: rig.plane.stats()["clients"] == 0)
    assert rig.events.unwelcomed == []
    for one in made:
        one.close()


LOOPBACK = [(bytes([127, 0, 0, 0]), 8)]


@pytest.mark.parametrize(
    ("data", "said", "counter"),
    [
        (b"GET / HTTP/1.1\r\n", "it begins with no PROXY", Counter.C_PROXY_MALFORMED),
        (b"PROXY TCP4 1", "did not come within [timeouts] header", Counter.C_PROXY_SLOW),
        (b"PROXY TCP4 2", "it ended within its PROXY header", Counter.C_PROXY_CUT),
    ],
)
def test_a_proxy_header(
    make_rig: Callable[..., Rig], data: bytes, said: str, counter: Counter
) -> None:
    rig = make_rig(announced=LOOPBACK, header_ms=150)
    end = rig.client(data)
    if counter == Counter.C_PROXY_CUT:
        end.half_close()
    rig.ended(end)
    assert said in rig.events.unwelcomed[0][1]
    told(rig, rig.events.unwelcomed[0][1], counter)


@pytest.mark.parametrize(
    ("counter", "data", "ends"),
    [
        (Counter.C_TLS_PLAIN, b"GET / HTTP/1.1\r\n\r\n", False),
        (Counter.C_TLS_HELLO, b"\x16\x03\x01\x00\x04\x01\x01\xff\xff", False),
        (Counter.C_TLS_TIMEOUT, b"\x16\x03\x01", False),
        (Counter.C_TLS_CLOSED, b"\x16\x03\x01", True),
        (Counter.C_TLS_PROTOCOL, b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", False),
    ],
)
def test_a_handshake_that_comes_to_nothing_is_counted_by_its_reason(
    make_rig: Callable[..., Rig], server: TlsServer, counter: Counter, data: bytes, ends: bool
) -> None:
    rig = make_rig(tls=server, scheme="https", handshake_ms=200)
    end = rig.client(data)
    if ends:
        end.half_close()
    rig.ended(end)
    [(_, said)] = rig.events.unwelcomed
    assert said.startswith("TLS handshake: ")
    assert rig.events.kinds == [counter]
    assert rig.cells.value(counter) == 1
