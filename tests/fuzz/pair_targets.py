"""What is fuzzed of the pair of connections: octets of a client and of an origin, at cuts that they choose themselves.

Whatever comes, an independent parser (h11) must read what the origin got, find in it only requests that the client
meant, and the client must never hold a whole response that the origin did not finish.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

import h11

from tests.fuzz.h1_targets import WORDS as H1_WORDS
from tests.wire.h1_corpus_requests import ALL
from tests.wire.plane_ends import End, read_messages
from tests.wire.plane_rig import Rig

BETWEEN = b"\xff|\xff"  # the client's octets, the origin's, and how they are cut
BULK = b"\xff#\xff"  # stands for as many zeros as a frame takes, so that short input fills windows and splices
BULK_BYTES = 16384
MOST_BULK = 24  # together more than a window of ours, or than a socket's buffers
MOST_PIECES = 2000
ARENA_BYTES = 32 << 20  # the sanitizers mark every octet of it, each time
QUIET_SECONDS = 0.004
CLOSES = 1  # bits of the last part's first octet
USES_IO_URING = 2
Request = tuple[bytes, bytes]  # method, body
PLAYED = count()


def requests_in(data: bytes) -> tuple[list[Request], bool]:
    """The whole requests that h11 reads in these octets, and whether it refused what follows."""
    found: list[Request] = []
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    try:
        while (request := next_request(parser)) is not None:
            found.append(request)
            parser.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            parser.send(h11.EndOfMessage())
            if parser.our_state is not h11.DONE:
                return found, parser.trailing_data[0] != b""
            parser.start_next_cycle()
    except h11.ProtocolError:
        return found, True
    return found, False


def next_request(parser: h11.Connection) -> Request | None:
    """The next whole one, or None while it is not there."""
    method, body = b"", b""
    while True:
        match parser.next_event():
            case h11.Request(method=name):
                method = name
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage():
                return method, body
            case _:
                return None


def answer_in(script: bytes, cuts: bytes, closes: bool) -> tuple[bytes | None, bool]:
    """The body that a client may get of the origin's script (None: not whole), and whether nobody can tell.

    What comes later than the response may as well be the answer to the next request.
    """
    body, refused, behind = response_in(script, closes)
    return body, refused or (behind and next(pieces(script, cuts[1:])) != script)


def response_in(data: bytes, closed: bool) -> tuple[bytes | None, bool, bool]:
    """The body of the final response in an answer to GET, whether h11 refused it, and whether more follows.

    What ends too early is not refused: it is no whole response, and must not look like one.
    """
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(data)
    body, at_end = b"", False
    try:
        while True:
            match parser.next_event():
                case h11.Data(data=part):
                    body += part
                case h11.EndOfMessage():
                    return body, False, parser.trailing_data[0] != b""
                case h11.InformationalResponse() | h11.Response():
                    pass
                case h11.NEED_DATA if closed and not at_end:
                    at_end = True
                    parser.receive_data(b"")
                case _:
                    return None, False, False
    except h11.ProtocolError:
        return None, not at_end, False


def blown_up(data: bytes) -> bytes:
    """The octets that a short input stands for."""
    return data.replace(BULK, bytes(BULK_BYTES), MOST_BULK)


def pieces(data: bytes, cuts: bytes) -> Iterator[bytes]:
    """The octets in pieces, whose sizes are the cuts', round and round; after many pieces the rest at once."""
    at = turn = 0
    while at < len(data):
        size = 1 + (cuts[turn % len(cuts)] if cuts else 255)
        if turn == MOST_PIECES:
            size = len(data)
        yield data[at : at + size]
        at, turn = at + size, turn + 1


def parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """What the client sends, what the origin answers, and the cuts."""
    sent, _, rest = data.partition(BETWEEN)
    script, _, cuts = rest.partition(BETWEEN)
    return blown_up(sent), blown_up(script), cuts


def heads_in(end: End) -> int:
    return end.got.count(b" HTTP/1.1\r\n")


