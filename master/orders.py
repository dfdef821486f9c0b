"""Decides what an operator's signal or verb does in each phase, and remembers what has to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from master import actions
from master.crew import Mode
from master.events import Command, Looked, PeerAsked, Signalled
from master.reload import REFUSED, Step, Waiter
from master.stopping import Haste
from master.takeover import Stage as TakeoverStage
from master.watch import Watch

if TYPE_CHECKING:
    from master.supervisor import Supervisor

FAILED: Final = 1
USAGE: Final = 2
NAMES_TOLD: Final = 5


class Orders:
    """Signals and verbs end in the same methods: a verb has somebody who wants an answer, a signal has not."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.s = supervisor
        self.out = supervisor.out
        self.pending_reload = False
        self.pending_waiters: list[Waiter] = []
        self.watch = Watch()
        self.pending_upgrade = False
        self.upgrade_waiters: list[Waiter] = []

    def signalled(self, event: Signalled, now: float) -> None:
        """The signal table of the design."""
        sender = f" from pid {event.pid} uid {event.uid}" if event.pid else ""
        self.out.log("info", f"SIG{event.name}{sender}")
        match event.name:
            case "HUP":
                self._reload([], now)
            case "USR1":
                self.out.put(actions.ReopenLogs())
            case "USR2":
                self._upgrade([], now)
            case "QUIT" | "TERM":
                self._stop(Haste.GRACEFUL, now, quit_signal=event.name == "QUIT")
            case "INT":
                self._stop(Haste.FAST, now)
            case "WINCH":
                self._pause(now)
            case "TTIN":
                self._resize(+1, now)
            case "TTOU":
                self._resize(-1, now)
            case _:
                pass

    def commanded(self, event: Command, now: float) -> None:
        """A verb of the command line."""
        waiter = Waiter(event.client, bool(event.options.get("no_probation")))
        waits = bool(event.options.get("wait", True))
        waiters = [waiter] if waits else []
        if not waits:
            self._reply(waiter, 0, f"{event.verb} begun")
        match event.verb:
            case "reload":
                self._reload(waiters, now)
            case "upgrade":
                self._upgrade(waiters, now)
            case "reopen":
                self.out.put(actions.ReopenLogs())
                self._all(waiters, 0, "logs reopened")
            case "stop" | "quit":
                # The answer is the end of the connection, when everything is over.
                haste = Haste.FAST if event.options.get("fast") else Haste.GRACEFUL
                self._stop(haste, now)
            case "pause":
                self._all(waiters, *self._pause(now))
            case "resume":
                self._all(waiters, *self._resume(now))
            case "status" | "workers" | "config":
                self.out.put(actions.Describe(event.client, event.verb))
            case _:
                self._all([waiter], USAGE, f"unknown verb {event.verb!r}")

    def looked(self, event: Looked, now: float) -> None:
        """Files changed on disk: what HUP would do, when nothing else is going on."""
        active = self.s.active
        if self.s.phase.name != "RUNNING" or active is None or event.generation != active.number:
            return
        changed = self.watch.looked(event.loaded, event.seen, now)
        if changed:
            more = len(changed) - NAMES_TOLD
            names = ", ".join(changed[:NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")
            self.out.log("info", f"changed on disk: {names}")
            self._reload([], now)

    def peer_asked(self, event: PeerAsked, now: float) -> None:
        """A separately started master wants to take over."""
        refusal = self._upgrade_refusal()
        if refusal is None and self.s.reload is not None:
            refusal = "a reload is running"
        if refusal is None:
            if self.s.paused:
                self._resume(now)
            self.s.start_upgrade([], now, event)
        else:
            self.out.log("warn", f"upgrade asked by pid {event.pid} refused: {refusal}")
            self.out.put(actions.TellPeer("REFUSE", {"why": refusal}))
            self.out.put(actions.DropPeer())

    def pending_turn(self, now: float) -> None:
        """What had to wait may begin, when nothing else is going on."""
        s = self.s
        if s.exited or s.stopping or s.booting or s.takeover or s.upgrade or s.reload or s.paused:
            return
        if self.pending_upgrade:
            self.pending_upgrade = False
            waiters, self.upgrade_waiters = self.upgrade_waiters, []
            s.start_upgrade(waiters, now)
        elif self.pending_reload:
            self.pending_reload = False
            waiters, self.pending_waiters = self.pending_waiters, []
            s.start_reload(waiters)

    def hand_on(self, successor: int) -> None:
        """The successor owns the service: what waited for the outcome of the upgrade is its business now."""
        if self.pending_waiters:
            for waiter in self.pending_waiters:
                text = f"superseded by pid {successor}: ask again"
                self.out.put(actions.Reply(waiter.client, REFUSED, text, {"moved": True}))
        elif self.pending_reload:
            self.out.put(actions.TellPeer("RELOAD"))
        self.pending_reload, self.pending_waiters = False, []

    def relayed(self, name: str, now: float, *, by_elder: bool) -> None:
        """What the other master passes on: it was meant for the service, whoever got it."""
        if name == "REOPEN":
            self.out.put(actions.ReopenLogs("elder" if by_elder else "successor"))
        else:
            self._reload([], now)

    def drop_pending(self, why: str) -> None:
        """Whoever waits will not get it."""
        self._all(self.pending_waiters + self.upgrade_waiters, REFUSED, f"refused: {why}")
        self.pending_reload = self.pending_upgrade = False
        self.pending_waiters, self.upgrade_waiters = [], []

    def _reload(self, waiters: list[Waiter], now: float) -> None:
        s = self.s
        refusal = None
        if s.stopping:
            refusal = "the service is stopping"
        elif s.upgrade and s.upgrade.over:
            refusal = f"superseded by pid {s.upgrade.successor_pid}"
        elif s.upgrade and s.upgrade.committed:
            refusal = f"an upgrade to pid {s.upgrade.successor_pid} is on probation"
        if refusal:
            self.out.log("warn", f"reload refused: {refusal}")
            self._all(waiters, REFUSED, f"reload refused: {refusal}")
            return
        if s.paused:
            self._resume(now)
        if s.reload and s.reload.step is Step.PROBATION:
            # It has served: it counts as good, and the next one need not wait.
            s.reload.commit(now)
        self.pending_reload = True
        self.pending_waiters += waiters

    def _upgrade(self, waiters: list[Waiter], now: float) -> None:
        refusal = self._upgrade_refusal()
        if refusal:
            self.out.log("warn", f"upgrade refused: {refusal}")
            self._all(waiters, REFUSED, f"upgrade refused: {refusal}")
            return
        if self.s.paused:
            self._resume(now)
        if self.s.reload and self.s.reload.step is Step.PROBATION:
            self.s.reload.commit(now)
        self.pending_upgrade = True
        self.upgrade_waiters += waiters

    def _upgrade_refusal(self) -> str | None:
        s = self.s
        if s.stopping:
            return "the service is stopping"
        if s.takeover:
            return "this master is still taking over itself"
        if s.upgrade:
            return f"an upgrade is running ({s.upgrade.stage.value})"
        return "the service is still starting" if s.booting else None

    def _stop(self, haste: Haste, now: float, *, quit_signal: bool = False) -> None:
        s = self.s
        if s.takeover and s.takeover.stage is not TakeoverStage.OWNER and not s.stopping:
            s.takeover.back_out("told to stop")
            return
        handing_over = s.upgrade and s.upgrade.by_newcomer and not s.upgrade.committed
        if quit_signal and handing_over and not s.stopping:
            # Pingora's habit: QUIT to the old one is what completes `-u`.
            self.out.log("info", "QUIT: the hand-over in progress goes on")
            return
        if s.stopping:
            haste = Haste.AT_ONCE if s.stopping.haste >= Haste.FAST else Haste.FAST
        s.stop(haste, now)

    def _pause(self, now: float) -> tuple[int, str]:
        s = self.s
        if s.phase.name != "RUNNING" or s.active is None:
            return FAILED, f"cannot pause while {s.phase.value}"
        s.paused = True
        s.active.drain("pause", now)
        self.out.log("info", "paused: workers drain, listeners stay; HUP or resume goes on")
        return 0, "paused"

    def _resume(self, now: float) -> tuple[int, str]:
        s = self.s
        if not s.paused or s.active is None:
            return FAILED, "not paused"
        s.paused = False
        if s.active.mode is Mode.DRAINING:
            s.active.resume(now)
        self.out.log("info", "resumed")
        return 0, "resumed"

    def _resize(self, change: int, now: float) -> None:
        s = self.s
        if s.phase.name != "RUNNING" or s.active is None:
            self.out.log("warn", f"number of workers not changed while {s.phase.value}")
            return
        count = s.active.worker_count + change
        if count < 1:
            self.out.log("warn", "there must be at least one worker")
            return
        self.out.log("info", f"{count} workers until the next reload")
        s.active.resize(count, now)

    def _reply(self, waiter: Waiter, code: int, text: str) -> None:
        self.out.put(actions.Reply(waiter.client, code, text))

    def _all(self, waiters: list[Waiter], code: int, text: str) -> None:
        for waiter in waiters:
            self._reply(waiter, code, text)
