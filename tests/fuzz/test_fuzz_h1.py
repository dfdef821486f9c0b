"""The fuzz targets of HTTP/1 as properties: random octets, and good input with a few octets changed, moved or lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.h1_targets import SEEDS, TARGETS, WORDS
from tests.fuzz.mutations import edited

OCTETS = st.one_of(st.binary(min_size=1, max_size=3), st.sampled_from(WORDS))
EDITS = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 8), st.one_of(st.just(b""), OCTETS)), max_size=4
)


@pytest.mark.parametrize("name", TARGETS)
@given(st.binary(max_size=200))
def test_random_octets(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@given(st.data())
def test_edited_seeds(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(SEEDS[name]))
    TARGETS[name](edited(seed, data.draw(EDITS)))


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed(name: str) -> None:
    for seed in SEEDS[name]:
        TARGETS[name](seed)
