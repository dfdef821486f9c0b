"""The user's classes: which rule gets whose phases, and their start and end."""

import asyncio
import logging

import pytest

from pingpy.app import Filter, ProxyApp, WorkerInfo
from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.source import ConfigSource
from worker.user_code import UserCode

TEXT = b"""
[[modules]]
path = "auth.py"
class = "Auth"
[[modules]]
path = "auth.py"
class = "Mark"
[proxy]
[[proxy.rules]]
path = "/a"
filters = ["auth", "mark"]
respond = 200
[[proxy.rules]]
path = "/b"
respond = 200
[[proxy.rules]]
path = "/c"
filters = ["auth", "mark"]
respond = 200
"""

MODULE = """
from pingpy import Filter, Response

class Auth(Filter[None]):
    def request_filter(self, session, ctx):
        return Response(401) if session == "stranger" else None

class Mark(Filter[None]):
    seen = []

    async def startup(self, worker):
        self.seen.append(worker)

    def logging(self, session, error, ctx):
        self.seen.append(session)
"""


@pytest.fixture
def resolved():
    return resolve(load(ConfigSource("config.toml", TEXT)))


@pytest.fixture
def code(tmp_path):
    (tmp_path / "auth.py").write_text(MODULE)
    return UserCode.load(load(ConfigSource("config.toml", TEXT)), tmp_path)


def test_each_rule_has_the_phases_of_its_filters(code, resolved):
    assert code
    phases = code.of_rules(resolved)
    assert set(phases) == {0, 2}
    assert phases[0] is phases[2]
    assert phases[0].request_filter("stranger", None).status == 401
    assert phases[0].logging is not None
    assert code.everywhere() is None


def test_a_programs_app_is_everywhere(resolved):
    class App(ProxyApp[list]):
        def new_ctx(self):
            return []

        def request_filter(self, session, ctx):
            ctx.append("app")

    code = UserCode({"auth": Filter(), "mark": Filter()}, App())
    everywhere = code.everywhere()
    ctx = everywhere.new_ctx()
    everywhere.request_filter(None, ctx)
    assert ctx == ["app"]
    assert code.of_rules(resolved)[0].request_filter is not None


def test_without_classes_nothing_is_bound(resolved):
    code = UserCode({"auth": Filter(), "mark": Filter()})
    assert code.of_rules(resolved) == {}
    assert not UserCode({})


def test_every_part_is_started_once_and_stopped_whatever_the_others_do(caplog):
    logging.getLogger("pingpy").propagate = True
    told = []

    class Part(Filter[None]):
        async def startup(self, worker):
            told.append(("start", worker.slot))

        async def shutdown(self):
            told.append("stop")

    class Raises(Part):
        def shutdown(self):
            raise OSError("disk")

    class App(ProxyApp[None]):
        filters = (Raises(), Part())

    code = UserCode({"one": App.filters[1], "plain": object()}, App())

    async def life():
        await code.startup(WorkerInfo(2, 4, 1))
        await code.shutdown()

    asyncio.run(life())
    assert told == [("start", 2), ("start", 2), "stop"]
    assert "shutdown of Raises failed: OSError('disk')" in caplog.text


def test_a_startup_that_raises_is_not_hidden():
    class Bad(Filter[None]):
        async def startup(self, worker):
            raise OSError("no database")

    with pytest.raises(OSError, match="no database"):
        asyncio.run(UserCode({"bad": Bad()}).startup(WorkerInfo(0, 1, 1)))
