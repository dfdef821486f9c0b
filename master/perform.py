"""Performs the supervisor's actions, in order; every failure comes back as an event."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from master import actions, successor
from master.checker import Checker, checker_spec
from master.children import Child
from master.events import Bound, Checked, Exited, PeerGone, Spawned
from master.handoff import REGION, TICKETS, Giver, State
from master.listeners import BindError
from master.logfiles import LogFileError
from master.peer import Peer
from master.process import raise_open_files
from master.secret_files import SecretFileError
from master.status import describe
from pingpy import control, log
from pingpy.control import MAX_FDS, SCOUT_SLOT
from pingpy.shared import SlabsExhaustedError, layout, ticket_keys

if TYPE_CHECKING:
    from master.loop import Loop

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40}


class Performer:
    """One method per action, found by the action's class name."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.estate = loop.estate

    def perform(self, action: actions.Action) -> None:
        """Do it."""
        name = type(action).__name__
        method = getattr(self, f"_{name}")
        method(action)

    # Workers.

    def _Spawn(self, action: actions.Spawn) -> None:  # noqa: N802 - named after the action, as all below
        birth = self.estate.generations[action.generation]
        try:
            child = self.estate.children.spawn(
                action.worker, action.generation, action.slot, action.worker_count, birth
            )
        except (OSError, SlabsExhaustedError) as error:
            self.loop.post(Exited(action.worker, f"could not be started: {error}"))
            return
        self.loop.watch_child(child)
        self.loop.post(Spawned(action.worker, child.pid))

    def _Equip(self, action: actions.Equip) -> None:  # noqa: N802
        child = self._child(action.worker)
        if child is None:
            return
        items: list[control.ListenerItem] = []
        fds: list[int] = []
        if child.slot != SCOUT_SLOT:
            items, fds = self.estate.items(child.generation, action.slots, shared=True)
        child.given.update(item.id for item in items)
        starts = range(0, max(1, len(items)), MAX_FDS)
        for start in starts:
            batch = tuple(items[start : start + MAX_FDS])
            last = start + MAX_FDS >= len(items)
            message = control.Listeners(batch, last)
            self.estate.children.send(action.worker, message, fds[start : start + MAX_FDS])
        names = self.estate.logs.names_of(self.estate.plan(child.generation))
        message_logs = control.Logs(tuple(names))
        self.estate.children.send(action.worker, message_logs, list(names.values()))

    def _Lend(self, action: actions.Lend) -> None:  # noqa: N802
        child = self._child(action.worker)
        if child is None:
            return
        items, fds = self.estate.items(child.generation, action.slots, shared=False)
        child.given.update(item.id for item in items)
        for start in range(0, len(items), MAX_FDS):
            message = control.Adopt(tuple(items[start : start + MAX_FDS]))
            self.estate.children.send(action.worker, message, fds[start : start + MAX_FDS])

    def _TakeBack(self, action: actions.TakeBack) -> None:  # noqa: N802
        child = self._child(action.worker)
        if child is not None:
            ids = self.estate.ids(child.generation, action.slots)
            child.given.difference_update(ids)
            self.estate.children.send(action.worker, control.Release(ids))

    def _Relinquish(self, action: actions.Relinquish) -> None:  # noqa: N802
        child = self._child(action.worker)
        if child is not None:
            self.estate.children.send(action.worker, control.Release(tuple(sorted(child.given))))
            child.given.clear()

    def _CloseListeners(self, action: actions.CloseListeners) -> None:  # noqa: N802
        self.estate.listeners.close(unlink=action.unlink)

    def _Tell(self, action: actions.Tell) -> None:  # noqa: N802
        child = self._child(action.worker)
        if child is not None and isinstance(action.message, control.Drain | control.Resume):
            slab = self.estate.region.slab(child.slab)
            slab.draining = isinstance(action.message, control.Drain)
        self.estate.children.send(action.worker, action.message)

    def _Kill(self, action: actions.Kill) -> None:  # noqa: N802
        self.estate.children.kill(action.worker, action.signal)

    def _child(self, worker: int) -> Child | None:
        return self.estate.children.by_worker.get(worker)

    # Generations.

    def _Check(self, action: actions.Check) -> None:  # noqa: N802
        try:
            source = self.estate.setup.read()
        except OSError as error:
            self.loop.post(Checked(action.ticket, None, f"cannot read the configuration: {error}"))
            return
        current = self.estate.generations[self.estate.current]
        spec = checker_spec(current.log_fd, current.log_level)
        held = tuple(self.estate.listeners.groups)
        check = self.estate.setup.check
        self.loop.watch_checker(Checker(action.ticket, source, check, spec, held))

    def _Bind(self, action: actions.Bind) -> None:  # noqa: N802
        source, plan = self.estate.candidates.pop(action.ticket)
        try:
            self.estate.enrol(action.generation, source, plan)
            raise_open_files(plan.open_files)
            slots = self.estate.listeners.bind(plan.listeners, plan.worker_count)
        except (BindError, LogFileError, LookupError, SecretFileError) as error:
            self.loop.post(Bound(action.ticket, 0, str(error)))
            return
        for warning in self.estate.listeners.warnings + self.estate.logs.warnings:
            log.logger.warning("%s", warning)
        if plan.runtime_dir != self.estate.runtime_dir:
            log.logger.warning("a new runtime_dir takes effect with the next start or upgrade")
        self.loop.post(Bound(action.ticket, slots))

    def _Grow(self, action: actions.Grow) -> None:  # noqa: N802
        plan = self.estate.plan(action.generation)
        try:
            self.estate.listeners.bind(plan.listeners, action.slots)
            self.estate.listeners.listen(plan.listeners)
        except BindError as error:
            log.logger.error("%s", error)

    def _Listen(self, action: actions.Listen) -> None:  # noqa: N802
        try:
            self.estate.listeners.listen(self.estate.plan(action.generation).listeners)
        except BindError as error:
            log.logger.error("%s", error)

    def _Commit(self, action: actions.Commit) -> None:  # noqa: N802
        self.estate.current = action.generation
        generation = self.estate.generations[action.generation]
        plan = generation.plan
        for id_ in self.estate.listeners.keep_only(p.id for p in plan.listeners):
            log.logger.info("no longer listening on %s", id_)
        log.setup(plan.log_level, fd=generation.log_fd, generation=action.generation)
        self.estate.settle_paths(plan)
        if self.estate.control is not None:
            self.estate.control.allow(plan.control_users)
        self.loop.gauge("pingpy_config_last_reload_timestamp_seconds", int(self.loop.wall_clock()))

    def _Discard(self, action: actions.Discard) -> None:  # noqa: N802
        self.estate.listeners.drop_silent_slots()
        if not any(
            c.generation == action.generation for c in self.estate.children.by_worker.values()
        ):
            self.estate.generations.pop(
                action.generation, None
            )  # else when its last process is gone
        others = [g.plan for n, g in self.estate.generations.items() if n != action.generation]
        self.estate.listeners.keep_only(p.id for plan in others for p in plan.listeners)

    def _Forget(self, action: actions.Forget) -> None:  # noqa: N802
        self.estate.generations.pop(action.generation, None)
        self.estate.logs.keep_only(self.estate.live_plans())

    # Operators.

    def _ReopenLogs(self, action: actions.ReopenLogs) -> None:  # noqa: N802
        for other, who in ((self.loop.elder, "elder"), (self.loop.peer, "successor")):
            if other is not None and who != action.relayed_by:
                other.say("REOPEN", {})
        replaced, complaints = self.estate.logs.reopen()
        for complaint in complaints:
            log.logger.error("%s", complaint)
        for generation in self.estate.generations.values():
            generation.log_fd = self.estate.logs.error_fd(generation.plan)
        current = self.estate.generations[self.estate.current]
        log.reopen(current.log_fd)
        for child in self.estate.children.by_worker.values():
            names = self.estate.logs.names_of(self.estate.plan(child.generation))
            message = control.Reopen(tuple(names))
            self.estate.children.send(child.worker, message, list(names.values()))
        for fd in replaced:
            os.close(fd)
        log.logger.info("logs reopened")

    def _RotateTickets(self, action: actions.RotateTickets) -> None:  # noqa: N802
        self.estate.tickets.rotate(action.now)
        log.logger.info("a new key for TLS session tickets is in force")

    def _Reply(self, action: actions.Reply) -> None:  # noqa: N802
        body = {"type": "REPLY", "code": action.code, "text": action.text, **action.fields}
        if self.estate.control is not None:
            self.estate.control.reply(action.client, body)

    def _Describe(self, action: actions.Describe) -> None:  # noqa: N802
        if self.estate.control is not None:
            body = describe(self.loop.supervisor, self.estate, action.verb, self.loop.now())
            self.estate.control.reply(action.client, body)

    def _Log(self, action: actions.Log) -> None:  # noqa: N802
        log.logger.log(_LEVELS[action.level], "%s", action.text)

    def _Count(self, action: actions.Count) -> None:  # noqa: N802
        self.estate.region.master_add(action.name, action.labels)

    def _Gauge(self, action: actions.Gauge) -> None:  # noqa: N802
        self.loop.gauge(action.name, action.value)

    # The world around.

    def _Announce(self, action: actions.Announce) -> None:  # noqa: N802
        self.loop.announce(action.what, action.status)

    def _WritePidFile(self, action: actions.WritePidFile) -> None:  # noqa: N802
        if self.estate.pid_file is None:
            return
        try:
            self.estate.pid_file.write(action.suffix)
        except OSError as error:
            log.logger.error("cannot write the pid file: %s", error)

    def _RemovePidFile(self, action: actions.RemovePidFile) -> None:  # noqa: N802
        if self.estate.pid_file is not None:
            self.estate.pid_file.remove(action.suffix, action.pid)

    def _OpenControl(self, _: actions.OpenControl) -> None:  # noqa: N802
        try:
            self.loop.open_control(replace=True)
        except OSError as error:
            log.logger.error("no control socket: %s", error)

    def _LaunchSuccessor(self, _: actions.LaunchSuccessor) -> None:  # noqa: N802
        try:
            born = successor.launch(self.estate.setup.origin)
        except OSError as error:
            self.loop.post(PeerGone(f"cannot start a new master: {error}"))
            return
        peer = Peer(born.channel, born.pid, self.loop.post)
        peer.successor = born
        self.loop.watch_peer(peer)

    def _HandOver(self, action: actions.HandOver) -> None:  # noqa: N802
        peer = self.loop.peer
        if peer is not None:
            source = self.estate.generations[action.generation].source
            states = (
                State(REGION, layout.VERSION, self.estate.region.fd),
                State(TICKETS, ticket_keys.VERSION, self.estate.tickets.fd),
            )
            peer.give(
                Giver(
                    self.loop.supervisor.last_number,
                    source.path,
                    self.estate.listeners,
                    self.estate.logs.fds,
                    states,
                )
            )

    def _TellPeer(self, action: actions.TellPeer) -> None:  # noqa: N802
        other = self.loop.other_master()
        if other is not None:
            other.say(action.name, action.body)

    def _DropPeer(self, action: actions.DropPeer) -> None:  # noqa: N802
        self.loop.drop_peer(kill=action.kill)

    def _Exit(self, action: actions.Exit) -> None:  # noqa: N802
        log.logger.info("%s", action.why)
        self.loop.exit_code = action.code
