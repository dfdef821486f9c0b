"""The worker's loop between a master (a channel) and a plane that notes what it is told."""

import asyncio
import os
import signal
import socket
from dataclasses import replace

import pytest
import uvloop

from pingpy import control
from pingpy.config.load import load
from pingpy.config.plan import plan
from pingpy.config.source import ConfigSource
from pingpy.control import Channel, Drain, ListenerItem, WorkerContext
from pingpy.shared import Region
from worker.lifecycle import Lifecycle
from worker.logs import LogFiles
from worker.loop import WorkerLoop
from worker.policy.resolver import DirectoryWatch

ITEM = ListenerItem("tcp4/127.0.0.1:80", "127.0.0.1:80", "tcp4")
SIBLINGS = replace(ITEM, id="a sibling's", slot=1)
RELOAD = Drain("reload", 60, 600, 5)


class NotedPlane:
    """A plane without connections of its own."""

    def __init__(self):
        self.told = []
        self.listeners = {}
        self.load = {"clients": 0, "active": 0, "tunnels": 0, "idle_upstream": 2}
        self.read_end, self.write_end = os.pipe()
        self.turns = self.ticks = 0
        self.more = 0

    def fileno(self):
        return self.read_end

    def ready(self):
        self.turns += 1
        self.more -= 1
        return self.more > 0

    def tick(self):
        self.ticks += 1

    def add_listener(self, fd, index, name):
        self.listeners[fd] = (index, name)

    def remove_listener(self, fd):
        del self.listeners[fd]

    def drain(self, linger_ms):
        self.told.append(("drain", linger_ms))

    def resume(self):
        self.told.append("resume")

    def end_tunnels(self, count):
        self.told.append(("end_tunnels", count))
        self.load["tunnels"] -= count
        self.load["clients"] -= count

    def end_requests(self):
        self.told.append("end_requests")

    def close_all(self):
        self.told.append("close_all")

    def stats(self):
        return dict(self.load)


class Directory:
    version = 0
    blob = b""

    def read(self):
        return self.version, self.blob


