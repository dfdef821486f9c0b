"""An HTTP/2 connection as a property: edited seeds, cut anywhere; and proof that the check can fail."""

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import h2_pair_targets
from tests.fuzz.h2_pair_targets import (
    HELLO,
    NARROW,
    POST,
    SEEDS,
    WORDS,
    bodies_sent,
    check_bodies,
    check_client,
    check_windows,
    h2_pair,
)
from tests.fuzz.mutations import edited
from tests.fuzz.pair_targets import BETWEEN
from tests.wire.h2_client import DATA, END_STREAM, HEADERS, SETTINGS, WINDOW, frame
from tests.wire.h2_raw import PROXIED, request

OCTETS = st.one_of(st.binary(min_size=1, max_size=3), st.sampled_from(WORDS))
EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 8), st.one_of(st.just(b""), OCTETS)),
    min_size=1,
    max_size=4,
)
CUTS = st.binary(min_size=1, max_size=6)


@settings(max_examples=200)
@given(st.sampled_from(SEEDS["h2-pair"]), EDITS, CUTS)
def test_edited_seeds(seed: bytes, edits: list[tuple[int, int, bytes]], cuts: bytes) -> None:
    sent, script, _ = seed.split(BETWEEN)
    h2_pair(BETWEEN.join([edited(sent, edits), script, cuts]))


@pytest.mark.parametrize("number", range(len(SEEDS["h2-pair"])))
@pytest.mark.parametrize("cuts", [b"\x00", b"\x02", b"\x00\x00\x00", b"\x01\x07\x0c"])
def test_seeds(number: int, cuts: bytes) -> None:
    sent, script, _ = SEEDS["h2-pair"][number].split(BETWEEN)
    h2_pair(BETWEEN.join([sent, script, cuts]))


def test_what_the_origin_must_not_see_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2_pair_targets, "requests_in", lambda data: ([], True))
    with pytest.raises(AssertionError):
        h2_pair(SEEDS["h2-pair"][0])


@pytest.mark.parametrize(
    "frames",
    [
        frame(DATA, 0, 1, b"abc")[:-1],
        frame(HEADERS, 5, 1, b"\x88") + frame(DATA, END_STREAM, 1),
        frame(HEADERS, 4, 1, b"\xff"),
    ],
)
def test_what_the_client_must_not_see_is_found(frames: bytes) -> None:
    with pytest.raises((AssertionError, hpack.HPACKError)):
        check_client(frame(SETTINGS, 0, 0) + frames, whole=True)


def test_a_window_that_is_overdrawn_is_found() -> None:
    sent = NARROW + request(1, PROXIED) + frame(WINDOW, 0, 1, b"\0\0\0\2")
    check_windows(sent, frame(DATA, 0, 1, bytes(7)))
    with pytest.raises(AssertionError):
        check_windows(sent, frame(DATA, 0, 1, bytes(8)))
    with pytest.raises(AssertionError):
        check_windows(HELLO + request(1) + request(3), 5 * frame(DATA, 0, 1, bytes(16384)))


def test_an_answer_that_ends_too_early_is_found() -> None:
    cut = frame(HEADERS, 4, 1, b"\x88") + frame(DATA, END_STREAM, 1, b"o")
    check_bodies(cut, b"o", False)
    for body in (b"ok", None):
        with pytest.raises(AssertionError):
            check_bodies(cut, body, False)


def test_a_request_that_its_client_has_not_ended_is_none_of_those_it_meant() -> None:
    begun = HELLO + request(1, POST, 0) + frame(DATA, 0, 1, b"abc")
    assert bodies_sent(begun) == set()
    ended = begun + frame(DATA, 9, 1, b"\1de\0")
    assert bodies_sent(ended) == bodies_sent(ended[:-1]) == {b"abcde"}
