"""What is fuzzed of an HTTP/2 connection: a client's octets, an origin's, at cuts that they choose themselves.

Whatever comes: what the origin got is well-framed HTTP/1.1 to an independent parser (h11), what the client got is a
row of whole frames whose field blocks an independent decoder (hpack) reads, and nothing stays in the plane.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import count

import hpack

from tests.fuzz.pair_targets import BETWEEN, CLOSES, USES_IO_URING, play, requests_in
from tests.wire.h2_client import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    RST,
    SETTINGS,
    WINDOW,
    frame,
    frames_of,
)
from tests.wire.h2_raw import LOCAL, PROXIED, block, request
from tests.wire.plane_rig import LOCAL as LOCAL_ROUTE
from tests.wire.plane_rig import Rig

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + bytes(70000)
HELLO = PREFACE + frame(SETTINGS, 0, 0)
NARROW = PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\5")  # windows of five octets
PLAYED = count()


def h2_pair(data: bytes) -> None:
    """One client and one origin, and what each of them must have seen."""
    sent, _, rest = data.partition(BETWEEN)
    script, _, cuts = rest.partition(BETWEEN)
    flags = cuts[0] if cuts else 0
    rig = Rig(built_in=(LOCAL_ROUTE,))
    try:
        if flags & USES_IO_URING and rig.plane.use_io_uring():
            rig.plane.reactor.batch.few = 0
        play(rig, sent, script, cuts[1:], bool(flags & CLOSES))
        for end in rig.origins[0].ends:
            _, bad = requests_in(bytes(end.got))
            assert not bad, bytes(end.got)
        if sent.startswith(PREFACE):
            check_client(bytes(rig.clients[0].got), whole=rig.clients[0].ended != "reset")
    finally:
        rig.close()
        if next(PLAYED) % 64 == 0:
            gc.collect()  # a plane's parts know each other: its epoll set is open until then


def check_client(got: bytes, *, whole: bool) -> None:
    """Every octet belongs to a frame, streams end once, and the decoder follows."""
    decoder = hpack.Decoder()
    frames = frames_of(got)
    blocks: dict[int, bytes] = {}
    ended: set[int] = set()
    assert not whole or sum(9 + len(payload) for *_, payload in frames) == len(got), got
    assert not frames or frames[0][0] == SETTINGS
    for kind, flags, stream, payload in frames:
        assert len(payload) <= 16384
        if kind in (HEADERS, CONTINUATION):
            blocks[stream] = blocks.get(stream, b"") + payload
            if flags & END_HEADERS:
                decoder.decode(blocks.pop(stream), raw=True)
        if kind in (HEADERS, DATA):
            assert stream not in ended, stream
            if flags & END_STREAM:
                ended.add(stream)


def seed(*parts: bytes, answer: bytes = OK, cuts: bytes = b"\x00") -> bytes:
    return BETWEEN.join([b"".join(parts), answer, cuts])


POST = [(":method", "POST"), *PROXIED[1:]]
COUNTED = [*POST, ("content-length", "5")]
SEEDS: dict[str, list[bytes]] = {
    "h2-pair": [
        seed(HELLO, request(1, LOCAL), request(3, PROXIED)),
        seed(HELLO, request(1, PROXIED), answer=CHUNKED, cuts=b"\x00\x03\x30"),
        seed(HELLO, request(1, PROXIED), frame(WINDOW, 0, 1, b"\0\1\0\0"), answer=LONG),
        seed(NARROW, request(1, PROXIED), frame(WINDOW, 0, 1, b"\0\0\0\7"), answer=CHUNKED),
        seed(NARROW, request(1, PROXIED), frame(SETTINGS, 0, 0, b"\0\4\0\1\0\0"), answer=LONG),
        seed(HELLO, request(1, POST, 0), frame(DATA, 0, 1, b"abc"), frame(DATA, 1, 1, b"de")),
        seed(HELLO, request(1, COUNTED, 0), frame(DATA, 1 | PADDED, 1, b"\x03abcde\0\0\0")),
        seed(
            HELLO,
            request(1, POST, 0),
            frame(DATA, 0, 1, bytes(9000)),
            frame(HEADERS, 5, 1, block([("x-sum", "1")])),
            answer=CHUNKED,
            cuts=b"\x02\xff\x01",
        ),
        seed(HELLO, request(1, POST, 0), frame(RST, 0, 1, b"\0\0\0\x08"), request(3, PROXIED)),
        seed(
            HELLO,
            frame(HEADERS, END_STREAM, 1, block(PROXIED)[:4]),
            frame(CONTINUATION, 0, 1, block(PROXIED)[4:9]),
            frame(CONTINUATION, END_HEADERS, 1, block(PROXIED)[9:]),
        ),
        seed(HELLO, frame(PING, 0, 0, b"12345678"), frame(PRIORITY, 0, 1, bytes(5)), request(1)),
        seed(HELLO, request(1, COUNTED, 0), frame(DATA, 1, 1, b"abcdef"), request(3, PROXIED)),
    ]
}
WORDS = [
    *(bytes([kind]) for kind in range(10)),
    frame(DATA, 1, 1),
    frame(SETTINGS, 1, 0),
    frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"),
    frame(RST, 0, 1, bytes(4)),
    frame(HEADERS, 5, 5, block(PROXIED)),
    b"\x00\x00\x05",
    b"\x00\x40\x00",
]
TARGETS: dict[str, Callable[[bytes], None]] = {"h2-pair": h2_pair}
