"""What is fuzzed of an HTTP/2 connection: a client's octets, an origin's, at cuts that they choose themselves.

Whatever comes: what the origin got is well-framed HTTP/1.1 to an independent parser (h11), and every whole request in
it is one that the client had sent to its end. What the client got is a row of whole frames whose field blocks an
independent decoder (hpack) reads, no longer than its windows were, and a 200 that ends has the origin's whole body.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from itertools import count

import hpack

from tests.fuzz.pair_targets import (
    ARENA_BYTES,
    BETWEEN,
    BULK,
    BULK_BYTES,
    CLOSES,
    USES_IO_URING,
    answer_in,
    parts,
    play,
    requests_in,
)
from tests.wire.h2_client import (
    ACK,
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
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 81920\r\n\r\n" + 5 * BULK
HELLO = PREFACE + frame(SETTINGS, 0, 0)
NARROW = PREFACE + frame(SETTINGS, 0, 0, b"\0\4\0\0\0\5")  # windows of five octets
FIRST_WINDOW = 65535  # RFC 9113 6.9.2
PLAYED = count()


def h2_pair(data: bytes) -> None:
    """One client and one origin, and what each of them must have seen."""
    sent, script, cuts = parts(data)
    flags = cuts[0] if cuts else 0
    closes = bool(flags & CLOSES)
    rig = Rig(built_in=(LOCAL_ROUTE,), arena_bytes=ARENA_BYTES)
    try:
        if flags & USES_IO_URING and rig.plane.use_io_uring():
            rig.plane.reactor.batch.few = 0
        play(rig, sent, script, cuts[1:], closes)
        for end in rig.origins[0].ends:
            found, bad = requests_in(bytes(end.got))
            assert not bad, bytes(end.got[:999])
            if sent.startswith(PREFACE):
                assert {body for _, body in found} <= bodies_sent(sent), bytes(end.got[:999])
        if sent.startswith(PREFACE):
            got = bytes(rig.clients[0].got)
            check_client(got, whole=rig.clients[0].ended != "reset")
            check_windows(sent, got)
            check_bodies(got, *answer_in(script, cuts, closes))
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
    assert not whole or sum(9 + len(payload) for *_, payload in frames) == len(got), got[-99:]
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


def payload_of(flags: int, payload: bytes) -> bytes:
    """Of a DATA frame, without its padding."""
    return payload[1 : len(payload) - payload[0]] if flags & PADDED and payload else payload


def client_frames(sent: bytes) -> list[tuple[int, int, int, bytes]]:
    """As the plane reads them: the bit before a stream's number means nothing (RFC 9113 4.1)."""
    frames = frames_of(sent[len(PREFACE) :])
    return [(kind, flags, stream & 0x7FFFFFFF, payload) for kind, flags, stream, payload in frames]


def bodies_sent(sent: bytes) -> set[bytes]:
    """Of every request that its client has ended, whatever the plane made of it.

    All of a body may be there before the padding behind it: zeros stand for what is missing of the last frame.
    """
    bodies: dict[int, bytes] = {}
    ended: set[bytes] = set()
    for kind, flags, stream, payload in client_frames(sent + bytes(BULK_BYTES)):
        if kind == DATA:
            bodies[stream] = bodies.get(stream, b"") + payload_of(flags, payload)
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            ended.add(bodies.get(stream, b""))
    return ended


def check_windows(sent: bytes, got: bytes) -> None:
    """No stream, and not all of them together, got more than the client has ever had room for (RFC 9113 6.9)."""
    window, room, most = FIRST_WINDOW, {0: FIRST_WINDOW}, {0: FIRST_WINDOW}
    for kind, flags, stream, payload in client_frames(sent):
        if kind in (HEADERS, WINDOW):
            room.setdefault(stream, window)
        if kind == WINDOW and len(payload) == 4:
            room[stream] += int.from_bytes(payload, "big") & 0x7FFFFFFF
        changes = range(0, len(payload) - 5, 6) if kind == SETTINGS and not flags & ACK else ()
        for at in changes:
            if payload[at : at + 2] == b"\0\4":
                by = int.from_bytes(payload[at + 2 : at + 6], "big") - window
                window += by
                room = {one: size + (by if one else 0) for one, size in room.items()}
                most = {one: max(size, most.get(one, size)) for one, size in room.items()}
        most = {one: max(size, most.get(one, size)) for one, size in room.items()}
    for kind, _, stream, payload in frames_of(got):
        if kind == DATA:
            for one in (0, stream):
                most[one] -= len(payload)
                assert most[one] >= 0, one


def check_bodies(got: bytes, body: bytes | None, refused: bool) -> None:
    """What DATA frames brought of a 200, when it has ended, is our own text or the origin's body from end to end."""
    decoder = hpack.Decoder()
    bodies: dict[int, bytes] = {}
    good: set[int] = set()
    head = b""
    for kind, flags, stream, payload in frames_of(got):
        if kind in (HEADERS, CONTINUATION):
            head += payload
            if flags & END_HEADERS:
                fields, head = decoder.decode(head, raw=True), b""
                if (b":status", b"200") in fields:
                    good.add(stream)
        if kind == DATA:
            bodies[stream] = bodies.get(stream, b"") + payload
        ended = kind in (DATA, HEADERS) and flags & END_STREAM and stream in good & bodies.keys()
        if ended and not refused:
            assert bodies[stream] in (body, b"here"), (bodies[stream][:99], body and body[:99])


def seed(*parts: bytes, answer: bytes = OK, cuts: bytes = b"\x00") -> bytes:
    return BETWEEN.join([b"".join(parts), answer, cuts])


POST = [(":method", "POST"), *PROXIED[1:]]
FULL = frame(DATA, 0, 1, bytes(16384)).replace(bytes(16384), BULK)
WIDER = frame(WINDOW, 0, 0, b"\0\2\0\0")
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
        seed(HELLO, request(1, PROXIED), request(3, PROXIED), WIDER, answer=LONG),
        seed(
            HELLO, request(1, POST, 0), *(17 * [FULL]), frame(DATA, 1, 1, b"end"), cuts=b"\x00\xff"
        ),
        seed(HELLO, request(1, POST, 0), *(4 * [FULL]), frame(DATA, 1, 1), answer=CHUNKED),
        seed(HELLO, request(1, POST, 0), *(16 * [FULL]), frame(DATA, 0, 1, b"x")),
        seed(HELLO, request(1, POST, 0), frame(DATA, PADDED, 1, b"\x06abcde")),
        seed(HELLO, request(1, COUNTED, 0), frame(DATA, 0, 1, b"abc"), request(1, [("x", "y")])),
    ]
}
WORDS = [
    *(bytes([kind]) for kind in range(10)),
    BULK,
    FULL,
    WIDER,
    frame(DATA, 1, 1),
    frame(SETTINGS, 1, 0),
    frame(WINDOW, 0, 0, b"\x7f\xff\xff\xff"),
    frame(RST, 0, 1, bytes(4)),
    frame(HEADERS, 5, 5, block(PROXIED)),
    b"\x00\x00\x05",
    b"\x00\x40\x00",
]
TARGETS: dict[str, Callable[[bytes], None]] = {"h2-pair": h2_pair}
