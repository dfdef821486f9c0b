"""Waits for everything in one poll and carries events to the supervisor, its actions to the performer."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

from master import signals
from master.checker import Checker
from master.children import Child, reap_strangers
from master.control_socket import Client, ControlSocket, listen
from master.estate import Estate
from master.events import Beats, Checked, Command, Event, Exited, Muted, PeerAsked, Said, Signalled
from master.events import Tick as TickEvent
from master.lookout import Lookout
from master.peer import Peer
from master.perform import Performer
from master.status import draining
from master.supervisor import Phase, Supervisor
from pingpy.control import ControlError

BEAT_SECONDS: Final = 1.0
SWEEP_SECONDS: Final = 30.0
_LONGEST_WAIT_SECONDS: Final = 60.0
# Not ours (yet, or any more): the other master speaks to systemd.
_SILENT: Final = (Phase.TAKEOVER, Phase.PARENT_DRAINING)


class Loop:
    """One thread, one poll; nothing here decides."""

    def __init__(self, estate: Estate, supervisor: Supervisor) -> None:
        self.estate = estate
        self.supervisor = supervisor
        self.exit_code: int | None = None
        self.peer: Peer | None = None
        self.elder: Peer | None = None
        self.checker: Checker | None = None
        self._poll = select.poll()
        self._watchers: dict[int, Callable[[], None]] = {}
        self._events: deque[Event] = deque()
        self._performer = Performer(self)
        self._lookout = Lookout(self)
        self._stored = set(estate.listeners.groups)  # what an earlier master may have left there
        self._next_beat = self._next_sweep = self._next_ping = 0.0

    def run(self, first: Event) -> int:
        """Until an Exit action; returns its code."""
        signalfd = signals.open_signalfd()
        self.watch(signalfd, lambda: self._signals(signalfd))
        self.post(first)
        while self.exit_code is None:
            self._work()
            if self.exit_code is None:
                self._wait()
        return self.exit_code

    def now(self) -> float:
        """The clock of all deadlines."""
        return time.monotonic()

    def wall_clock(self) -> float:
        """The time of day; never used for a deadline."""
        return time.time()

    def post(self, event: Event) -> None:
        """To be handled after what is being handled."""
        self._events.append(event)

    def watch(self, fd: int, callback: Callable[[], None]) -> None:
        """Call back whenever this is readable."""
        self._watchers[fd] = callback
        self._poll.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Before its close."""
        if self._watchers.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def gauge(self, name: str, value: int) -> None:
        """Set one of the master's gauges."""
        self.estate.region.master_set(name, {}, value)

    # The turn.

    def _work(self) -> None:
        while self._events:
            event = self._events.popleft()
            for action in self.supervisor.handle(event, self.now()):
                self._performer.perform(action)

    def _wait(self) -> None:
        now = self.now()
        deadlines = (self.supervisor.next_deadline(), self._next_beat, self._client_deadline())
        checker = self.checker.deadline if self.checker else inf
        wait = (
            min(min(deadlines), checker, self._lookout.deadline(), now + _LONGEST_WAIT_SECONDS)
            - now
        )
        # Rounded up: a poll that wakes a moment too early would turn in circles.
        for fd, _ in self._poll.poll(max(0, int(wait * 1000) + 1)):
            callback = self._watchers.get(fd)
            if callback is not None:
                callback()
        self._clock(self.now())

    def _clock(self, now: float) -> None:
        if now >= self._next_beat:
            self._next_beat = now + BEAT_SECONDS
            self.post(Beats(self.estate.children.beats()))
            if self.peer is not None and self.supervisor.phase is Phase.PARENT_DRAINING:
                self.peer.say("DRAINING", draining(self.supervisor))
            self._ping(now)
        self._lookout.clock(now)
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            self.estate.region.retire_dead(_alive)
        if self.estate.control is not None:
            for client in self.estate.control.overdue(now):
                self._drop_client(client)
        if self.checker is not None and now >= self.checker.deadline:
            self._checked("the check of the configuration took too long")
        if now >= self.supervisor.next_deadline():
            self.post(TickEvent())

    def _ping(self, now: float) -> None:
        seconds = self.estate.notifier.watchdog_seconds
        if seconds and now >= self._next_ping and self.supervisor.phase not in _SILENT:
            self._next_ping = now + seconds - BEAT_SECONDS
            self.estate.notifier.watchdog()

    def announce(self, what: str, status: str) -> None:
        """To systemd, and to whoever waits for -d."""
        notifier = self.estate.notifier
        match what:
            case "ready":
                notifier.ready(status)
                self._store()
                if self.estate.setup.background is not None:
                    self.estate.setup.background.ready()
            case "reloading":
                notifier.reloading()
            case "stopping":
                notifier.stopping()
            case "mainpid":
                notifier.main_pid(int(status))
            case _:
                if self.supervisor.phase not in _SILENT:
                    notifier.status(status)

    def _store(self) -> None:
        if not self.estate.notifier.active:
            return
        groups = {g.id: g for g in self.estate.listeners.groups.values() if g.origin != "systemd"}
        for id_ in self._stored - groups.keys():
            self.estate.notifier.unstore(id_)
        for group in groups.values():
            self.estate.notifier.store(group.id, group.fds)
        self._stored = set(groups)

    # Signals and children.

    def _signals(self, fd: int) -> None:
        for received in signals.read_signals(fd):
            if received.name == "CHLD":
                reap_strangers(self._own_pids())
            elif received.name != "WINCH" or not _has_terminal():
                self.post(Signalled(received.name, received.pid, received.uid))

    def _own_pids(self) -> set[int]:
        pids = {child.pid for child in self.estate.children.by_worker.values()}
        pids |= self._lookout.pids()
        if self.checker is not None:
            pids.add(self.checker.pid)
        if self.peer is not None:
            pids.add(self.peer.pid)
        return pids

    def watch_child(self, child: Child) -> None:
        """Its messages and its death."""
        self.watch(child.channel.fileno(), lambda: self._message(child))
        self.watch(child.pidfd, lambda: self._death(child))

    def _message(self, child: Child) -> None:
        while True:
            try:
                received = child.channel.receive()
            except BlockingIOError:
                return
            except (ControlError, OSError) as error:
                self.unwatch(child.channel.fileno())
                self.post(Muted(child.worker, str(error)))
                return
            if received is None:
                self.unwatch(child.channel.fileno())
                self.post(Muted(child.worker, "it closed its channel"))
                return
            message, fds = received
            for fd in fds:
                os.close(fd)
            self.post(Said(child.worker, message))

    def _death(self, child: Child) -> None:
        if child.channel.fileno() in self._watchers:
            self._message(child)  # its last words
        self.unwatch(child.channel.fileno())
        self.unwatch(child.pidfd)
        how = self.estate.children.reap(child.worker)
        self.post(Exited(child.worker, how))

    # The checker.

    def watch_checker(self, checker: Checker) -> None:
        """Wait for its answer."""
        self.checker = checker
        self.watch(checker.fileno(), self._checked)

    def _checked(self, complaint: str = "") -> None:
        checker = self.checker
        assert checker is not None
        fd = checker.fileno()
        answer = checker.finish(complaint) if complaint else checker.read()
        if answer is None:
            return
        self.unwatch(fd)
        self.checker = None
        if answer.plan is not None:
            self.estate.candidates = {checker.ticket: (checker.source, answer.plan)}
        self.post(
            Checked(
                checker.ticket,
                answer.plan,
                answer.complaints,
                checker.source.sha256,
                answer.warnings,
            )
        )

    # The control socket.

    def open_control(self, *, replace: bool = False) -> None:
        """Listen for the command line; raises AlreadyRunningError, OSError."""
        plan = self.estate.plan(self.estate.current)
        sock = listen(plan.runtime_dir, replace=replace)
        self.estate.control = ControlSocket(sock, plan.control_users)
        self.watch(sock.fileno(), self._accept)

    def _client_deadline(self) -> float:
        return self.estate.control.next_deadline() if self.estate.control else inf

    def _accept(self) -> None:
        assert self.estate.control is not None
        client = self.estate.control.accept(self.now())
        if client is not None:
            self.watch(client.sock.fileno(), lambda: self._client(client))

    def _client(self, client: Client) -> None:
        assert self.estate.control is not None
        body = self.estate.control.read(client)
        if body is None:
            self._drop_client(client)
        elif body.get("type") == "HELLO":
            self._newcomer(client, body)
        elif body.get("type") == "COMMAND" and isinstance(body.get("verb"), str):
            client.deadline = inf
            options = body.get("options")
            self.post(
                Command(client.number, body["verb"], options if isinstance(options, dict) else {})
            )
        elif body:
            self._drop_client(client)

    def _drop_client(self, client: Client) -> None:
        assert self.estate.control is not None
        self.unwatch(client.sock.fileno())
        self.estate.control.drop(client)

    def _newcomer(self, client: Client, body: dict[str, object]) -> None:
        assert self.estate.control is not None
        self.unwatch(client.sock.fileno())
        peer = Peer(self.estate.control.release(client), client.pid, self.post)
        if self.peer is not None:
            peer.say("REFUSE", {"why": "an upgrade is running"})
            peer.channel.close()
            return
        self.watch_peer(peer)
        self.post(PeerAsked(client.pid, client.uid))
        if not peer.heard("HELLO", body):
            self.unwatch(peer.channel.fileno())

    # The other master.

    def watch_peer(self, peer: Peer) -> None:
        """Its messages, and the death of one that we started."""
        if peer.elder:
            self.elder = peer
        else:
            self.peer = peer
        self.watch(peer.channel.fileno(), lambda: self._peer_said(peer))
        if peer.successor is not None:
            self.watch(peer.successor.pidfd, lambda: self._peer_died(peer))

    def _peer_said(self, peer: Peer) -> None:
        if not peer.readable():
            self.unwatch(peer.channel.fileno())
            if peer is self.elder:
                peer.channel.close()
                self.elder = None
                if self.estate.pid_file is not None:
                    self.estate.pid_file.remove(".oldbin", peer.pid)

    def _peer_died(self, peer: Peer) -> None:
        assert peer.successor is not None
        self.unwatch(peer.successor.pidfd)
        if peer is self.peer:
            peer.died()
        else:
            peer.bury()  # we have ended it ourselves: no news, and no matter of an upgrade begun since
        os.close(peer.successor.pidfd)
        os.close(peer.successor.stderr_fd)
        self.drop_peer(kill=False, only=peer)

    def drop_peer(self, *, kill: bool, only: Peer | None = None) -> None:
        """Close the channel; a successor that is to be killed is reaped when it is dead."""
        peer = only or self.other_master()
        if peer is None:
            return
        self.unwatch(peer.channel.fileno())
        if kill:
            peer.say("ABORT", {"why": "rolled back"})
            peer.kill()
        peer.channel.close()
        if self.peer is peer:
            self.peer = None
        if self.elder is peer:
            self.elder = None

    def other_master(self) -> Peer | None:
        """Our successor if there is one, else the one that we take over from."""
        return self.peer or self.elder


def _alive(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def _has_terminal() -> bool:
    """Resizing a terminal sends WINCH to its foreground group: with one, it does not mean us."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
