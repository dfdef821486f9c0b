"""What our server and the `h2` library make of a client's octets: an error of the connection, of a stream, or none.

Every request waits for a hook that never returns, so that both have the same streams open and neither has passed on
anything that would open a window again. Where the two come to differ, at the first frame
of which they do, a row of DIFFERENCES says why; anything else is a failure.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any

import h2.config
import h2.connection
import h2.exceptions
from h2.settings import SettingCodes, Settings

from pingpy.phases import PHASES
from tests.fuzz.h2_pair_targets import FULL
from tests.fuzz.h2_pair_targets import SEEDS as PAIR_SEEDS
from tests.fuzz.h2_pair_targets import WORDS as PAIR_WORDS
from tests.fuzz.pair_targets import ARENA_BYTES, BETWEEN, blown_up
from tests.wire.h2_client import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PUSH,
    RST,
    SETTINGS,
    WINDOW,
    frame,
    frames_of,
)
from tests.wire.h2_raw import HELLO, PROTOCOL, PROXIED, block
from tests.wire.plane_rig import Rig

QUIET_ROUNDS = 20  # of everybody in which nothing happens; a clock would be wrong on a busy machine
HEAD_BYTES = 9
STREAM_WINDOW, CONNECTION_WINDOW, LIST_BYTES = 262144, 1048576, 65536  # as ours
PLAYED = count()


@dataclass(frozen=True)
class Verdict:
    """Error codes: of the connection's GOAWAY, or of the streams that were reset. `words`: the library's."""

    connection: int | None = None
    streams: dict[int, int] = field(default_factory=dict)
    words: str = ""

    def agrees(self, other: Verdict) -> bool:
        if self.connection is not None or other.connection is not None:
            return self.connection == other.connection
        return self.streams == other.streams

    def news(self, before: Verdict) -> str:
        """What the last frame has brought."""
        if self.connection is not None:
            return f"connection {self.connection}"
        fresh = sorted(self.streams.items() - before.streams.items())
        return f"stream {fresh[0][1]}" if fresh else "accepted"


def of_frames(said: bytes, why: str = "", *, refusals: bool = False) -> Verdict:
    """The verdict in what a server sent; `refusals`: an answer is one (RFC 9113 8.1.1), since nobody else answers."""
    ends: list[int] = []
    streams: dict[int, int] = {}
    for kind, _, stream, payload in frames_of(said):
        if kind == GOAWAY:
            ends.append(int.from_bytes(payload[4:8], "big"))
        elif kind == RST:
            streams[stream] = int.from_bytes(payload, "big") or streams.get(stream, 0)
        elif kind == HEADERS and refusals:
            streams[stream] = PROTOCOL
    return Verdict(ends[0] if ends else None, streams, why)


def whole_frames(data: bytes) -> bytes:
    """Without an unfinished frame at the end: we judge it by its head already, the library waits for the rest."""
    return data[: sum(HEAD_BYTES + len(payload) for *_, payload in frames_of(data))]


async def for_ever(*_: Any) -> None:
    """A hook that was not called back yet."""


def ours(data: bytes) -> Verdict:
    """Of the plane, with a hook that keeps every request."""
    slots = {
        phase: for_ever if phase == "request_filter" else None for phase in ["new_ctx", *PHASES]
    }
    rig = Rig(hooks=SimpleNamespace(**slots), built_in=(), arena_bytes=ARENA_BYTES)
    try:
        client = rig.client(data)
        quiet = 0
        while quiet < QUIET_ROUNDS:
            quiet = 0 if rig.move() else quiet + 1
        assert rig.events.faults == [], rig.events.faults[0]
        return of_frames(bytes(client.got), refusals=True)
    finally:
        rig.close()
        for awaitable, _ in rig.events.parked:
            awaitable.close()
        if next(PLAYED) % 64 == 0:
            gc.collect()  # a plane's parts know each other: its epoll set is open until then


def theirs(data: bytes) -> Verdict:
    """Of the library, which has said the same SETTINGS."""
    config = h2.config.H2Configuration(client_side=False, header_encoding=None)
    server = h2.connection.H2Connection(config)
    server.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: 100,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: LIST_BYTES,
        },
    )
    server.initiate_connection()
    server.increment_flow_control_window(CONNECTION_WINDOW - 65535)
    try:
        server.receive_data(data)
    except h2.exceptions.ProtocolError as error:
        return of_frames(server.data_to_send(), f"{type(error).__name__}: {error}")
    return of_frames(server.data_to_send())


@dataclass(frozen=True)
class Difference:
    """Why the two part at a frame of these kinds. `said`: what we and the library make of it, and its words."""

    why: str
    kinds: tuple[int, ...]
    said: str
    example: bytes


BLOCKS = (HEADERS, CONTINUATION)
GET, POST = block(PROXIED), block([(":method", "POST"), *PROXIED[1:]])
ENDED = frame(HEADERS, 5, 5, GET)
DIFFERENCES = (
    Difference(
        "RFC 9113 4.3: a block that cannot be decoded is a COMPRESSION_ERROR; the library says PROTOCOL_ERROR",
        BLOCKS,
        r"connection 9 \| connection 1 .*Error decoding header block",
        frame(HEADERS, 5, 1, b"\x80"),
    ),
    Difference(
        "RFC 9113 8.1.1: a malformed request is an error of its stream; the library ends the connection",
        (*BLOCKS, DATA),
        r"stream 1 \| connection 1 .*(header|[Tt]railers|InvalidBodyLength)",
        frame(HEADERS, 5, 1, block([*PROXIED, ("connection", "close")])),
    ),
    Difference(
        "RFC 9113 8.1.1, 8.5: we refuse a Content-Length without a body, CONNECT, and paths no request line can have",
        BLOCKS,
        r"stream 1 \| accepted",
        frame(HEADERS, 5, 1, block([*PROXIED, ("content-length", "5")])),
    ),
    Difference(
        "RFC 9113 5.1: a stream below the last one is closed, and we keep no list of those that were skipped",
        (*BLOCKS, DATA),
        r"connection 5 \| (connection 1 StreamIDTooLow|stream 5)",
        ENDED + frame(HEADERS, 5, 3, GET),
    ),
    Difference(
        "RFC 9113 6.2: padding may leave nothing of a block; to the library that is too much of it",
        (HEADERS,),
        r"(stream 1|accepted) \| connection 1 .*invalid padding",
        frame(HEADERS, 5 | PADDED, 1, b"\1\0"),
    ),
    Difference(
        "RFC 9113 6.3: a PRIORITY of another size is an error of its stream, if there is one",
        (PRIORITY,),
        r"(stream 6|connection 1) \| connection 6 FrameDataMissing",
        frame(HEADERS, 4, 1, POST) + frame(PRIORITY, 0, 1, bytes(4)),
    ),
    Difference(
        "RFC 9113 5.3.2: priorities are read over; the library still judges them",
        (PRIORITY, *BLOCKS),
        r"accepted \| connection 1 .*depend on itself",
        frame(PRIORITY, 0, 1, b"\0\0\0\1\5"),
    ),
    Difference(
        "RFC 9113 6.4: a stream that is idle cannot be reset; the library takes it for one that it has forgotten",
        (RST,),
        r"connection 1 \| accepted",
        ENDED + frame(RST, 0, 7, bytes(4)),
    ),
    Difference(
        "RFC 9113 6.10: a continuation of nothing; the library looks first whether the stream is closed",
        (CONTINUATION,),
        r"connection 1 \| connection 5 StreamClosed",
        frame(HEADERS, 4, 7, POST) + frame(CONTINUATION, 4, 5, GET),
    ),
    Difference(
        "RFC 9113 8.4: a client does not push; the library waits for the rest of the fields before it says so",
        (PUSH,),
        r"connection 1 \| accepted",
        frame(PUSH, 0, 1, b"\0\0\0\2" + GET),
    ),
    Difference(
        "RFC 9113 6.5: an acknowledgement with a payload is a FRAME_SIZE_ERROR",
        (SETTINGS,),
        r"connection 6 \| connection 1 .*non-compliant",
        frame(SETTINGS, 1, 0, bytes(6)),
    ),
    Difference(
        "RFC 9113 6.9: a window that is opened by 0 is an error of its stream",
        (WINDOW,),
        r"(stream 1|accepted) \| connection 1 .*non-compliant",
        frame(HEADERS, 4, 1, POST) + frame(WINDOW, 0, 1, bytes(4)),
    ),
    Difference(
        "RFC 9113 6.9.1: more than a stream's window is an error of that stream; the library ends the connection",
        (DATA,),
        r"stream 3 \| connection 3 FlowControlError",
        frame(HEADERS, 4, 1, POST) + 17 * FULL,
    ),
    Difference(
        "RFC 9113 6.8: streams go on behind the client's GOAWAY; to the library the connection is over",
        tuple(range(256)),
        r".* \| connection 1 .*in state ConnectionState.CLOSED",
        frame(GOAWAY, 0, 0, bytes(8)) + frame(PING, 0, 0, bytes(8)),
    ),
    Difference(
        "a frame that breaks two rules, such as of its place and of its size: either may be named",
        tuple(range(256)),
        r"connection [16] \| connection [16] ",
        frame(HEADERS, 1, 1, GET) + frame(RST, 0, 1, bytes(3)),
    ),
)


def reason(data: bytes) -> str:
    """Why the verdicts on these whole frames differ; "" when they do not, AssertionError when there is no reason."""
    before, at = ours(HELLO), 0
    for kind, _, _, payload in frames_of(data):
        at += HEAD_BYTES + len(payload)
        here, there = ours(HELLO + data[:at]), theirs(HELLO + data[:at])
        if here.agrees(there):
            before = here
            continue
        said = f"{here.news(before)} | {there.news(before)} {there.words}".rstrip()
        found = [row for row in DIFFERENCES if kind in row.kinds and re.match(row.said, said)]
        assert found, (said, kind, data[:at][-200:])
        return found[0].why
    return ""


def verdicts(data: bytes) -> None:
    """Frames behind a good preface and SETTINGS: the same verdict, or a reason why not."""
    data = whole_frames(blown_up(data))
    if not ours(HELLO + data).agrees(theirs(HELLO + data)):
        assert reason(data)


TARGETS: dict[str, Callable[[bytes], None]] = {"h2-verdict": verdicts}
SEEDS: dict[str, list[bytes]] = {
    "h2-verdict": [
        *(seed.partition(BETWEEN)[0].removeprefix(HELLO) for seed in PAIR_SEEDS["h2-pair"]),
        *(row.example for row in DIFFERENCES),
    ]
}
WORDS = PAIR_WORDS
