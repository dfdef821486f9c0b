"""Who has said nothing yet when a drain begins: a first answer if the word comes soon, else a good end."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pingpy.phases import PHASES as BOUND
from tests.wire.h2_client import GOAWAY, HEADERS, PREFACE, SETTINGS, frame, frames_of
from tests.wire.h2_raw import request
from tests.wire.plane_rig import Rig
from tests.wire.test_tls_abuse import hello
from tests.wire.tls_ends import client_context, identity
from worker.plane.tls_context import TlsServer

GET = b"GET /local HTTP/1.1\r\nHost: localhost\r\n\r\n"
FIRST_WORD_MS = 400


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Rig:
    return make_rig(tls=TlsServer(identity()), header_ms=FIRST_WORD_MS)


def shaken(rig: Rig, *protocols: str) -> Any:
    """A client whose handshake is done, and no more."""
    context = client_context()
    if protocols:
        context.set_alpn_protocols(list(protocols))
    end = rig.client(secure=context)
    rig.until(lambda: end.tls.version())
    rig.settle(0.01)
    return end


def test_a_silent_client_is_let_go_long_before_its_idle_time(rig: Rig) -> None:
    secure, plain = shaken(rig), rig.client()
    rig.settle()
    rig.plane.drain(1)
    rig.settle(0.05)
    assert (secure.ended, plain.ended) == ("", "")  # the linger is for those who were answered
    for end in (secure, plain):
        rig.ended(end, "fin")
        assert end.got == b""
    assert secure.closed_well
    assert rig.plane.stats()["clients"] == 0


@pytest.mark.parametrize("secure", [True, False])
def test_a_first_request_in_a_drain_is_answered(rig: Rig, secure: bool) -> None:
    end = shaken(rig) if secure else rig.client()
    rig.settle()
    rig.plane.drain(1)
    rig.settle(0.05)
    end.send(GET)
    message = rig.response(end)
    assert (message.status, message.get(b"Connection")) == (200, b"close")
    rig.ended(end, "fin")


def test_a_handshake_goes_on_in_a_drain_and_its_request_is_answered(rig: Rig) -> None:
    said = hello()
    half = rig.client(said[:100])
    whole = rig.client(secure=client_context())
    rig.until(lambda: rig.plane.stats()["handshakes"] >= 1)
    rig.plane.drain(1)
    rig.until(lambda: whole.tls.version())
    whole.send(GET)
    assert rig.response(whole).get(b"Connection") == b"close"
    half.send(said[100:])
    rig.until(lambda: half.got)
    assert half.got[0] == 0x16


def test_after_a_handshake_in_a_drain_the_first_word_has_little_time(rig: Rig) -> None:
    end = rig.client(secure=client_context())
    rig.until(lambda: rig.plane.stats()["clients"])
    rig.plane.drain(1)
    rig.ended(end, "fin")
    assert end.closed_well


def test_over_http2_the_end_is_said_in_two_steps(rig: Rig) -> None:
    early, late = shaken(rig, "h2"), shaken(rig, "h2")
    early.send(PREFACE + frame(SETTINGS, 0, 0))
    late.send(PREFACE + frame(SETTINGS, 0, 0))
    rig.settle()
    rig.plane.drain(200)
    rig.settle(0.02)
    early.send(request(1))  # it was on its way when the first GOAWAY came
    for end in (early, late):
        rig.ended(end, "fin")
        assert end.closed_well
    last = [
        int.from_bytes(payload[:4], "big")
        for end in (early, late)
        for kind, _, _, payload in frames_of(bytes(end.got))
        if kind == GOAWAY
    ]
    assert last == [(1 << 31) - 1, 1, (1 << 31) - 1, 0]
    assert HEADERS in [kind for kind, *_ in frames_of(bytes(early.got))]


def test_a_drain_that_is_taken_back_gives_all_their_time_back(rig: Rig) -> None:
    secure, plain = shaken(rig), rig.client()
    rig.settle()
    rig.plane.drain(1)
    rig.plane.resume()
    rig.settle(FIRST_WORD_MS / 1000 + 0.2)
    for end in (secure, plain):
        assert end.ended == ""
        end.send(GET)
        assert rig.response(end).get(b"Connection") is None


@pytest.mark.parametrize(("secure", "tls"), [(True, True), (False, True), (False, False)])
def test_a_request_that_comes_within_the_last_turn_is_answered(
    make_rig: Callable[..., Rig], secure: bool, tls: bool
) -> None:
    """A turn has read the sockets, is busy with somebody else, and then looks whose time is over."""
    rig: Rig

    def busy(session: Any, ctx: Any) -> None:
        if session.request.target.endswith("?busy"):
            silent.send(GET)

    slots = dict.fromkeys(("new_ctx", *BOUND))
    hooks = SimpleNamespace(**{**slots, "request_filter": busy})
    server = TlsServer(identity()) if tls else None
    rig = make_rig(hooks=hooks, header_ms=300, tls=server)
    silent: Any = shaken(rig) if secure else rig.client()
    other = rig.client(GET)
    rig.response(other)
    other.take()
    rig.settle()
    rig.plane.drain(60_000)
    time.sleep(0.35)  # nothing moves: the silent one's time is over with the next turn
    other.send(GET.replace(b"/local", b"/local?busy"))
    assert rig.response(silent).body == b"here"


def test_the_drains_deadline_is_for_half_handshakes_too(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(tls=TlsServer(identity()), handshake_ms=60_000)
    half = rig.client(hello()[:50])
    rig.until(lambda: rig.plane.stats()["handshakes"])
    rig.plane.drain(1)
    assert rig.plane.end_requests() == 1
    rig.ended(half)
    assert rig.plane.stats()["handshakes"] == 0
