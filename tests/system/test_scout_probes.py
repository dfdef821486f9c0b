"""The scout against real origins: how often it asks, what it concludes, how it follows names."""

import asyncio
import itertools
import json
import logging
from collections import Counter

import grpc_service
import pytest
import uvloop

from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.source import ConfigSource
from pingpy.shared.layout import PROBE_DOWN, PROBE_UNKNOWN, PROBE_UP
from worker.policy.resolver_lookup import LookupFailedError, look_up
from worker.scout import Scout

DEADLINE_SECONDS = 10


class Origin:
    """Answers every request with `status`; notes when, and how many were open at once."""

    def __init__(self, status=200):
        self.status = status
        self.asked = []
        self.open = self.most_open = 0
        self.delay = 0.0

    async def start(self, port=0):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        return self

    async def serve(self, reader, writer):
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.asked.append((asyncio.get_running_loop().time(), head))
            await asyncio.sleep(self.delay)
            line = f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            writer.write(line.encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            self.asked.append((asyncio.get_running_loop().time(), b""))
        finally:
            self.open -= 1
            writer.close()


class World:
    """Stands for shared memory and the resolver."""

    def __init__(self):
        self.verdicts = {}
        self.published = []
        self.zone = {}
        self.lookups = []
        self.counted = Counter()

    def read(self, key):
        return self.verdicts.get(key, PROBE_UNKNOWN)

    def write(self, key, verdict):
        self.verdicts[key] = verdict

    def publish(self, blob):
        self.published.append(json.loads(blob)["names"])
        return len(self.published)

    async def look_up(self, name):
        self.lookups.append(name)
        found = self.zone.get(name)
        if found is None:
            raise LookupFailedError("unknown name")
        return list(found)

    def scout(self, text, **more):
        resolved = resolve(load(ConfigSource("c.toml", text.encode())))
        return Scout(resolved, self, self.publish, self, look_up=self.look_up, **more)

    def looked_up(self, *, ok):
        self.counted["looked_up", ok] += 1

    def probed(self, *, ok):
        self.counted["probed", ok] += 1


async def until(condition, seconds=DEADLINE_SECONDS):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(0.01)


def running(scenario):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def pools(*members, health=""):
    text = "\n".join(
        f'[[pools]]\nname = "{name}"\npeers = [{{address = "{address}"}}]'
        for name, address in members
    )
    rules = "\n".join(
        f'[[proxy.rules]]\npath = "/{name}"\nupstream = "{name}"' for name, _ in members
    )
    return f"{text}\n[proxy]\n{rules}\n{health}"


HEALTH = '[health_check]\ninterval = 0.2\ntimeout = 0.1\npath = "/healthz"\n'


def test_an_address_in_two_pools_is_probed_once_per_interval_and_judged_in_both():
    world = World()

    async def scenario():
        origin = await Origin().start()
        members = [("one", origin.address), ("two", origin.address)]
        scout = world.scout(pools(*members, health=HEALTH))
        task = asyncio.create_task(scout.run())
        await asyncio.sleep(0.3)
        assert origin.asked == []  # not before GO
        scout.start_probing()
        await until(lambda: len(origin.asked) >= 6)
        times = [moment for moment, _ in origin.asked]
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert sum(gaps) / len(gaps) > 0.15
        assert origin.asked[0][1].startswith(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:")
        assert set(world.verdicts) == {f"one|{origin.address}", f"two|{origin.address}"}
        assert set(world.verdicts.values()) == {PROBE_UP}
        scout.stop_probing()
        await asyncio.sleep(0.15)
        seen = len(origin.asked)
        await asyncio.sleep(0.5)
        assert len(origin.asked) == seen
        task.cancel()

    running(scenario)


def test_a_slow_origin_never_has_two_probes_and_is_down():
    world = World()

    async def scenario():
        origin = await Origin().start()
        origin.delay = 5.0
        scout = world.scout(pools(("one", origin.address), health=HEALTH))
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.read(f"one|{origin.address}") == PROBE_DOWN)
        await until(lambda: len(origin.asked) >= 4)
        task.cancel()

    running(scenario)


def test_status_refusal_and_recovery_are_seen_and_logged(caplog):
    world = World()
    caplog.set_level(logging.INFO, "pingpy")
    logging.getLogger("pingpy").propagate = True

    async def scenario():
        origin = await Origin(503).start()
        key = f"one|{origin.address}"
        scout = world.scout(pools(("one", origin.address), health=HEALTH))
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.read(key) == PROBE_DOWN)
        origin.status = 200
        await until(lambda: world.read(key) == PROBE_UP)
        origin.server.close()
        await until(lambda: world.read(key) == PROBE_DOWN)
        task.cancel()

    running(scenario)
    text = caplog.text
    assert "is down after 1 failed probe: status 503 for /healthz" in text
    assert "is up again after 1 good probe" in text
    assert "Connection refused" in text or "Connect call failed" in text


@pytest.mark.parametrize(("expected", "verdict"), [('["2xx", 404]', PROBE_UP), ("200", PROBE_DOWN)])
def test_expected_statuses_decide(expected, verdict):
    world = World()

    async def scenario():
        origin = await Origin(404).start()
        health = f"{HEALTH}expected_status = {expected}\n"
        scout = world.scout(pools(("one", origin.address), health=health))
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.verdicts)
        assert world.verdicts == {f"one|{origin.address}": verdict}
        task.cancel()

    running(scenario)


