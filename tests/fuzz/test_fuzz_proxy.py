"""The fuzz target of the PROXY protocol as properties: random octets, and good headers with a few octets changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations import edited
from tests.fuzz.proxy_targets import SEEDS, TARGETS, WORDS

PIECES = st.one_of(st.binary(max_size=3), st.sampled_from(WORDS))


@pytest.mark.parametrize("name", TARGETS)
@given(st.lists(PIECES, max_size=20).map(b"".join))
def test_random_octets(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@given(st.data())
def test_edited_seeds(name: str, data: st.DataObject) -> None:
    edits = data.draw(
        st.lists(st.tuples(st.integers(0, 200), st.integers(0, 4), PIECES), max_size=4)
    )
    TARGETS[name](edited(data.draw(st.sampled_from(SEEDS[name])), edits))


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)
