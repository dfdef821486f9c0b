"""What the master owns: plans and sources by generation, sockets, logs, shared memory, children, paths."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from master.checker import Check
from master.children import Children, Entry
from master.control_socket import ControlSocket
from master.listeners import Listeners
from master.logfiles import LogFiles
from master.pidfile import PidFile
from master.process import Identity, identity
from master.secret_files import digest, read_secrets
from master.successor import Origin
from master.systemd import Notifier
from pingpy.config.plan import ListenerPlan, Plan
from pingpy.config.source import ConfigSource
from pingpy.control import ListenerItem
from pingpy.shared import Region, TicketKeys


class Background(Protocol):
    """A process in the background, whose foreground still waits for the verdict."""

    def say(self, text: str) -> None:
        """To whoever waits."""

    def leave_terminal(self, log_fd: int, *, keep_stdout: bool) -> None:
        """From now on stderr is the error log."""

    def ready(self) -> None:
        """The service accepts."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the command line hands the master: where the text is, how it is judged, what workers do."""

    read: Callable[[], ConfigSource]
    check: Check
    check_lenient: Check  # before a take-over: addresses that another master holds are no mistake
    worker: Entry
    scout: Entry | None
    origin: Origin
    upgrade: bool = False  # -u: take over from the running master
    background: Background | None = None  # -d: the ties to the foreground


@dataclass(slots=True)
class Generation:
    """One generation's plan and text, and what its workers are born with."""

    plan: Plan
    source: ConfigSource
    identity: Identity | None
    log_fd: int
    log_level: str
    config_hash: str
    orphan_timeout_seconds: float
    secrets: dict[str, bytes] = field(repr=False)
    contents: dict[str, str]  # the digests of the secrets


@dataclass(slots=True)
class Estate:
    """All of it; no method decides anything."""

    setup: Setup
    region: Region
    tickets: TicketKeys
    children: Children
    notifier: Notifier
    listeners: Listeners = field(default_factory=Listeners)
    logs: LogFiles = field(default_factory=LogFiles)
    generations: dict[int, Generation] = field(default_factory=dict)
    candidates: dict[int, tuple[ConfigSource, Plan]] = field(default_factory=dict)
    current: int = 0
    pid_file: PidFile | None = None
    runtime_dir: str = ""
    control: ControlSocket | None = None
    started_at: float = 0.0

    def enrol(self, number: int, source: ConfigSource, plan: Plan) -> Generation:
        """Remember a generation; raises LookupError for an unknown user, LogFileError, SecretFileError."""
        who = identity(plan.user, plan.group)
        secrets = read_secrets(plan.secret_files, source.folder)
        self.logs.open_all(plan)
        generation = Generation(
            plan=plan,
            source=source,
            identity=who,
            log_fd=self.logs.error_fd(plan),
            log_level=plan.log_level,
            config_hash=source.sha256,
            orphan_timeout_seconds=plan.drain.orphan_seconds,
            secrets=secrets,
            contents={name: digest(content) for name, content in secrets.items()},
        )
        self.generations[number] = generation
        return generation

    def plan(self, number: int) -> Plan:
        """The plan of a live generation."""
        return self.generations[number].plan

    def items(
        self, number: int, slots: tuple[int, ...], *, shared: bool
    ) -> tuple[list[ListenerItem], list[int]]:
        """The listeners of these slots (and the shared ones), as messages and descriptors."""
        items: list[ListenerItem] = []
        fds: list[int] = []
        for plan in self.plan(number).listeners:
            group = self.listeners.groups.get(plan.id)
            if group is None:
                continue
            alone = len(group.fds) == 1
            wanted = ((0,) if shared else ()) if alone else slots
            for slot in wanted:
                if slot < len(group.fds):
                    items.append(listener_item(plan, slot, len(group.fds)))
                    fds.append(group.fds[slot])
        return items, fds

    def ids(self, number: int, slots: tuple[int, ...]) -> tuple[str, ...]:
        """The ids of these slots' items."""
        return tuple(item.id for item in self.items(number, slots, shared=False)[0])

    def settle_paths(self, plan: Plan) -> None:
        """Where the pid file is now; it may move with a reload."""
        if self.pid_file is not None and self.pid_file.path != plan.pid_file:
            self.pid_file.remove()
        self.pid_file = PidFile(plan.pid_file)

    def live_plans(self) -> list[Plan]:
        """The plans of all generations that have processes or may still resume."""
        return [generation.plan for generation in self.generations.values()]

    def release(self, *, unlink: bool) -> None:
        """The end."""
        self.listeners.close(unlink=unlink)
        if self.control is not None:
            for client in list(self.control.clients.values()):
                self.control.drop(client)
            self.control.sock.close()
            if unlink:
                with contextlib.suppress(OSError):
                    os.unlink(os.path.join(self.runtime_dir, "control.sock"))


def listener_item(plan: ListenerPlan, slot: int, slots: int) -> ListenerItem:
    """A listener as workers know it."""
    return ListenerItem(f"{plan.id}#{slot}", plan.text, plan.kind, slot, slots, plan.backlog)
