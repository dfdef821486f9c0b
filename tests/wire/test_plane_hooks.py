"""Hooks in the plane: called and awaited, answering, changing, failing, and left behind by their client."""

from __future__ import annotations

import string
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pingpy.http import Response
from pingpy.phases import PHASES as BOUND
from tests.wire.h2_client import H2Client
from tests.wire.plane_ends import read_messages
from tests.wire.plane_rig import LOCAL, REPLY_PYTHON, Rig
from worker.plane.route import HeaderEdits

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Origin: 1\r\n\r\nok"
PHASES = ["new_ctx", *BOUND]
TOKEN = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters  # RFC 9110 5.6.2
# A method, a coroutine, and a coroutine that ends without waiting before the plane's turn goes on.
HOW = [CALLED, LATER, AT_ONCE] = ["called", "awaited later", "awaited at once"]
ANSWERING = ["request_filter", "upstream_peer", "upstream_request_filter", "response_filter"]


def hooks(**slots: Any) -> SimpleNamespace:
    return SimpleNamespace(**{name: slots.get(name) for name in PHASES})


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    async def later(*arguments: Any) -> Any:
        return function(*arguments)

    return later


def wrapped(function: Callable[..., Any], how: str) -> Callable[..., Any]:
    return function if how == CALLED else awaited(function)


def let_go(rig: Rig) -> None:
    """Wait for the hook, then let it come back."""
    rig.until(lambda: rig.events.parked)
    rig.events.let_go()


@pytest.mark.parametrize("how", HOW)
def test_an_early_answer(make_rig: Callable[..., Rig], how: str) -> None:
    def refuse(session: Any, ctx: Any) -> Response:
        return Response(403, {b"X-Why": b"no"}.items(), b"no")

    rig = make_rig(hooks=hooks(request_filter=wrapped(refuse, how)))
    rig.events.at_once = how == AT_ONCE
    client = rig.client(POST)
    if how == LATER:
        let_go(rig)
    message = rig.response(client)
    assert (message.status, message.get(b"X-Why"), message.body) == (403, b"no", b"no")
    assert rig.lines(1)[0].ending == "local"
    assert rig.origins[0].ends == []


def test_what_is_no_field_cannot_be_set(make_rig: Callable[..., Rig]) -> None:
    """RFC 9110 5.1, 5.5: no octet in a name or a value may begin another field or another message."""
    names, values = set(), set()
    framing = ["content-length", "Transfer-Encoding", "connection", "upgrade", "trailer", ""]

    def taken(change: Callable[..., None], name: bytes | str, value: bytes) -> bool:
        try:
            change(name, value)
        except ValueError:
            return False
        return True

    def up(session: Any, request: Any, ctx: Any) -> None:
        fields = request.headers
        names.update(c for c in range(256) if taken(fields.add, b"X%c" % c, b"1"))
        values.update(c for c in range(256) if taken(fields.add, b"X-V", b"a%cb" % c))
        assert not any(taken(fields.set, name, b"1") for name in framing)

    rig = make_rig(hooks=hooks(upstream_request_filter=up))
    rig.client(GET % 1)
    (message,) = read_messages(bytes(rig.origin().got))
    assert bytes(sorted(names)).decode() == "".join(sorted(TOKEN))
    assert values == {9, *range(32, 127), *range(128, 256)}
    assert len([name for name, _ in message.fields if name == b"X-V"]) == len(values)
    rig.origin().send(OK)


@pytest.mark.parametrize("how", HOW)
def test_changes_of_both_heads(make_rig: Callable[..., Rig], how: str) -> None:
    def up(session: Any, request: Any, ctx: Any) -> None:
        request.headers.set("X-Up", "1")
        request.headers.set(b"Host", b"inner.test")
        request.headers.remove("Accept")
        request.target = "/new?x"

    def down(session: Any, response: Any, ctx: Any) -> None:
        response.headers.remove("X-Origin")
        response.headers.add("X-Down", "2")

    slots = hooks(upstream_request_filter=wrapped(up, how), response_filter=wrapped(down, how))
    rig = make_rig(hooks=slots)
    rig.events.at_once = how == AT_ONCE
    client = rig.client(POST.replace(b"Host: a", b"Host: a\r\nAccept: */*"))
    if how == LATER:
        let_go(rig)
    origin = rig.origin(wanted=b"abcdef")
    (request,) = read_messages(bytes(origin.got))
    assert request.line == b"POST /new?x HTTP/1.1"
    assert (request.get(b"X-Up"), request.get(b"Host"), request.get(b"Accept")) == (
        b"1",
        b"inner.test",
        None,
    )
    origin.send(OK)
    if how == LATER:
        let_go(rig)
    response = rig.response(client)
    assert (response.get(b"X-Origin"), response.get(b"X-Down")) == (None, b"2")
    assert response.body == b"ok"


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("phase", ANSWERING)
def test_a_hook_that_raises(make_rig: Callable[..., Rig], phase: str, how: str) -> None:
    def fail(*arguments: Any) -> None:
        raise KeyError("mine")

    rig = make_rig(hooks=hooks(**{phase: wrapped(fail, how)}))
    rig.events.at_once = how == AT_ONCE
    client = rig.client(GET % 1)
    if phase == "response_filter":
        rig.origin().send(OK)
    if how == LATER:
        let_go(rig)
    assert rig.response(client).status == 500
    assert rig.lines(1)[0].ending == "hook_raised"
    assert [name for name, _ in rig.events.raised] == [phase]


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("phase", ANSWERING)
def test_the_client_goes_while_a_hook_waits(
    make_rig: Callable[..., Rig], phase: str, stubborn: bool
) -> None:
    """The hook is cancelled; one that goes on nevertheless has nothing left to decide."""
    rig = make_rig(hooks=hooks(**{phase: awaited(lambda *arguments: None)}))
    rig.events.stubborn = stubborn
    client = rig.client(GET % 1)
    if phase == "response_filter":
        rig.origin().send(OK)
    rig.until(lambda: rig.events.parked)
    client.reset()
    assert rig.lines(1)[0].status == 499
    assert rig.events.cancelled == 1
    assert len(rig.events.parked) == stubborn
    rig.events.let_go()
    rig.settle()
    rig.lines(1)


