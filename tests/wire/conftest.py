"""Rigs for the tests of the plane: made by the test, taken down and checked for what stays behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.wire.plane_rig import Rig


@pytest.fixture(params=["plain", "io_uring"])
def make_rig(request: pytest.FixtureRequest) -> Iterator[Callable[..., Rig]]:
    """Make a rig with these options; at the end nothing of any request may be left in the plane.

    Every test runs twice: with a system call for each read and write, and with io_uring even for single ones.
    """
    made: list[Rig] = []

    def make(**options: Any) -> Rig:
        rig = Rig(**options)
        made.append(rig)
        if request.param == "io_uring":
            if not rig.plane.use_io_uring():
                pytest.skip("io_uring is refused here")
            rig.plane.reactor.batch.few = 0
        return rig

    yield make
    for rig in made:
        rig.close()


@pytest.fixture
def plane(make_rig: Callable[..., Rig]) -> Rig:
    """A rig with one origin and nothing special."""
    return make_rig()
