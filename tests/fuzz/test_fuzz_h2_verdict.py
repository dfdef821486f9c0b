"""Our server against the `h2` library as properties: rows of frames, edited seeds; and proof that it can fail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import h2_verdict_targets
from tests.fuzz.h2_verdict_targets import (
    DIFFERENCES,
    GET,
    POST,
    SEEDS,
    WORDS,
    Difference,
    ours,
    reason,
    theirs,
    verdicts,
)
from tests.fuzz.mutations import edited
from tests.fuzz.pair_targets import blown_up
from tests.wire.h2_client import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    RST,
    SETTINGS,
    WINDOW,
    frame,
)
from tests.wire.h2_raw import HELLO, PROXIED, block

FIELDS = [
    [("x-sum", "1")],
    PROXIED[:2],
    [*PROXIED, ("Upper", "x")],
    [*PROXIED, ("connection", "close")],
    [*PROXIED, ("transfer-encoding", "chunked")],
    [*PROXIED, ("te", "gzip")],
    [*PROXIED, ("te", "trailers")],
    [("x", "y"), *PROXIED],
    [*PROXIED, (":path", "/")],
    [*PROXIED, ("a", "b\r\nc")],
    [*PROXIED, ("a", " b ")],
    [*PROXIED, ("host", "b")],
    [*PROXIED, ("cookie", "a=b"), ("cookie", "c=d")],
    [*PROXIED, ("content-length", "x")],
    [*PROXIED[:2], PROXIED[3]],
    [*PROXIED[:3], (":path", "")],
    [*PROXIED[:3], (":path", "x")],
    [(":method", "POST"), *PROXIED[1:], ("content-length", "5")],
    [(":method", "OPTIONS"), *PROXIED[1:3], (":path", "*")],
    [(":method", "CONNECT"), (":authority", "a")],
    [(":status", "200")],
]
STREAMS = st.sampled_from([1, 1, 1, 3, 3, 5, 7, 2, 0])
PAYLOADS = {
    HEADERS: [
        GET,
        GET,
        POST,
        POST,
        *map(block, FIELDS),
        b"\0\0\0\1\5" + GET,
        b"\2" + GET + b"\0\0",
    ],
    CONTINUATION: [GET[:4], GET[4:], b""],
    DATA: [b"", b"abc", b"abcde", bytes(1000), b"\x03abcde\0\0\0", b"\xff"],
    RST: [b"\0\0\0\x08", bytes(4), bytes(3)],
    WINDOW: [b"\0\0\0\1", b"\0\1\0\0", bytes(4), b"\x7f\xff\xff\xff"],
    SETTINGS: [
        *(b"", b"\0\4\0\0\0\5", b"\0\4\x7f\xff\xff\xff", b"\0\1\0\0\0\0", b"\0\2\0\0\0\2"),
        *(b"\0\5\0\0\x3f\xff", b"\0\x08\0\0\0\2", b"\0\x08\0\0\0\1", b"\0\xff\0\0\0\1"),
    ],
    PING: [bytes(8), bytes(7)],
    PRIORITY: [bytes(5), b"\0\0\0\1\5", bytes(4)],
    GOAWAY: [bytes(8), bytes(7)],
    99: [b"", b"what nobody knows"],
}
FLAGS = {
    HEADERS: st.sampled_from([5, 5, 4, 4, 1, 0, 4 | 8, 5 | 0x20]),
    CONTINUATION: st.sampled_from([4, 0]),
    DATA: st.sampled_from([0, 0, 1, 8, 9]),
    SETTINGS: st.sampled_from([0, 0, 1]),
    PING: st.sampled_from([0, 1]),
}
OFTEN = [*PAYLOADS, HEADERS, HEADERS, HEADERS, DATA, DATA, WINDOW]
PIECES = st.one_of(st.just(b""), st.binary(min_size=1, max_size=3), st.sampled_from(WORDS))
EDITS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 8), PIECES), min_size=1, max_size=3)


@st.composite
def one_frame(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(OFTEN))
    flags = draw(FLAGS.get(kind, st.just(0)))
    about_all = kind in (SETTINGS, PING, GOAWAY) and draw(st.integers(0, 9)) > 0
    payload = draw(st.sampled_from(PAYLOADS[kind]))
    return frame(kind, flags, 0 if about_all else draw(STREAMS), payload)


@settings(max_examples=250)
@given(st.lists(one_frame(), min_size=1, max_size=7).map(b"".join))
def test_rows_of_frames(data: bytes) -> None:
    verdicts(data)


@settings(max_examples=150)
@given(st.sampled_from(SEEDS["h2-verdict"]), EDITS)
def test_edited_seeds(seed: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    verdicts(edited(seed, edits))


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.why.partition(":")[0])
def test_every_difference_is_one(row: Difference) -> None:
    assert reason(blown_up(row.example)) == row.why


def test_the_same_verdicts_are_the_same() -> None:
    for data, kind in (
        (frame(HEADERS, 5, 1, GET), "accepted"),
        (frame(HEADERS, 4, 1, POST) + frame(WINDOW, 0, 1, b"\x7f\xff\xff\xff"), "stream 3"),
        (frame(DATA, 0, 1, b"abc"), "connection 1"),
    ):
        assert ours(HELLO + data).news(ours(HELLO)) == kind
        assert theirs(HELLO + data).news(ours(HELLO)) == kind


def test_a_difference_without_a_reason_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    example = DIFFERENCES[0].example
    monkeypatch.setattr(h2_verdict_targets, "DIFFERENCES", DIFFERENCES[1:-1])
    with pytest.raises(AssertionError):
        verdicts(example)
