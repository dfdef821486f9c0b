"""Decides everything the master does: events in, actions out; no system call, no clock of its own.

    BOOT ─► RUNNING ⇄ RELOADING                     TAKEOVER ─► RUNNING
            RUNNING ⇄ PAUSED
            RUNNING ─► UPGRADING ─► PARENT_PROBATION ─► PARENT_DRAINING ─► EXIT
            any ─► STOPPING ─► EXIT

Generations live in `crews`; each moment of change has its own small machine (reload, upgrade, takeover,
stopping), and `orders` holds what operators may ask in which phase.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from math import inf
from typing import Final

from master import actions
from master.crew import Crew, Mode
from master.events import (
    Beats,
    Begin,
    Bound,
    Checked,
    Command,
    Event,
    Exited,
    Looked,
    Muted,
    PeerAsked,
    PeerGone,
    PeerSaid,
    Said,
    Signalled,
    Spawned,
    Tick,
)
from master.launch import Verdict, boot_readiness
from master.life import Worker
from master.orders import Orders
from master.outbox import Outbox
from master.reload import ENDS, Reload, Step, Waiter
from master.status_line import status_line
from master.stopping import Haste, Stopping
from master.takeover import BACKED_OUT, Takeover
from master.takeover import Stage as TakeoverStage
from master.ticket_rotation import TicketRotation
from master.upgrade import Stage as UpgradeStage
from master.upgrade import Upgrade

NOT_STARTED: Final = 3  # exit code: no worker became ready
POLITE_TUNNEL_SECONDS: Final = 5.0


class Phase(Enum):
    """What the master as a whole is doing."""

    BOOT = "starting"
    TAKEOVER = "taking over"
    RUNNING = "running"
    PAUSED = "paused"
    RELOADING = "reloading"
    UPGRADING = "upgrading"
    PARENT_PROBATION = "parent in probation"
    PARENT_DRAINING = "superseded"
    STOPPING = "stopping"
    EXITED = "exited"


class Supervisor:
    """The whole state of the control plane; `handle` is its only way in."""

    def __init__(self, *, with_scout: bool = True, jitter: Callable[[], float]) -> None:
        self.out = Outbox(jitter)
        self.with_scout = with_scout
        self.crews: dict[int, Crew] = {}
        self.active: Crew | None = None
        self.last_number = 0
        self.booting = False
        self.boot_deadline = inf
        self.paused = False
        self.exited = False
        self.reload: Reload | None = None
        self.upgrade: Upgrade | None = None
        self.takeover: Takeover | None = None
        self.stopping: Stopping | None = None
        self.tickets = TicketRotation(self.out)
        self.orders = Orders(self)
        self.last_reload = ""
        self.superseded: dict[str, object] = {}  # what the master that was still drains
        self.trouble = ""  # the last reload or upgrade failed, and why
        self._status = ""

    def __repr__(self) -> str:
        return f"<Supervisor {self.phase.name} {list(self.crews.values())}>"

    @property
    def phase(self) -> Phase:
        """The row of the picture above."""
        if self.exited:
            return Phase.EXITED
        if self.stopping:
            return Phase.STOPPING
        if self.takeover and self.takeover.stage is not TakeoverStage.OWNER:
            return Phase.TAKEOVER
        if self.booting:
            return Phase.BOOT
        if self.upgrade and self.upgrade.over:
            return Phase.PARENT_DRAINING
        if self.upgrade:
            return Phase.PARENT_PROBATION if self.upgrade.committed else Phase.UPGRADING
        if self.reload:
            return Phase.RELOADING
        return Phase.PAUSED if self.paused else Phase.RUNNING

    def handle(self, event: Event, now: float) -> list[actions.Action]:
        """One event, and everything that follows from it."""
        if self.exited:
            return []
        self._dispatch(event, now)
        self._advance(now)
        return self.out.take()

    def next_deadline(self) -> float:
        """When a Tick is wanted, unless something else happens before."""
        waits = [crew.next_deadline() for crew in self.crews.values()]
        waits += (self.boot_deadline, self.tickets.deadline)
        if self.reload:
            waits.append(self.reload.probation_ends)
        if self.upgrade:
            waits.append(self.upgrade.deadline)
        if self.takeover:
            waits.append(self.takeover.deadline)
        if self.stopping:
            waits.append(self.stopping.next_deadline())
        return min(waits, default=inf)

    def worker(self, number: int) -> tuple[Crew, Worker] | None:
        """A live worker and its crew."""
        for crew in self.crews.values():
            if number in crew.workers:
                return crew, crew.workers[number]
        return None

    # What operators can start; called by Orders when the phase allows it.

    def start_reload(self, waiters: list[Waiter]) -> None:
        """Begin with the check of the file."""
        assert self.active is not None
        self.last_number += 1
        self.reload = Reload(
            self.last_number, self.active, self.out, waiters, with_scout=self.with_scout
        )
        self.reload.start()

    def start_upgrade(
        self, waiters: list[Waiter], now: float, asked_by: PeerAsked | None = None
    ) -> None:
        """Begin with a successor: our own child, or somebody who has connected."""
        assert self.active is not None
        self.upgrade = Upgrade(self.active, self.out, waiters)
        if asked_by:
            self.upgrade.asked(asked_by.pid, now)
        else:
            self.upgrade.launch(now)

    def stop(self, haste: Haste, now: float, *, exit_code: int = 0) -> None:
        """Leave, or leave faster than intended."""
        self.booting, self.boot_deadline = False, inf
        if self.stopping:
            self.stopping.hurry(haste, self.crews.values(), now)
            return
        elsewhere = bool(self.takeover or (self.upgrade and self.upgrade.committed))
        self._abandon_changes(now)
        self.stopping = Stopping(haste, self.out, exit_code, unlink=not elsewhere)
        if not (self.upgrade and self.upgrade.over):
            # systemd takes STOPPING as final: never from a master that has a successor.
            self.out.put(actions.Announce("stopping"))
        self.stopping.begin(self.crews.values(), now)

    # Events.

    def _dispatch(self, event: Event, now: float) -> None:
        match event:
            case Begin():
                self._begin(event, now)
            case Spawned() | Said() | Muted() | Exited():
                self._about_worker(event, now)
            case Beats(beats=beats):
                for crew in self.crews.values():
                    crew.looked(beats, now)
            case Checked() | Bound():
                self._about_candidate(event, now)
            case Signalled():
                self.orders.signalled(event, now)
            case Command():
                self.orders.commanded(event, now)
            case Looked():
                self.orders.looked(event, now)
            case PeerAsked():
                self.orders.peer_asked(event, now)
            case PeerSaid() | PeerGone():
                self._about_peer(event, now)
            case Tick():
                pass

    def _begin(self, event: Begin, now: float) -> None:
        self.last_number = event.generation
        self.tickets.rotated_at = event.tickets_rotated_at
        crew = Crew(
            event.generation,
            event.plan,
            event.listener_slots,
            self.out,
            with_scout=self.with_scout,
        )
        crew.config_hash = event.config_hash
        self.crews[crew.number] = self.active = crew
        if event.taking_over:
            self.takeover = Takeover(crew, self.out)
        else:
            self.booting = True
            self.boot_deadline = now + event.plan.upgrade_seconds
        crew.spawn_all(now)

    def _about_candidate(self, event: Checked | Bound, now: float) -> None:
        if self.reload is None:
            return
        if isinstance(event, Checked):
            self.reload.checked(event)
            return
        self.reload.bound(event, now)
        if self.reload.crew:
            self.crews[self.reload.number] = self.reload.crew

    def _about_worker(self, event: Spawned | Said | Muted | Exited, now: float) -> None:
        found = self.worker(event.worker)
        if found is None:
            return
        crew, worker = found
        match event:
            case Spawned(pid=pid):
                worker.pid = pid
            case Said(message=message):
                crew.heard(worker, message, now)
            case Muted(why=why):
                crew.muted(worker, why, now)
            case Exited(how=how):
                crew.exited(worker, how, now)

    def _about_peer(self, event: PeerSaid | PeerGone, now: float) -> None:
        if isinstance(event, PeerSaid) and event.name in ("REOPEN", "RELOAD"):
            self.orders.relayed(event.name, now, by_elder=event.elder)
        elif event.elder:
            self._about_elder(event, now)
        elif self.upgrade and isinstance(event, PeerSaid):
            self.upgrade.heard(event, now)
        elif self.upgrade and isinstance(event, PeerGone):
            self.upgrade.gone(event, now)

    def _about_elder(self, event: PeerSaid | PeerGone, now: float) -> None:
        if isinstance(event, PeerGone):
            self.superseded = {}
        elif event.name == "DRAINING":
            self.superseded = dict(event.body)
        if self.takeover is None:
            return  # it drains and says BYE: no longer our concern
        if isinstance(event, PeerGone):
            self.takeover.gone(event.why, now)
        elif event.name == "STOP":
            self.stop(Haste.GRACEFUL, now)
        else:
            self.takeover.heard(event, now)

    # What follows.

    def _advance(self, now: float) -> None:
        for crew in list(self.crews.values()):
            crew.tick(now)
        if self.booting:
            self._advance_boot(now)
        if self.takeover:
            self._advance_takeover(now)
        if self.reload:
            self.reload.advance(now)
            if self.reload.step in ENDS:
                self._reload_ended(self.reload)
        if self.upgrade:
            self.upgrade.tick(now)
            if self.upgrade.stage is UpgradeStage.ROLLED_BACK:
                self.trouble = self.upgrade.why
                self.upgrade = None
            elif self.upgrade.over:
                self.orders.hand_on(self.upgrade.successor_pid)
        if self.stopping:
            self.stopping.tick(self.crews.values(), now)
        # Two masters at once must not both renew keys; what is due waits for the outcome.
        alone = self.active and not (self.upgrade or self.takeover or self.stopping)
        lifetime = self.active.plan.ticket_lifetime_seconds if self.active and alone else 0.0
        self.tickets.advance(now, lifetime)
        self._bound_draining(now)
        self._bury(now)
        self.orders.pending_turn(now)
        self._report_status()

    def _advance_boot(self, now: float) -> None:
        crew = self.active
        assert crew is not None
        judgement = boot_readiness(crew, overdue=now >= self.boot_deadline)
        if judgement.verdict is Verdict.FAIL:
            self.out.log("error", f"no worker became ready: {judgement.why}")
            self.stop(Haste.AT_ONCE, now, exit_code=NOT_STARTED)
        elif judgement.verdict is Verdict.PROCEED:
            if crew.mode is Mode.BUILDING:
                crew.go(now)
                self.boot_deadline = inf
            if crew.accepting_count() and crew.accepting_count() >= crew.ready_count():
                self._booted(crew)

    def _booted(self, crew: Crew) -> None:
        self.booting = False
        self.out.put(actions.Commit(crew.number))
        self.out.put(actions.WritePidFile())
        self.out.put(actions.Gauge("pingpy_generation", crew.number))
        self.out.put(actions.Announce("ready"))
        self.out.log("info", f"started: {crew.accepting_count()} of {crew.worker_count} workers")

    def _advance_takeover(self, now: float) -> None:
        assert self.takeover is not None
        self.takeover.advance(now)
        if self.takeover.stage is TakeoverStage.BACKED_OUT and not self.stopping:
            self.stop(Haste.GRACEFUL, now, exit_code=BACKED_OUT)
        if self.takeover.stage is TakeoverStage.OWNER:
            self.out.put(actions.Gauge("pingpy_generation", self.takeover.crew.number))
            self.takeover = None

    def _reload_ended(self, reload: Reload) -> None:
        self.reload = None
        self.last_reload = reload.why or f"generation {reload.number} committed"
        self.trouble = reload.why and f"reload {reload.why}"
        if reload.step is Step.COMMITTED and reload.crew:
            self.active = reload.crew
            self.out.put(actions.Gauge("pingpy_generation", reload.number))

    def _abandon_changes(self, now: float) -> None:
        self.orders.drop_pending("the service stops")
        if self.reload:
            # On probation both generations hold connections and both are drained.
            if self.reload.step is Step.PROBATION:
                self.reload.commit(now)
            else:
                self.reload.give_up("the service stops", now)
            self._reload_ended(self.reload)
        if self.upgrade and not self.upgrade.over:
            if self.upgrade.committed:
                self.upgrade.stop_both()
            else:
                self.upgrade.give_up("the service stops", now)
            self.upgrade = None

    def _bound_draining(self, now: float) -> None:
        retiring = [c for c in self.crews.values() if c.mode is Mode.RETIRING and c.workers]
        limit = self.active.plan.drain.max_draining_generations if self.active else len(retiring)
        for crew in sorted(retiring, key=lambda c: c.number)[: max(0, len(retiring) - limit)]:
            if not crew.polite and not self.stopping:
                crew.ask_tunnels_to_leave(now, POLITE_TUNNEL_SECONDS)

    def _bury(self, now: float) -> None:
        for number, crew in list(self.crews.items()):
            if crew.mode is Mode.RETIRING and not crew.workers:
                del self.crews[number]
                self.out.put(actions.Forget(number))
        if self.crews:
            return
        if self.upgrade and self.upgrade.over and not self.stopping:
            self.out.put(actions.TellPeer("BYE"))
            self._exit(0, f"superseded by pid {self.upgrade.successor_pid}")
        elif self.stopping:
            self._exit(self.stopping.exit_code, "stopped")

    def _exit(self, code: int, why: str) -> None:
        self.exited = True
        for suffix in ("", ".new", ".oldbin"):
            self.out.put(actions.RemovePidFile(suffix))
        self.out.put(actions.Exit(code, why))

    def status(self) -> str:
        """How the service is, in one line."""
        line = status_line(self.phase.value, self.active, self.crews.values())
        return f"{line}; {self.trouble}" if self.trouble else line

    def _report_status(self) -> None:
        status = self.status()
        if status != self._status and not self.exited:
            self._status = status
            self.out.put(actions.Announce("status", status))
