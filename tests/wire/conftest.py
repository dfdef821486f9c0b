"""Rigs for the tests of the plane: made by the test, taken down and checked for what stays behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.wire.plane_rig import Rig


@pytest.fixture
def make_rig() -> Iterator[Callable[..., Rig]]:
    """Make a rig with these options; at the end nothing of any request may be left in the plane."""
    made: list[Rig] = []

    def make(**options: Any) -> Rig:
        made.append(Rig(**options))
        return made[-1]

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def plane(make_rig: Callable[..., Rig]) -> Rig:
    """A rig with one origin and nothing special."""
    return make_rig()
