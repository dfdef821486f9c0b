"""A worker's event loop: messages, signals and time go to the lifecycle, and its actions are performed on the plane."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol, cast

from pingpy import control
from pingpy.control import ListenerItem, WorkerContext
from pingpy.log import logger
from pingpy.shared import Slab
from worker import lifecycle
from worker.channel import LoopChannel, close_quietly
from worker.lag import LagWatch
from worker.lifecycle import Lifecycle, Load
from worker.logs import LogFiles
from worker.memory import ResidentMemory
from worker.policy.resolver import FIRST_DIRECTORY_SECONDS, WATCH_SECONDS, DirectoryWatch
from worker.signals import install

BEAT_SECONDS = 1.0
TICK_SECONDS = 0.1
# How often a draining worker looks whether anything is left.
DRAIN_LOOK_SECONDS = 0.05


class Plane(Protocol):
    """What the loop needs of the compiled plane."""

    def fileno(self) -> int:
        """The epoll set: readable when there is something to do."""

    def ready(self) -> bool:
        """Do it; True: come back at once."""

    def tick(self) -> object:
        """Ten times a second: deadlines, queues, log, gauges."""

    def add_listener(self, fd: int, index: int, name: str) -> None:
        """Accept from this descriptor, which stays the caller's."""

    def remove_listener(self, fd: int) -> None:
        """Accept from it no more."""

    def drain(self, linger_ms: int) -> None:
        """Answer what is there; close connections after their response, or after this long without a byte."""

    def resume(self) -> None:
        """Serve as before the drain."""

    def end_requests(self) -> object:
        """Cut every connection that is neither a tunnel nor a response without an end."""

    def close_all(self) -> object:
        """Cut every connection."""

    def stats(self) -> dict[str, int]:
        """Among others clients, active, idle_upstream; `tunnels` and `streams` when the plane has such."""


class TunnelPlane(Plane, Protocol):
    """A plane that counts tunnels in its figures, and so can be told to end some."""

    def end_tunnels(self, count: int) -> object:
        """End so many tunnels, as politely as their protocol allows."""


