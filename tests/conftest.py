"""What every test shares: the `system` mark for real processes, and how long hypothesis may think."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

SYSTEM = Path(__file__).parent / "system"

# A busy machine is not a failure: no deadline per example. In CI the examples are the same each time, so that a red run
# can be repeated.
settings.register_profile(
    "pingpy",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("pingpy")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what has processes, and begin with it: several at once end together when the short files come last."""
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.system)
    items.sort(key=lambda item: SYSTEM not in item.path.parents)


@pytest.fixture(scope="session")
def whole_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The two namespaces; made once, as they take a second."""
    import rig

    if reason := rig.impossible():
        pytest.skip(reason)
    made = rig.Rig(tmp_path_factory.mktemp("rig"))
    yield made
    made.close()


@pytest.fixture
def rig(whole_rig: Any) -> Any:
    """The rig with all origins well."""
    whole_rig.heal()
    return whole_rig
