"""The fuzz targets that take octets, as properties: random ones, and good input with a few changed, moved or lost."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import h1_targets, h2_targets, proxy_targets
from tests.fuzz.mutations import edited

TARGETS = pytest.mark.parametrize(
    ("module", "name"),
    [
        pytest.param(module, name, id=name)
        for module in (h1_targets, h2_targets, proxy_targets)
        for name in module.TARGETS
    ],
)


def octets(module: ModuleType) -> st.SearchStrategy[bytes]:
    """A few, or what means something to these targets."""
    return st.one_of(st.binary(max_size=3), st.sampled_from(module.WORDS))


@TARGETS
@given(st.data())
def test_random_octets(module: ModuleType, name: str, data: st.DataObject) -> None:
    rows = st.lists(octets(module), max_size=20).map(b"".join)
    module.TARGETS[name](data.draw(st.one_of(st.binary(max_size=200), rows)))


@TARGETS
@given(st.data())
def test_edited_seeds(module: ModuleType, name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(module.SEEDS[name]))
    edit = st.tuples(st.integers(0, len(seed)), st.integers(0, 8), octets(module))
    module.TARGETS[name](edited(seed, data.draw(st.lists(edit, max_size=4))))


@TARGETS
def test_every_seed(module: ModuleType, name: str) -> None:
    for seed in module.SEEDS[name]:
        module.TARGETS[name](seed)