class WorkerLoop:
    """Performs; `Lifecycle` decides. `plane` and `logs` come with `serve`, once the configuration is built."""

    def __init__(self, context: WorkerContext, life: Lifecycle, slab: Slab) -> None:
        self._context = context
        self._life = life
        self._slab = slab
        self._loop = asyncio.get_running_loop()
        self._channel = LoopChannel(self._loop, context.channel, self._received, self._master_gone)
        self._plane: Plane | None = None
        self._logs: LogFiles | None = None
        self._directory: DirectoryWatch | None = None
        self._listener_index: Callable[[str], int] = lambda listener: 0
        self._listeners: dict[int, ListenerItem] = {}  # by descriptor
        self._accepting = False
        self._early: list[tuple[control.Message, list[int]]] = []
        self._lag = LagWatch()
        self._memory = ResidentMemory()
        self._tick_due = 0.0
        self._worst_lag = 0.0
        self._draining_look: asyncio.TimerHandle | None = None
        self.exit: asyncio.Future[int] = self._loop.create_future()

    @property
    def lag(self) -> LagWatch:
        """Told of every tick; a second thread may look at it."""
        return self._lag

    def hello(self) -> None:
        """Handlers are in place: say so, and be heard from now on."""
        self._slab.pid = os.getpid()
        install(self._loop, drain=self._told_to_leave, reopen=self._reopen_by_path)
        self._channel.start()
        self._channel.send(control.Hello(os.getpid(), self._context.generation, self._context.slot))
        self._beat()

    def progress(self, phase: str) -> None:
        """Still building: extends the time the master waits for READY."""
        self._channel.send(control.Progress(phase))

    def serve(
        self,
        plane: Plane,
        logs: LogFiles,
        directory: DirectoryWatch,
        listener_index: Callable[[str], int],
    ) -> None:
        """Everything is built: drive the plane, and take the messages that came before it was there."""
        self._plane, self._logs, self._directory = plane, logs, directory
        self._listener_index = listener_index
        self._loop.add_reader(plane.fileno(), self._plane_ready)
        self._tick()
        self._watch_directory()
        self._loop.call_later(FIRST_DIRECTORY_SECONDS, self._have, "addresses")
        early, self._early = self._early, []
        for message, fds in early:
            self._received(message, fds)
        self._have("tables")

    def close(self) -> None:
        """The end: nothing is accepted or driven any more."""
        if self._plane is not None:
            self._loop.remove_reader(self._plane.fileno())
            self._plane.close_all()
            self._plane = None
        self._channel.close()

    # ---- events

    def _received(self, message: control.Message, fds: list[int]) -> None:
        if self._plane is None and fds:
            self._early.append((message, fds))
            return
        now = time.monotonic()
        match message:
            case control.Listeners(items, last):
                self._take_listeners(items, fds)
                if last:
                    self._have("listeners")
                return
            case control.Logs(names) | control.Reopen(names) if self._logs is not None:
                self._logs.take(names, fds)
                self._have("logs")
                return
            case control.Adopt(items):
                self._take_listeners(items, fds)
                return
            case control.Release(ids):
                self._release(ids)
            case control.Go():
                self._do(self._life.go())
            case control.Drain():
                logger.info("draining (%s)", message.reason)
                self._do(self._life.drain(message, now))
            case control.Resume():
                self._do(self._life.resume())
            case control.Stop():
                self._do(self._life.stop(self._load()))
            case _:
                logger.warning("the master says %r, which a worker does not know", message)
        for fd in fds:
            close_quietly(fd)

    def _have(self, part: str) -> None:
        self._do(self._life.have(part))

    def _master_gone(self) -> None:
        self._do(self._life.master_gone(time.monotonic()))

    def _told_to_leave(self, reason: str) -> None:
        logger.info("%s: draining, then leaving", reason)
        self._do(self._life.leave(reason, time.monotonic()))

    def _reopen_by_path(self) -> None:
        if self._logs is not None:
            self._logs.reopen_by_path()

    def _plane_ready(self) -> None:
        if self._plane is not None and self._plane.ready():
            self._loop.call_soon(self._plane_ready)

    def _tick(self) -> None:
        """The plane's own deadlines."""
        if self._plane is None:
            return
        now = time.monotonic()
        line = self._lag.mark(now, self._tick_due or now)
        if line:
            logger.warning("%s", line)
        self._worst_lag = max(self._worst_lag, now - (self._tick_due or now))
        self._tick_due = now + TICK_SECONDS
        self._plane.tick()
        self._loop.call_later(TICK_SECONDS, self._tick)

    def _watch_directory(self) -> None:
        if self._plane is None or self._directory is None:
            return
        try:
            self._directory.look()
        except Exception:
            logger.exception("the new addresses could not be put in force")
        if self._directory.complete and self._life.booting:
            self._have("addresses")
        self._loop.call_later(WATCH_SECONDS, self._watch_directory)

    def _beat(self) -> None:
        slab = self._slab
        slab.loop_lag_us = int(self._worst_lag * 1e6)
        self._worst_lag = 0.0
        slab.beat_us = time.monotonic_ns() // 1000
        if self._plane is not None:
            stats = self._plane.stats()
            slab.connections = stats["clients"]
            slab.active = stats["active"]
            slab.idle_upstream = stats["idle_upstream"]
        slab.rss_bytes = self._memory.resident_bytes()
        if self._logs is not None:
            self._logs.watch(time.monotonic())
        self._loop.call_later(BEAT_SECONDS, self._beat)

    # ---- actions

    def _do(self, actions: list[lifecycle.Action]) -> None:
        for action in actions:
            self._perform(action)
        draining = self._life.state is lifecycle.State.DRAINING
        if draining and self._draining_look is None:
            self._draining_look = self._loop.call_later(DRAIN_LOOK_SECONDS, self._look_at_drain)

    def _perform(self, action: lifecycle.Action) -> None:
        match action:
            case lifecycle.SayReady():
                self._channel.send(
                    control.Ready(self._context.config_hash, self._memory.resident_bytes())
                )
            case lifecycle.SayDrained():
                self._channel.send(control.Drained())
            case lifecycle.SayLeaving(reason):
                self._channel.send(control.Leaving(reason))
            case lifecycle.Note(text):
                logger.warning("%s", text)
            case lifecycle.Exit(cut):
                if cut:
                    logger.warning("leaving with %d connections still open", cut)
                if not self.exit.done():
                    self.exit.set_result(0)
            case _:
                if self._plane is not None:
                    self._perform_on(self._plane, action)

    def _perform_on(self, plane: Plane, action: lifecycle.Action) -> None:
        match action:
            case lifecycle.StartAccepting(resumed):
                self._start_accepting(plane, resumed)
            case lifecycle.StopAccepting(linger_seconds):
                self._stop_accepting(plane)
                plane.drain(int(linger_seconds * 1000))
            case lifecycle.GiveUpListeners():
                self._give_up_listeners(plane)
            case lifecycle.EndRequests():
                plane.end_requests()
            case lifecycle.EndTunnels(count):
                cast(TunnelPlane, plane).end_tunnels(count)
            case _:
                raise AssertionError(f"nobody performs {action!r}")

    def _look_at_drain(self) -> None:
        self._draining_look = None
        self._do(self._life.tick(time.monotonic(), self._load()))

    def _load(self) -> Load:
        if self._plane is None:
            return Load(0, 0, 0)
        stats = self._plane.stats()
        # A response without an end (an event stream) is not a request to wait for: it drains as tunnels do.
        streams = stats.get("streams", 0)
        # One HTTP/2 connection may have several, or one beside a request: the difference is for a log line.
        requests = max(stats["active"] - streams, 0)
        return Load(stats["clients"], requests, stats.get("tunnels", 0) + streams)

    def _start_accepting(self, plane: Plane, resumed: bool) -> None:
        if resumed:
            plane.resume()
        if not self._accepting:
            self._accepting = True
            for fd, item in self._listeners.items():
                plane.add_listener(fd, self._listener_index(item.id), item.address)
        self._channel.send(control.Accepting())

    def _stop_accepting(self, plane: Plane) -> None:
        if self._accepting:
            self._accepting = False
            # The descriptors stay open: RESUME may come, and a slot's queue must not be lost with its last reader.
            for fd in self._listeners:
                plane.remove_listener(fd)

    def _take_listeners(self, items: tuple[ListenerItem, ...], fds: list[int]) -> None:
        for item, fd in zip(items, fds, strict=True):
            self._listeners[fd] = item
            if self._accepting and self._plane is not None:
                self._plane.add_listener(fd, self._listener_index(item.id), item.address)

    def _give_up_listeners(self, plane: Plane) -> None:
        """Nobody will ask us to resume: an address with no reader must refuse, or be another instance's."""
        plane.ready()  # who is in the queues already is let in
        self._stop_accepting(plane)
        for fd in self._listeners:
            close_quietly(fd)
        self._listeners.clear()

    def _release(self, ids: tuple[str, ...]) -> None:
        # Not only adopted ones: a generation that does not come back gives up all it has.
        for fd, item in tuple(self._listeners.items()):
            if item.id not in ids:
                continue
            if self._accepting and self._plane is not None:
                self._plane.remove_listener(fd)
            del self._listeners[fd]
            close_quietly(fd)
