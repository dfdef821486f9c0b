"""What every test shares: the `system` mark for real processes, and how long hypothesis may think."""

from __future__ import annotations

import os
from pathlib import Path

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker(pytest.mark.system)
