"""The worker processes as the kernel knows them: pid, pidfd, channel, slab of shared memory."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from master.events import Beat
from master.process import ChildSpec, Identity, allowed_cpus, cpu_for, describe_exit, fork_child
from pingpy import log
from pingpy.config.source import ConfigSource
from pingpy.control import SCOUT_SLOT, Channel, Message, WorkerContext, pair
from pingpy.shared import Region, Role, SlabsExhaustedError, TicketKeys

Entry = Callable[[WorkerContext], int]


class Birth(Protocol):
    """What a new worker needs to know of its generation."""

    source: ConfigSource
    identity: Identity | None
    log_fd: int
    log_level: str
    config_hash: str
    orphan_timeout_seconds: float
    secrets: dict[str, bytes]


@dataclass(slots=True)
class Child:
    """One live process of ours."""

    worker: int
    generation: int
    slot: int
    pid: int
    pidfd: int
    channel: Channel
    slab: int
    given: set[str] = field(default_factory=set)  # ids of the listeners that it has


class Children:
    """By the supervisor's number of the worker."""

    def __init__(
        self,
        region: Region,
        tickets: TicketKeys,
        entry: Entry,
        scout: Entry | None,
        upgraded: bool,
    ) -> None:
        self.region = region
        self.tickets = tickets
        self.entry = entry
        self.scout = scout
        self.upgraded = upgraded
        self.by_worker: dict[int, Child] = {}
        self.cpus = allowed_cpus()

    def spawn(
        self, worker: int, generation: int, slot: int, worker_count: int, birth: Birth
    ) -> Child:
        """Fork one; raises OSError or SlabsExhaustedError."""
        role: Role = "scout" if slot == SCOUT_SLOT else "worker"
        ours, theirs = pair()
        ours.sock.setblocking(False)
        try:
            slab = self.region.claim_slab(generation, slot, role)
        except SlabsExhaustedError:
            for end in (ours, theirs):
                end.close()
            raise
        cpu = cpu_for(slot, self.cpus)
        context = WorkerContext(
            generation=generation,
            slot=slot,
            worker_count=worker_count,
            cpu=-1 if cpu is None else cpu,
            channel=theirs.sock,
            source=birth.source,
            region_fd=self.region.fd,
            slab=slab,
            parent_pid=os.getpid(),
            config_hash=birth.config_hash,
            orphan_timeout_seconds=birth.orphan_timeout_seconds,
            upgraded=self.upgraded,
            secrets=birth.secrets,
            tickets_fd=self.tickets.fd,
        )
        keep_fds = frozenset({theirs.fileno(), self.region.fd, self.tickets.fd, birth.log_fd})
        spec = child_spec(generation, slot, cpu, birth, keep_fds)
        entry = self.scout if slot == SCOUT_SLOT and self.scout else self.entry
        try:
            pid, pidfd = fork_watched(spec, lambda: entry(context))
        except OSError:
            self.region.retire_slab(slab)
            ours.close()
            raise
        finally:
            theirs.close()
        self.region.slab(slab).pid = pid
        child = self.by_worker[worker] = Child(worker, generation, slot, pid, pidfd, ours, slab)
        return child

    def send(self, worker: int, message: Message, fds: Sequence[int] = ()) -> None:
        """Send without ever waiting for a worker that does not read; its heartbeat will tell."""
        child = self.by_worker.get(worker)
        if child is None:
            return
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            child.channel.send(message, fds, wait=False)

    def kill(self, worker: int, name: str) -> None:
        """By pidfd: never somebody else's process."""
        child = self.by_worker.get(worker)
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(child.pidfd, getattr(signal, f"SIG{name}"))

    def reap(self, worker: int) -> str:
        """Bury one whose pidfd is readable; returns how it ended."""
        child = self.by_worker.pop(worker)
        how = describe_exit_of(child.pidfd)
        os.close(child.pidfd)
        child.channel.close()
        self.region.retire_slab(child.slab)
        return how

    def beats(self) -> dict[int, Beat]:
        """What the slabs say."""
        return {
            child.worker: Beat(slab.beat_us / 1e6, slab.connections, slab.active, slab.rss_bytes)
            for child in self.by_worker.values()
            if (slab := self.region.slab(child.slab)).beat_us
        }


def child_spec(
    generation: int, slot: int, cpu: int | None, birth: Birth, keep_fds: frozenset[int]
) -> ChildSpec:
    """What a worker or the scout of this generation makes of itself."""
    return ChildSpec(
        name="scout" if slot == SCOUT_SLOT else f"worker {slot}",
        who=log.SCOUT if slot == SCOUT_SLOT else str(slot),
        generation=generation,
        cpu=cpu,
        identity=birth.identity,
        keep_fds=keep_fds,
        log_fd=birth.log_fd,
        log_level=birth.log_level,
    )


def fork_watched(spec: ChildSpec, work: Callable[[], int]) -> tuple[int, int]:
    """Fork a child; its pid and pidfd. Raises OSError, and then there is no child."""
    pid = fork_child(spec, work)
    try:
        return pid, os.pidfd_open(pid)
    except OSError:
        # No descriptor left: it could not be watched. Not yet reaped, its pid is nobody else's.
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def describe_exit_of(pidfd: int) -> str:
    """Reap exactly this child."""
    try:
        status = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return "vanished"
    return describe_exit(status) if status else "still there"


def reap_strangers(known: set[int]) -> None:
    """As pid 1 we inherit orphans: bury them, and take no notice otherwise."""
    while True:
        try:
            status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if status is None or status.si_pid in known:
            return
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, status.si_pid, os.WEXITED | os.WNOHANG)
