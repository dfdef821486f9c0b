"""The scout does what must happen once per host, not once per worker: it resolves names and probes peers' health.

What it finds goes to the workers through shared memory: addresses into the directory, verdicts into the peers' cells.
It looks names up from its first moment, so that workers can become ready, and probes between GO and DRAIN.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import uvloop

from pingpy import control
from pingpy.config.load import load
from pingpy.config.resolve import resolve
from pingpy.config.resolved import Resolved, ResolvedPeer
from pingpy.control import WorkerContext
from pingpy.log import logger
from pingpy.shared import Region
from pingpy.shared.layout import PROBE_DOWN, PROBE_UNKNOWN, PROBE_UP
from worker.channel import LoopChannel, close_quietly
from worker.logs import ERROR, use_error_log
from worker.plane.peer_cells import PeerCells
from worker.policy.health import Action, Mark, ProbeBook, Target
from worker.policy.health_cells import HealthCells, member
from worker.policy.health_probe import probe
from worker.policy.origin_tls import ProbeContexts, named
from worker.policy.resolver import FIRST_DIRECTORY_SECONDS, is_name, needed_names
from worker.policy.resolver_book import Lookup, NameBook
from worker.policy.resolver_lookup import LookupFailedError, look_up
from worker.policy.scout_counters import ScoutCounters
from worker.signals import install

MAX_PROBES_AT_ONCE = 64
BEAT_SECONDS = 1.0
# Due times closer together than this are served by one tick.
TICK_SECONDS = 0.02


class Verdicts(Protocol):
    """Where verdicts are kept, by member."""

    def read(self, key: str) -> int:
        """The verdict in force."""

    def write(self, key: str, verdict: int) -> None:
        """Put a verdict in force."""


class Counts(Protocol):
    """What is counted for the metrics page."""

    def looked_up(self, *, ok: bool) -> None:
        """A look-up ended."""

    def probed(self, *, ok: bool) -> None:
        """A probe ended."""

    def ages(self, seconds: dict[str, float]) -> None:
        """How old the answer in force is, by name."""


class Scout:
    """One generation's look-ups and probes. The world (resolver, probe, clock, chance) is given, for tests."""

    def __init__(
        self,
        resolved: Resolved,
        verdicts: Verdicts,
        publish: Callable[[bytes], int],
        counters: Counts,
        *,
        look_up: Callable[[str], Awaitable[list[str]]] = look_up,
        probe: Callable[[Target], Awaitable[str | None]] = probe,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolved = resolved
        self._verdicts = verdicts
        self._publish = publish
        self._counters = counters
        self._look_up = look_up
        self._probe = probe
        self._clock = clock
        self._names = NameBook(chance)
        self._book = ProbeBook(chance)
        self._probing = False
        self._woken = asyncio.Event()
        self._probes_at_once = asyncio.Semaphore(MAX_PROBES_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unpublished = False
        self.looked_up = asyncio.Event()  # every name was looked up once, and workers can see it

    async def run(self) -> None:
        """Look up and probe until cancelled."""
        self._names.want(needed_names(self._resolved), self._clock())
        while True:
            self._woken.clear()
            self._tick()
            pause = max(self._next_due() - self._clock(), TICK_SECONDS)
            try:
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            except TimeoutError:
                continue
            # Results that come together are published together.
            await asyncio.sleep(TICK_SECONDS)

    def start_probing(self) -> None:
        """The generation accepts: from now on its probes count."""
        self._probing = True
        self._watch()
        self._woken.set()

    def stop_probing(self) -> None:
        """Another generation's scout probes the same peers now."""
        self._probing = False

    def _tick(self) -> None:
        now = self._clock()
        for name in self._names.due(now):
            self._spawn(self._look_up_one(name))
        if self._probing:
            for target in self._book.due(now):
                self._spawn(self._probe_one(target))
        if self._unpublished:
            self._unpublished = False
            answers = self._names.answers()
            version = self._publish(json.dumps({"names": answers}).encode())
            logger.debug("directory version %d: %d names", version, len(answers))
        if self._names.complete():
            self.looked_up.set()

    def tell_ages(self) -> None:
        """Once a second: how old what is known of names is."""
        self._counters.ages(self._names.ages(self._clock()))

    def _next_due(self) -> float:
        due = [self._names.next_due(), self._book.next_due() if self._probing else None]
        return min((when for when in due if when is not None), default=self._clock() + 3600)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_up_one(self, name: str) -> None:
        lookup: Lookup
        try:
            addresses = await self._look_up(name)
        except LookupFailedError as error:
            lookup = self._names.failed(name, str(error), self._clock())
        else:
            lookup = self._names.resolved(name, addresses, self._clock())
        self._counters.looked_up(ok=not lookup.failed)
        if lookup.note:
            (logger.warning if lookup.warning else logger.info)("%s", lookup.note)
        if lookup.publish:
            self._unpublished = True
            if self._probing:
                self._watch()
        self._woken.set()

    async def _probe_one(self, target: Target) -> None:
        async with self._probes_at_once:
            cause = await self._probe(target)
        self._counters.probed(ok=cause is None)
        if self._probing:
            self._act(self._book.result(target, cause, self._clock()))
        else:
            # Told to drain meanwhile: the verdict is the next scout's to write.
            self._book.forget(target)
        self._woken.set()

    def _watch(self) -> None:
        """Probe what the configuration and the latest addresses say; peers without a check are nobody's to take out."""
        targets: dict[Target, set[str]] = {}
        answers = self._names.answers()
        for pool in self._resolved.pools:
            for peer in pool.peers:
                for address in _addresses(peer, answers):
                    key = member(pool.name, address)
                    if pool.health_check is None:
                        self._verdicts.write(key, PROBE_UNKNOWN)
                        continue
                    tls = named(pool.tls, peer.host)
                    target = Target(
                        address,
                        peer.authority,
                        tls if peer.scheme == "https" else None,
                        pool.health_check,
                        pool.send_proxy,
                    )
                    targets.setdefault(target, set()).add(key)
        keys = {key for group in targets.values() for key in group}
        down = frozenset(key for key in keys if self._verdicts.read(key) == PROBE_DOWN)
        frozen = {target: frozenset(group) for target, group in targets.items()}
        self._act(self._book.watch(frozen, self._clock(), down))

    def _act(self, actions: list[Action] | list[Mark]) -> None:
        for action in actions:
            if isinstance(action, Mark):
                for key in action.members:
                    self._verdicts.write(key, PROBE_UP if action.up else PROBE_DOWN)
            else:
                (logger.info if action.up else logger.warning)("%s", action)


def _addresses(peer: ResolvedPeer, answers: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    return answers.get(peer.address, ()) if is_name(peer) else (peer.address,)


class ScoutProcess:
    """The process around it: channel, signals, sign of life."""

    def __init__(self, context: WorkerContext, scout: Scout, region: Region) -> None:
        self._context = context
        self._scout = scout
        self._slab = region.slab(context.slab)
        self._loop = asyncio.get_running_loop()
        self._channel = LoopChannel(self._loop, context.channel, self._received, self._leave)
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> None:
        """Until told to stop, or until the master is gone."""
        self._slab.pid = os.getpid()
        install(self._loop, drain=lambda reason: self._leave(), reopen=lambda: None)
        self._channel.start()
        self._channel.send(control.Hello(os.getpid(), self._context.generation, self._context.slot))
        self._beat()
        work = self._loop.create_task(self._scout.run())
        work.add_done_callback(lambda task: self._leave())
        await asyncio.wait(
            (self._done, asyncio.ensure_future(self._scout.looked_up.wait())),
            timeout=FIRST_DIRECTORY_SECONDS,
            return_when=asyncio.FIRST_COMPLETED,
        )
        self._channel.send(control.Ready(self._context.config_hash))
        await self._done
        work.cancel()
        if work.done():
            work.result()  # it never ends by itself but by an error

    def _beat(self) -> None:
        self._slab.beat_us = time.monotonic_ns() // 1000
        self._scout.tell_ages()
        self._loop.call_later(BEAT_SECONDS, self._beat)

    def _leave(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _received(self, message: control.Message, fds: list[int]) -> None:
        match message:
            case control.Go() | control.Resume():
                self._scout.start_probing()
                self._channel.send(control.Accepting())
            case control.Drain():
                self._scout.stop_probing()
                self._channel.send(control.Drained())
            case control.Stop():
                self._leave()
            case control.Logs(names) | control.Reopen(names):
                _take_logs(names, fds)
                return
            case _:
                pass
        for fd in fds:
            close_quietly(fd)


def _take_logs(names: tuple[str, ...], fds: list[int]) -> None:
    for name, fd in zip(names, fds, strict=True):
        if name == ERROR:
            use_error_log(fd)
        else:
            close_quietly(fd)


def main(context: WorkerContext) -> int:
    """The scout's whole life; the return value is its exit code."""
    # uvloop looks names up on libuv's threads, four by default: a few dead name servers must not block the rest.
    os.environ.setdefault("UV_THREADPOOL_SIZE", "16")
    try:
        config = load(context.source)
        region = Region.attach(os.dup(context.region_fd))
        verdicts = HealthCells(region, PeerCells(region, context.slab))
        directory = region.directory(context.generation)

        async def live() -> None:
            counters = ScoutCounters(region, context.slab)
            contexts = ProbeContexts(context.secrets)
            scout = Scout(
                resolve(config),
                verdicts,
                directory.publish,
                counters,
                probe=lambda target: probe(target, contexts),
            )
            await ScoutProcess(context, scout, region).run()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live())
    except Exception as error:
        fatal = control.Fatal(f"{type(error).__name__}: {error}", traceback.format_exc())
        context.channel.setblocking(True)
        control.Channel(context.channel).send(fatal)
        logger.exception("the scout failed")
        return 1
    return 0