def play(rig: Rig, sent: bytes, script: bytes, cuts: bytes, closes: bool) -> None:
    """The client sends in pieces; an origin answers every request head that it sees with its script."""
    answered: Counter[int] = Counter()

    def answer() -> None:
        rig.settle(QUIET_SECONDS)
        ends = rig.origins[0].ends
        while any(heads_in(end) > answered[id(end)] for end in ends):
            for end in ends:
                if heads_in(end) > answered[id(end)]:
                    answered[id(end)] += 1
                    for piece in pieces(script, cuts):
                        end.send(piece)
                        rig.move()
                    if closes and not end.unsent and not end.ended:
                        end.half_close()
            rig.settle(QUIET_SECONDS)

    client = rig.client()
    for piece in pieces(sent, cuts):
        client.send(piece)
        rig.move()
    answer()


def pair(data: bytes) -> None:
    """One client and one origin, and what each of them must have seen."""
    sent, script, cuts = parts(data)
    flags = cuts[0] if cuts else 0
    closes = bool(flags & CLOSES)
    rig = Rig(built_in=(), arena_bytes=ARENA_BYTES)
    try:
        if flags & USES_IO_URING and rig.plane.use_io_uring():
            rig.plane.reactor.batch.few = 0
        play(rig, sent, script, cuts[1:], closes)
        meant, refused = requests_in(sent)
        check_origin(rig, Counter(meant), refused)
        check_client(rig.clients[0], meant, *answer_in(script, cuts, closes))
    finally:
        rig.close()
        if next(PLAYED) % 8 == 0:
            gc.collect()  # a plane's parts know each other: its epoll set is open until then


def check_origin(rig: Rig, meant: Counter[Request], refused: bool) -> None:
    """Everything that went upstream is well framed, and the client meant it."""
    for end in rig.origins[0].ends:
        got, bad = requests_in(bytes(end.got))
        assert not bad, bytes(end.got[:999])
        if not refused:  # a retry sends the same again
            assert set(got) <= set(meant), str((got, meant))[:999]


def check_client(client: End, meant: list[Request], body: bytes | None, refused: bool) -> None:
    """What came back is well framed; a whole 2xx has the whole body of the origin's answer."""
    if any(method in (b"HEAD", b"CONNECT") for method, _ in meant):
        return  # which of the answers have a body is the reader's guess then
    whole = [
        message
        for message in read_messages(bytes(client.got), closed=client.ended == "fin")
        if message.whole and 200 <= message.status < 300
    ]
    if not refused:
        for message in whole:
            assert message.body == body, (message.line, message.body[:99], body and body[:99])


TARGETS: dict[str, Callable[[bytes], None]] = {"h1-pair": pair}

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"
OLD = b"GET /d HTTP/1.0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = [
    OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nT: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort",
    OK + OK,
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    b"nonsense",
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Length: 98304\r\n\r\n" + 6 * BULK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14000\r\n" + 5 * BULK + b"\r\n0\r\n\r\n",
]
CUTS = [b"\x00", b"\x01", b"\x02\x00", b"\x03\x04\x11", b"\x01\xff"]
LONG = b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 98304\r\n\r\n" + 6 * BULK
CLIENTS = [GET, POST, CHUNKS, OLD, GET + POST + CHUNKS + GET, POST[:-2], CHUNKS[:-3], LONG + GET]
SEEDS: dict[str, list[bytes]] = {
    "h1-pair": [
        BETWEEN.join([client, answer, CUTS[(i + j) % len(CUTS)]])
        for i, client in enumerate(CLIENTS)
        for j, answer in enumerate(ANSWERS)
    ]
    + [BETWEEN.join([GET + GET, OK + OK[:-2] + b"no", b"\x00"])]
    + [
        BETWEEN.join([case.data + GET, ANSWERS[i % 3], CUTS[i % len(CUTS)]])
        for i, case in enumerate(ALL)
    ]
}
WORDS = [*H1_WORDS, BETWEEN, BULK, b"0\r\n\r\n", b"5\r\n", b"HTTP/1.1 200 OK\r\n", b"100", b"204"]
