"""The pair of connections as a property: seeds with a few octets changed; and proof that the check can fail."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import pair_targets
from tests.fuzz.mutations import edited
from tests.fuzz.pair_targets import ANSWERS, BETWEEN, GET, POST, SEEDS, WORDS, pair

OCTETS = st.one_of(st.binary(min_size=1, max_size=3), st.sampled_from(WORDS))
EDITS = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 8), st.one_of(st.just(b""), OCTETS)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150)
@given(st.sampled_from(SEEDS["h1-pair"]), EDITS)
def test_edited_seeds(seed: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    pair(edited(seed, edits))


@pytest.mark.parametrize("number", range(0, len(SEEDS["h1-pair"]), 3))
def test_seeds(number: int) -> None:
    pair(SEEDS["h1-pair"][number])


def test_a_request_that_nobody_meant_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def reads(data: bytes) -> tuple[list[pair_targets.Request], bool]:
        return (
            [(b"GET", b"")] if b"Via: " in data else []
        ), False  # ours has it, the client's has not

    monkeypatch.setattr(pair_targets, "requests_in", reads)
    with pytest.raises(AssertionError):
        pair(BETWEEN.join([GET, ANSWERS[0], b"\x00"]))


def test_a_205_has_the_body_that_it_says() -> None:
    """RFC 9112 6.3 frames it as any other, though RFC 9110 15.3.6 wants none there."""
    pair(BETWEEN.join([GET, b"HTTP/1.1 205 OK\r\nContent-Length: 2\r\n\r\nok", b"\x00"]))


def test_a_short_answer_presented_as_whole_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_targets, "response_in", lambda data, closed: (None, False, False))
    with pytest.raises(AssertionError):
        pair(BETWEEN.join([POST, ANSWERS[0], b"\x00"]))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"Content-Length: 3\r\n\r\nok", (None, False, False)),
        (b"Transfer-Encoding: chunked\r\n\r\n9\r\nok", (None, False, False)),
        (b"Transfer-Encoding: chunked\r\n\r\nx\r\nok", (None, True, False)),
        (b"\r\nok", (b"ok", False, False)),
        (b"Content-Length: 2\r\n\r\nokok", (b"ok", False, True)),
    ],
)
def test_what_is_cut_is_told_from_what_is_no_response(
    answer: bytes, said: tuple[bytes | None, bool, bool]
) -> None:
    assert pair_targets.response_in(b"HTTP/1.1 200 OK\r\n" + answer, True) == said