def test_streams_that_are_reset_leave_no_hook_behind(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(hooks=hooks(request_filter=awaited(lambda *arguments: None)))
    client = H2Client(rig)
    streams = [client.request(f"/{number}") for number in range(50)]
    rig.until(lambda: len(rig.events.parked) == 50)
    for stream in streams[:49]:
        client.h2.reset_stream(stream)
    client.flush()
    rig.until(lambda: rig.events.cancelled == 49)
    assert len(rig.events.parked) == 1
    let_go(rig)
    rig.origin().send(OK)
    assert client.answer(streams[49]).status == 200
    assert rig.events.cancelled == 49


def test_a_hook_of_the_logs_outlives_its_request(make_rig: Callable[..., Rig]) -> None:
    told: list[str] = []

    async def note(session: Any, error: Any, ctx: Any) -> None:
        told.append("over")

    rig = make_rig(hooks=hooks(logging=note))
    client = rig.client(GET % 1)
    rig.origin().send(OK)
    assert rig.response(client).status == 200
    let_go(rig)
    assert (told, rig.events.cancelled) == (["over"], 0)


def test_a_body_flows_on_after_a_response_filter_has_waited(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(hooks=hooks(response_filter=awaited(lambda *arguments: None)))
    client = rig.client(POST[:-3])
    origin = rig.origin(wanted=b"abc")
    origin.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    rig.until(lambda: rig.events.parked)
    client.send(b"def")
    rig.settle()
    rig.events.let_go()
    rig.until(lambda: origin.got.endswith(b"abcdef"))
    origin.send(b"ok")
    assert rig.response(client).body == b"ok"


def test_each_attempt_begins_with_the_same_request(make_rig: Callable[..., Rig]) -> None:
    def up(session: Any, request: Any, ctx: Any) -> None:
        request.headers.add("X-Try", str(session.tries))

    rig = make_rig(hooks=hooks(upstream_request_filter=up))
    client = rig.client(GET % 1)
    rig.origin().send(OK)
    rig.response(client)
    client.take()
    rig.origins[0].ends[0].take()
    client.send(GET % 2)
    rig.origin(0).close()
    (request,) = read_messages(bytes(rig.origin(1).got))
    assert request.getlist(b"X-Try") == [b"2"]
    rig.origin(1).send(OK)
    rig.response(client)


def test_a_responder_that_forgets_to_answer(make_rig: Callable[..., Rig]) -> None:
    for responder in (lambda session: None, awaited(lambda session: None)):
        own = (b"/py", {"reply_kind": REPLY_PYTHON, "responder": responder})
        rig = make_rig(built_in=[LOCAL, own])
        client = rig.client(b"GET /py HTTP/1.1\r\nHost: a\r\n\r\n")
        rig.settle()
        rig.events.let_go()
        assert rig.response(client).status == 500


def test_logging_sees_the_response_of_an_earlier_turn(make_rig: Callable[..., Rig]) -> None:
    seen = []

    def log(session: Any, error: Any, ctx: Any) -> None:
        seen.append((session.response.status, session.response.headers.get("X-Origin")))

    rig = make_rig(hooks=hooks(logging=log))
    client = rig.client(GET % 1)
    rig.origin().send(OK[:-1])
    rig.settle()
    other = rig.client(b"GET /local HTTP/1.1\r\nHost: a\r\nX-Filler: " + b"z" * 500 + b"\r\n\r\n")
    rig.response(other)
    rig.origin().send(b"k")
    rig.response(client)
    assert seen == [(200, None), (200, b"1")]


def test_logging_that_waits_still_sees_its_request(make_rig: Callable[..., Rig]) -> None:
    seen = []

    async def log(session: Any, error: Any, ctx: Any) -> None:
        request, response = session.request, session.response
        seen.append((request.method, request.target, response.headers.get("X-Origin"), session.id))
        raise KeyError("mine")

    rig = make_rig(hooks=hooks(logging=log))
    client = rig.client(GET % 1)
    rig.origin().send(OK)
    rig.response(client)
    client.take()
    client.send(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")  # its memory is not that of the first
    rig.response(client)
    assert len(rig.events.parked) == 2
    rig.events.let_go()
    first, second = seen
    assert first[:3] == ("GET", "/1", b"1")
    assert second[:2] == ("GET", "/local")
    assert first[3] != second[3]
    assert [name for name, _ in rig.events.raised] == ["logging"] * 2
    assert rig.plane.stats()["arena_used_bytes"] <= rig.baseline + (64 << 10)


PARTS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "session": lambda session: lambda: session.id,
    "request": lambda session: lambda request=session.request: request.target,
    "fields": lambda session: lambda get=session.request.headers.get: get("X-Own"),
    "response": lambda session: lambda response=session.response: response.headers.items(),
    "changes": lambda session: lambda fields=session.request.headers: fields.set("X-Own", "1"),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_kept_of_a_session_is_over_with_its_request(
    make_rig: Callable[..., Rig], part: str, ahead: bool
) -> None:
    """Memory that belongs to another request by now is never shown; `ahead`: the next one is served at once."""
    kept: list[Callable[[], Any]] = []
    own = []

    def up(session: Any, request: Any, ctx: Any) -> None:
        if kept:
            with pytest.raises(RuntimeError, match="this session is over"):
                kept[-1]()

    def log(session: Any, error: Any, ctx: Any) -> None:
        own.append((session.request.target, session.response.headers.get("X-Origin")))
        kept.append(PARTS[part](session))
        kept[-1]()

    rig = make_rig(hooks=hooks(upstream_request_filter=up, logging=log))
    client = rig.client(b"".join(GET % turn for turn in range(8)) if ahead else b"")
    for turn in range(8):
        if not ahead:
            client.send(GET % turn)
        rig.origin(wanted=b"/%d " % turn).send(OK)
        rig.until(lambda turn=turn: client.got.count(b"ok") == turn + 1)  # type: ignore[misc]
    assert own == [(f"/{turn}", b"1") for turn in range(8)]
    assert not rig.events.raised


def test_what_nobody_keeps_of_a_session_is_used_again(make_rig: Callable[..., Rig]) -> None:
    seen = []

    def down(session: Any, response: Any, ctx: Any) -> None:
        parts = (session, session.request.headers, response, response.headers)
        seen.append(tuple(map(id, parts)))
        response.headers.add("X-Turn", str(len(seen)))
        assert response.headers.getlist("X-Turn") == [b"%d" % len(seen)]

    rig = make_rig(hooks=hooks(response_filter=down))
    client = rig.client()
    for turn in range(3):
        client.send(GET % turn)
        rig.origin(wanted=b"/%d " % turn).send(OK)
        assert rig.response(client).getlist(b"X-Turn") == [b"%d" % (turn + 1)]
        client.take()
    assert len(set(seen)) == 1


def test_a_balancer_that_keeps_a_session_does_not_see_what_was_not_kept(
    make_rig: Callable[..., Rig],
) -> None:
    kept = []

    class Balancer:
        def pick(self, session: Any, peers: Any) -> Any:
            kept.append(session)
            return peers[0]

    rig = make_rig(pool={"custom": Balancer()})
    client = rig.client(GET % 1)
    rig.origin().send(OK[:-1])
    rig.until(lambda: client.got.endswith(b"o"))
    assert kept[0].response.status == 200
    with pytest.raises(RuntimeError, match="not kept"):
        kept[0].response.headers.get("X-Origin")
    rig.origin().send(b"k")
    rig.response(client)


def test_header_edits_hold_for_our_own_errors(make_rig: Callable[..., Rig]) -> None:
    edits = HeaderEdits([b"Server", b"X-Frame"], b"X-Frame: DENY\r\n")
    rig = make_rig(route={"response_edits": edits})
    rig.pool.set_peers([])
    message = rig.response(rig.client(GET % 1))
    assert (message.status, message.get(b"X-Frame"), message.get(b"Server")) == (503, b"DENY", None)


def test_a_hook_may_name_any_number_of_peers_and_only_so_many_are_kept(
    make_rig: Callable[..., Rig],
) -> None:
    named = 0

    def name_another(session: Any, ctx: Any) -> Any:
        nonlocal named
        named += 1
        return rig.make_peer(1)  # nobody listens there

    rig = make_rig(hooks=hooks(upstream_peer=name_another))
    while named < 4200:
        client = rig.client(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n" * 300)
        rig.until(lambda end=client: end.got.count(b"HTTP/1.1 502") == 300)  # type: ignore[misc]
        client.close()
    assert rig.plane.stats()["hook_peers"] == 4096
