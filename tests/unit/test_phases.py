"""Binding apps and filters into slots."""

import asyncio

import pytest

from pingpy.app import Filter, ProxyApp
from pingpy.http import Response
from pingpy.peer import Peer
from pingpy.phases import PHASES, bind


class Noted(Filter[list]):
    """Writes its name into the ctx."""

    def __init__(self, name, answer=None):
        self.name = name
        self.answer = answer

    def request_filter(self, session, ctx):
        ctx.append(self.name)
        return self.answer

    def response_filter(self, session, response, ctx):
        ctx.append(self.name)

    def logging(self, session, error, ctx):
        ctx.append(self.name)


class NotedLater(Noted):
    """The same, in coroutines."""

    async def request_filter(self, session, ctx):
        await asyncio.sleep(0)
        return super().request_filter(session, ctx)

    async def response_filter(self, session, response, ctx):
        await asyncio.sleep(0)
        super().response_filter(session, response, ctx)

    async def logging(self, session, error, ctx):
        await asyncio.sleep(0)
        super().logging(session, error, ctx)


def app_with(*filters):
    class App(ProxyApp[list]):
        def new_ctx(self):
            return []

        def request_filter(self, session, ctx):
            ctx.append("app")

        def response_filter(self, session, response, ctx):
            ctx.append("app")

    made = App()
    made.filters = filters
    return made


def finished(answer):
    return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer


def test_what_nobody_overrides_is_none():
    phases = bind(ProxyApp())
    assert not phases
    assert phases.new_ctx is None
    assert [name for name in PHASES if getattr(phases, name) is not None] == []
    assert not bind()


def test_a_single_method_is_the_slot_itself():
    one = Noted("a")
    phases = bind(one)
    assert phases
    assert phases.request_filter == one.request_filter
    assert repr(phases) == "<BoundPhases request_filter response_filter logging>"


def test_a_class_without_the_base_counts_by_its_methods():
    class Plain:
        def logging(self, session, error, ctx):
            return None

    plain = Plain()
    assert bind(plain).logging == plain.logging


def test_a_method_set_on_the_instance_counts():
    part = Filter()
    part.request_filter = lambda session, ctx: Response(204)
    assert bind(part).request_filter(None, None).status == 204


@pytest.mark.parametrize("kinds", [(Noted, Noted), (Noted, NotedLater), (NotedLater, Noted)])
def test_filters_run_in_order_and_responses_in_reverse(kinds):
    phases = bind(app_with(kinds[0]("a"), kinds[1]("b")))
    ctx = phases.new_ctx()
    assert finished(phases.request_filter(None, ctx)) is None
    assert ctx == ["a", "b", "app"]
    ctx.clear()
    assert finished(phases.response_filter(None, None, ctx)) is None
    assert ctx == ["app", "b", "a"]


@pytest.mark.parametrize("kinds", [(Noted, Noted), (Noted, NotedLater), (NotedLater, Noted)])
def test_the_first_response_ends_the_phase(kinds):
    no = Response(403)
    for position, seen in ((0, ["a"]), (1, ["a", "b"])):
        answers = [None, None]
        answers[position] = no
        phases = bind(app_with(kinds[0]("a", answers[0]), kinds[1]("b", answers[1])))
        ctx = []
        assert finished(phases.request_filter(None, ctx)) is no
        assert ctx == seen


def test_a_stray_return_value_does_not_stop_a_phase_that_answers_nothing():
    class Chatty(Noted):
        def response_filter(self, session, response, ctx):
            super().response_filter(session, response, ctx)
            return response

    phases = bind(app_with(Chatty("a"), Chatty("b")))
    ctx = []
    assert phases.response_filter(None, Response(200), ctx) is None
    assert ctx == ["app", "b", "a"]


def test_only_apps_choose_the_peer():
    class Sneaky(Filter[None]):
        def upstream_peer(self, session, ctx):
            return Peer("192.0.2.9", 9)

    assert bind(app_with(Sneaky())).upstream_peer is None

    class Chooser(ProxyApp[None]):
        def upstream_peer(self, session, ctx):
            return Peer("192.0.2.1", 80)

    class Undecided(ProxyApp[None]):
        def upstream_peer(self, session, ctx):
            return None

    assert bind(Undecided(), Chooser()).upstream_peer(None, None).port == 80


class Exclaims(Filter[None]):
    def __init__(self, mark):
        self.mark = mark

    def request_body_filter(self, session, chunk, end, ctx):
        return chunk + self.mark

    def response_body_filter(self, session, chunk, end, ctx):
        return chunk + self.mark


class ExclaimsLater(Exclaims):
    async def request_body_filter(self, session, chunk, end, ctx):
        return super().request_body_filter(session, chunk, end, ctx)


@pytest.mark.parametrize("first", [Exclaims, ExclaimsLater])
@pytest.mark.parametrize("second", [Exclaims, ExclaimsLater])
def test_chunks_pass_through_all_body_filters(first, second):
    phases = bind(first(b"1"), second(b"2"))
    assert finished(phases.request_body_filter(None, b"x", False, None)) == b"x12"
    assert phases.response_body_filter(None, b"x", True, None) == b"x21"


def test_retry_is_granted_by_the_first_true():
    class Never(Filter[None]):
        def fail_to_connect(self, session, peer, error, ctx):
            return False

    class Again(Filter[None]):
        async def fail_to_connect(self, session, peer, error, ctx):
            return True

    assert finished(bind(Never(), Again()).fail_to_connect(None, None, None, None)) is True
    assert bind(Never(), Never()).fail_to_connect(None, None, None, None) is None


class Raises(Noted):
    def logging(self, session, error, ctx):
        super().logging(session, error, ctx)
        raise RuntimeError(self.name)


class RaisesLater(Noted):
    async def logging(self, session, error, ctx):
        Noted.logging(self, session, error, ctx)
        raise RuntimeError(self.name)


@pytest.mark.parametrize("bad", [Raises, RaisesLater])
@pytest.mark.parametrize("good", [Noted, NotedLater])
def test_every_logging_runs_even_after_one_raised(bad, good):
    phases = bind(app_with(bad("a"), good("b"), bad("c")))
    ctx = []
    with pytest.raises(RuntimeError, match=r"a|c"):
        finished(phases.logging(None, None, ctx))
    assert sorted(ctx) == ["a", "b", "c"]


def test_several_apps_have_a_ctx_each():
    class Counting(ProxyApp[list]):
        def new_ctx(self):
            return [0]

        def request_filter(self, session, ctx):
            ctx[0] += 1

    class WithoutCtx(Filter[None]):
        def request_filter(self, session, ctx):
            assert ctx is None

    phases = bind(Counting(), WithoutCtx(), Counting())
    ctx = phases.new_ctx()
    phases.request_filter(None, ctx)
    phases.request_filter(None, ctx)
    assert ctx == [[2], None, [2]]
