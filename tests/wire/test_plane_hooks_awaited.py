"""Hooks that are coroutines, in every phase: begun in the middle of a turn, or come back later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.wire.plane_rig import Rig
from tests.wire.test_plane_hooks import (
    ANSWERING,
    AT_ONCE,
    GET,
    HOW,
    LATER,
    OK,
    awaited,
    hooks,
    let_go,
    wrapped,
)


@pytest.mark.parametrize("how", HOW)
def test_a_response_filter_reads_the_fields(make_rig: Callable[..., Rig], how: str) -> None:
    """They lie in the turn's memory for a hook that does not wait, in a block of their own for one that does."""
    found = []

    def read(session: Any, response: Any, ctx: Any) -> None:
        found.append((response.headers.get("x-origin"), session.response.status))

    rig = make_rig(hooks=hooks(response_filter=wrapped(read, how)))
    rig.events.at_once = how == AT_ONCE
    client = rig.client(GET % 1)
    rig.origin().send(OK)
    if how == LATER:
        let_go(rig)
    assert rig.response(client).body == b"ok"
    assert found == [(b"1", 200)]


@pytest.mark.parametrize("at_once", [False, True])
def test_all_phases_of_one_request_are_coroutines(
    make_rig: Callable[..., Rig], at_once: bool
) -> None:
    ran: list[str] = []

    def noted(phase: str) -> Callable[..., Any]:
        return awaited(lambda *arguments: ran.append(phase))

    phases = [*ANSWERING, "logging"]
    rig = make_rig(hooks=hooks(**{phase: noted(phase) for phase in phases}))
    rig.events.at_once = at_once
    client = rig.client(GET % 1 + GET % 2)

    def on_and_on(holds: Callable[[], Any]) -> None:
        """Every hook that waits comes back, until this holds."""
        rig.until(lambda: (rig.events.let_go(), holds())[1])

    ends = rig.origins[0].ends
    for number in (1, 2):
        on_and_on(lambda line=b"GET /%d" % number: ends and line in ends[0].got)
        ends[0].send(OK)
    on_and_on(lambda: len(ran) == 2 * len(phases))
    assert sorted(ran) == sorted(phases * 2)
    assert [message.body for message in rig.responses(client, 2)] == [b"ok", b"ok"]