class Rig:
    """One worker's loop in this process, its master's end of the channel, its plane."""

    def __init__(self, region, names=()):
        self.region = region
        self.names = list(names)
        self.directory = Directory()
        self.updates = []
        self.plane = NotedPlane()
        self.access = []

    async def start(self):
        index = self.region.claim_slab(3, 1, "worker")
        self.slab = self.region.slab(index)
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        left.setblocking(False)
        self.master = Channel(left)
        source = ConfigSource("c.toml", b"")
        context = WorkerContext(3, 1, 2, 0, right, source, self.region.fd, index, 1, "abc")
        self.life = Lifecycle(Drain("signal", 1, 1, 5), orphan_seconds=0.3)
        self.loop = WorkerLoop(context, self.life, self.slab)
        self.loop.hello()
        logs = LogFiles(plan(load(source), uid=1), self.use_access_log, lambda: 0)
        watch = DirectoryWatch(self.directory, self.names, self.updates.append)
        self.loop.serve(
            self.plane, logs, watch, dict.fromkeys((ITEM.id, SIBLINGS.id), 4).__getitem__
        )
        assert await self.hear() == control.Hello(os.getpid(), 3, 1)
        return self

    def use_access_log(self, fd):
        self.access.append(fd)

    async def hear(self):
        async with asyncio.timeout(5):
            while True:
                try:
                    received = self.master.receive()
                except BlockingIOError:
                    await asyncio.sleep(0.005)
                else:
                    return received and received[0]

    def equip(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.master.send(control.Listeners((ITEM,)), [listener.fileno()])
        self.send_log()

    def send_log(self, message=control.Logs):
        with open(os.devnull, "wb") as log:
            self.master.send(message(("access",)), [log.fileno()])

    async def accepting(self):
        self.equip()
        ready = await self.hear()
        assert isinstance(ready, control.Ready)
        assert ready.config_hash == "abc"
        assert ready.rss_bytes > 1 << 20
        self.master.send(control.Go())
        assert isinstance(await self.hear(), control.Accepting)

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - the worker's loop is this one
                await asyncio.sleep(0.005)


@pytest.fixture
def rig():
    kept = {
        number: signal.getsignal(number)
        for number in signal.valid_signals()
        if number not in (9, 19)
    }
    region = Region.create()

    def run(scenario, names=()):
        async def with_rig():
            made = await Rig(region, names).start()
            try:
                await scenario(made)
            finally:
                made.loop.close()
                made.master.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(with_rig())

    yield run
    region.close()
    for number, handler in kept.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


def test_from_hello_to_stop(rig):
    async def scenario(rig):
        await rig.accepting()
        assert list(rig.plane.listeners.values()) == [(4, "127.0.0.1:80")]
        assert rig.life.serves
        rig.plane.load.update(clients=2, active=1)
        rig.master.send(RELOAD)
        await rig.until(lambda: ("drain", 5000) in rig.plane.told)
        assert rig.plane.listeners == {}
        rig.plane.load.update(clients=0, active=0)
        assert isinstance(await rig.hear(), control.Drained)
        assert not rig.loop.exit.done()
        rig.master.send(control.Stop())
        async with asyncio.timeout(5):
            assert await rig.loop.exit == 0

    rig(scenario)


def test_a_drain_taken_back_accepts_on_the_same_descriptors(rig):
    async def scenario(rig):
        await rig.accepting()
        before = dict(rig.plane.listeners)
        rig.plane.load.update(clients=1)
        rig.master.send(RELOAD)
        await rig.until(lambda: not rig.plane.listeners)
        rig.master.send(control.Resume())
        assert isinstance(await rig.hear(), control.Accepting)
        assert rig.plane.told[-1] == "resume"
        assert rig.plane.listeners == before
        for fd in before:
            assert os.fstat(fd)

    rig(scenario)


def test_adopted_listeners_come_and_go(rig):
    async def scenario(rig):
        await rig.accepting()
        own = set(rig.plane.listeners)
        with socket.create_server(("127.0.0.1", 0)) as other:
            rig.master.send(control.Adopt((SIBLINGS,)), [other.fileno()])
        await rig.until(lambda: len(rig.plane.listeners) == 2)
        (adopted,) = set(rig.plane.listeners) - own
        rig.master.send(control.Release((SIBLINGS.id,)))
        await rig.until(lambda: set(rig.plane.listeners) == own)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(adopted)

    rig(scenario)


def test_new_log_files_are_handed_on(rig):
    async def scenario(rig):
        await rig.accepting()
        rig.send_log(control.Reopen)
        await rig.until(lambda: len(rig.access) == 2)
        assert rig.access[0] != rig.access[1]
        assert os.fstat(rig.access[1])

    rig(scenario)


def test_ready_waits_for_the_first_addresses(rig):
    async def scenario(rig):
        rig.equip()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await rig.hear()
        rig.directory.blob = b'{"names": {"backend:8080": ["192.0.2.1:8080"]}}'
        rig.directory.version = 1
        assert isinstance(await rig.hear(), control.Ready)
        assert rig.updates == [{"backend:8080": ("192.0.2.1:8080",)}]

    rig(scenario, names=["backend:8080"])


def test_ready_does_not_wait_for_ever(rig):
    async def scenario(rig):
        rig.equip()
        started = asyncio.get_running_loop().time()
        assert isinstance(await rig.hear(), control.Ready)
        assert 1.5 < asyncio.get_running_loop().time() - started < 4

    rig(scenario, names=["backend:8080"])


def test_an_orphan_leaves_when_nothing_is_left_or_its_time_is_up(rig):
    async def scenario(rig):
        await rig.accepting()
        rig.plane.load.update(clients=1, active=1)
        held = list(rig.plane.listeners)
        rig.master.close()
        await rig.until(lambda: not rig.plane.listeners)
        for fd in held:  # a queue that nobody reads must not stay open
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)
        assert not rig.loop.exit.done()
        async with asyncio.timeout(5):
            assert await rig.loop.exit == 0
        assert "end_requests" in rig.plane.told

    rig(scenario)


def test_a_signal_makes_it_leave_and_the_masters_own_are_ignored(rig):
    async def scenario(rig):
        await rig.accepting()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH):
            os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)
        assert rig.plane.listeners
        os.kill(os.getpid(), signal.SIGTERM)
        assert await rig.hear() == control.Leaving("SIGTERM")
        async with asyncio.timeout(5):
            assert await rig.loop.exit == 0

    rig(scenario)


def test_the_plane_is_driven_and_its_figures_are_shown(rig):
    async def scenario(rig):
        await rig.accepting()
        rig.plane.more, rig.plane.turns = 3, 0
        os.write(rig.plane.write_end, b"x")
        await rig.until(lambda: rig.plane.turns >= 3)
        os.read(rig.plane.read_end, 1)
        rig.plane.load.update(clients=5, active=4)
        beat = rig.slab.beat_us
        await rig.until(lambda: rig.slab.beat_us > beat)
        await rig.until(lambda: rig.plane.ticks > 3)
        assert (rig.slab.connections, rig.slab.active, rig.slab.idle_upstream) == (5, 4, 2)
        assert rig.slab.pid == os.getpid()
        assert rig.slab.rss_bytes > 1 << 20

    rig(scenario)