def test_a_connection_is_enough_for_tcp():
    world = World()

    async def scenario():
        origin = await Origin(500).start()
        health = '[health_check]\ninterval = 0.2\ntimeout = 0.1\ntype = "tcp"\n'
        scout = world.scout(pools(("one", origin.address), health=health))
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.read(f"one|{origin.address}") == PROBE_UP)
        task.cancel()

    running(scenario)


def test_without_a_check_an_old_verdict_is_withdrawn():
    world = World()

    async def scenario():
        world.verdicts["one|192.0.2.1:80"] = PROBE_DOWN
        scout = world.scout(pools(("one", "192.0.2.1:80")))
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.read("one|192.0.2.1:80") == PROBE_UNKNOWN)
        task.cancel()

    running(scenario)


def test_a_name_that_moves_is_followed_and_its_new_address_probed():
    world = World()

    async def scenario():
        first, second = await Origin().start(), await Origin().start()
        clock = Clock()
        world.zone["backend:8080"] = [first.address]
        scout = world.scout(pools(("one", "backend:8080"), health=HEALTH), clock=clock)
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.read(f"one|{first.address}") == PROBE_UP)
        assert world.published == [{"backend:8080": [first.address]}]
        assert b"Host: backend:8080\r\n" in first.asked[0][1]
        world.zone["backend:8080"] = [second.address]
        clock.skip(40)
        await until(lambda: world.read(f"one|{second.address}") == PROBE_UP)
        assert world.published[-1] == {"backend:8080": [second.address]}
        count = len(first.asked)
        await until(lambda: len(second.asked) >= 3)
        assert len(first.asked) <= count + 1
        del world.zone["backend:8080"]
        clock.skip(40)
        await until(lambda: len(world.lookups) >= 3)
        await asyncio.sleep(0.1)
        assert world.published[-1] == {"backend:8080": [second.address]}  # the last good one
        assert len(world.published) == 2
        task.cancel()

    running(scenario)


class Clock:
    """The loop's clock, with jumps forward."""

    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return asyncio.get_running_loop().time() + self.ahead

    def skip(self, seconds):
        self.ahead += seconds


def test_a_name_that_does_not_resolve_is_published_as_such_and_retried_soon():
    world = World()

    async def scenario():
        scout = world.scout(pools(("one", "nowhere:80"), ("two", "there:80")))
        world.zone["there:80"] = ["192.0.2.1:80"]
        task = asyncio.create_task(scout.run())
        await until(lambda: world.published and len(world.published[-1]) == 2)
        assert world.published[-1] == {"nowhere:80": [], "there:80": ["192.0.2.1:80"]}
        assert world.counted == {("looked_up", True): 1, ("looked_up", False): 1}
        world.zone["nowhere:80"] = ["192.0.2.2:80"]
        await until(lambda: world.published[-1]["nowhere:80"])
        assert world.lookups.count("there:80") == 1
        task.cancel()

    running(scenario)


def test_the_systems_resolver_is_asked():
    async def scenario():
        found = await look_up("localhost:81")
        assert set(found) <= {"127.0.0.1:81", "[::1]:81"}
        assert found
        with pytest.raises(LookupFailedError):
            await look_up("name.invalid:80")
        with pytest.raises(LookupFailedError):
            await look_up("a" * 70 + ".invalid:80")

    running(scenario)


def test_a_grpc_server_is_asked_for_its_service(caplog):
    server, service, port = grpc_service.start()
    world = World()
    caplog.set_level(logging.INFO, "pingpy")
    logging.getLogger("pingpy").propagate = True
    address = f"127.0.0.1:{port}"

    async def scenario():
        health = '[health_check]\ninterval = 0.3\ntype = "grpc"\nservice = "test.Echo"\n'
        other = '[pools.health_check]\nservice = "other"\n'
        two = pools(("one", address), ("two", address), health=health).replace(
            "[proxy]", f"{other}[proxy]", 1
        )
        scout = world.scout(two)
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.read(f"one|{address}") == PROBE_UP)
        await until(lambda: world.read(f"two|{address}") == PROBE_DOWN)
        service.health = 2
        await until(lambda: world.read(f"one|{address}") == PROBE_DOWN)
        service.health = 1
        await until(lambda: world.read(f"one|{address}") == PROBE_UP)
        task.cancel()

    try:
        running(scenario)
    finally:
        server.stop(None)
    assert "grpc-status 5: no such service" in caplog.text
    assert "the service is NOT_SERVING" in caplog.text


def test_an_origin_that_does_not_speak_http2_fails_a_grpc_probe():
    world = World()

    async def scenario():
        origin = await Origin().start()
        health = '[health_check]\ninterval = 0.3\ntype = "grpc"\n'
        scout = world.scout(pools(("one", origin.address), health=health))
        task = asyncio.create_task(scout.run())
        scout.start_probing()
        await until(lambda: world.read(f"one|{origin.address}") == PROBE_DOWN)
        task.cancel()

    running(scenario)
