"""The old master's side of an upgrade: it gives everything away, waits for proof, and only then lets go.

    STARTING ─HELLO─► HANDING ─all acknowledged─► WAIT_READY ─READY─► COMMITTED ─ACCEPTING─► PROBATION
        └───────────────┴──────────────────────────┴── rolled back ──────┴─────────────────────┤ │ time
                                                GONE ◄─ RETIRING ◄─OWNED─ OWNING ◄─sign of life─ ASKING

Ownership (pid file, MAINPID) goes over at the end of probation and not before: systemd kills the whole
control group when the main process dies, so whoever may still have to resume must stay the main process.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import Final

from master import actions
from master.crew import Crew
from master.events import PeerGone, PeerSaid
from master.outbox import Outbox
from master.reload import REFUSED, Waiter

HELLO_SECONDS: Final = 10.0
HANDING_SECONDS: Final = 10.0
ACCEPTING_SECONDS: Final = 5.0
PONG_SECONDS: Final = 5.0
OWNED_SECONDS: Final = 5.0
MARGIN_SECONDS: Final = 10.0  # the new master's own patience ends first, and it says why
LONGEST_WAIT_FACTOR: Final = 5  # how far PROGRESS may extend upgrade_timeout


class Stage(Enum):
    """How far the upgrade has come."""

    STARTING = "starting"
    HANDING = "handing over"
    WAIT_READY = "waiting for the new master"
    COMMITTED = "committed"
    PROBATION = "probation"
    ASKING = "asking for a sign of life"
    OWNING = "ownership"
    RETIRING = "retiring"
    ROLLED_BACK = "rolled_back"


class Upgrade:
    """Takes what the successor says; its owner looks at `stage` afterwards."""

    def __init__(self, crew: Crew, out: Outbox, waiters: list[Waiter]) -> None:
        self.crew = crew
        self.out = out
        self.waiters = waiters
        self.stage = Stage.STARTING
        self.deadline = inf
        self.hard_deadline = inf
        self.successor_pid = 0
        self.by_newcomer = False  # -u: it was started by somebody else
        self.why = ""

    def launch(self, now: float) -> None:
        """Start the code on disk."""
        self.deadline = now + HELLO_SECONDS
        self.out.log("info", "upgrade: starting a new master from the code on disk")
        self.out.put(actions.Announce("reloading"))
        self.out.put(actions.LaunchSuccessor())

    def asked(self, pid: int, now: float) -> None:
        """A separately started master has connected; its HELLO is being read."""
        self.deadline = now + HELLO_SECONDS
        self.successor_pid, self.by_newcomer = pid, True
        self.out.log("info", f"upgrade: pid {pid} asks to take over")
        self.out.put(actions.Announce("reloading"))

    @property
    def committed(self) -> bool:
        """Whether our own workers were told to drain."""
        return self.stage in (Stage.PROBATION, Stage.ASKING, Stage.OWNING, Stage.RETIRING)

    @property
    def over(self) -> bool:
        """Whether we have given ownership away."""
        return self.stage is Stage.RETIRING

    def heard(self, event: PeerSaid, now: float) -> None:
        """A message of the successor (or RECEIVED, from our own hand-over)."""
        match (self.stage, event.name):
            case (_, "ABORT"):
                self._roll_back(f"the new master gave up: {event.body.get('why', '')}", now)
            case (Stage.STARTING, "HELLO"):
                self.successor_pid = _number(event.body.get("pid")) or self.successor_pid
                self.stage, self.deadline = Stage.HANDING, now + HANDING_SECONDS
                self.out.put(actions.HandOver(self.crew.number))
            case (Stage.HANDING, "RECEIVED"):
                self.stage = Stage.WAIT_READY
                wait = self.crew.plan.upgrade_seconds + MARGIN_SECONDS
                self.deadline = now + wait
                self.hard_deadline = now + LONGEST_WAIT_FACTOR * wait
            case (Stage.WAIT_READY, "PROGRESS"):
                wait = self.crew.plan.upgrade_seconds + MARGIN_SECONDS
                self.deadline = min(self.hard_deadline, now + wait)
            case (Stage.WAIT_READY, "READY"):
                self.stage, self.deadline = Stage.COMMITTED, now + ACCEPTING_SECONDS
                self.out.put(actions.TellPeer("COMMIT", {"deadline": ACCEPTING_SECONDS}))
            case (Stage.COMMITTED, "ACCEPTING"):
                self._begin_probation(now)
            case (Stage.ASKING, "PONG" | "UNKNOWN"):
                self._give_ownership(now)
            case (Stage.OWNING, "OWNED"):
                self._retire(now)
            case (_, "PROGRESS" | "UNKNOWN"):
                pass
            case _:
                self.out.log("warn", f"upgrade: {event.name} while {self.stage.value}: ignored")

    def gone(self, event: PeerGone, now: float) -> None:
        """The channel or the successor's process ended."""
        if self.stage in (Stage.OWNING, Stage.RETIRING):
            # It owns the service now; what happens to it is no longer ours to repair.
            if self.stage is Stage.OWNING:
                self._retire(now)
            return
        self._roll_back(event.why, now)

    def tick(self, now: float) -> None:
        """Deadlines; the end of probation is one."""
        if now < self.deadline:
            return
        if self.stage is Stage.PROBATION:
            # Its workers may do well while it hangs itself: nobody must get a service that obeys no command.
            self.stage, self.deadline = Stage.ASKING, now + PONG_SECONDS
            self.out.put(actions.TellPeer("PING"))
        elif self.stage is Stage.OWNING:
            self._retire(now)
        elif self.stage not in (Stage.RETIRING, Stage.ROLLED_BACK):
            self._roll_back(f"the new master did not answer in time ({self.stage.value})", now)

    def give_up(self, why: str, now: float) -> None:
        """The owner stops the service, or cannot go on."""
        if self.stage not in (Stage.RETIRING, Stage.ROLLED_BACK):
            self._roll_back(why, now)

    def stop_both(self) -> None:
        """On probation a stop means the service: both generations drain, nobody takes over."""
        self.out.put(actions.TellPeer("STOP"))
        self.out.put(actions.DropPeer())
        self._answer(self.waiters, REFUSED, "upgrade refused: the service stops")

    def _begin_probation(self, now: float) -> None:
        self.crew.drain("upgrade", now)
        self.stage = Stage.PROBATION
        early = [w for w in self.waiters if w.no_probation]
        self.waiters = [w for w in self.waiters if not w.no_probation]
        self._answer(early, 0, f"pid {self.successor_pid} accepts")
        self.out.log("info", f"upgrade: pid {self.successor_pid} accepts, on probation")
        # Whoever says --no-probation wants the flip as soon as possible.
        self.deadline = now if early else now + self.crew.plan.probation_seconds

    def _give_ownership(self, now: float) -> None:
        self.stage, self.deadline = Stage.OWNING, now + OWNED_SECONDS
        self.out.put(actions.Announce("mainpid", str(self.successor_pid)))
        self.out.put(
            actions.WritePidFile(".oldbin")
        )  # the new one puts its own file in the place of ours
        self.out.put(actions.TellPeer("OWNER", {}))

    def _retire(self, now: float) -> None:
        self.stage, self.deadline = Stage.RETIRING, inf
        self.crew.retire(now)
        self.out.put(actions.CloseListeners(unlink=False))
        self.out.put(actions.Count("pingpy_upgrade_total", {"result": "committed"}))
        self.out.log("info", f"upgrade: superseded by pid {self.successor_pid}, draining")
        self._answer(self.waiters, 0, f"pid {self.successor_pid} serves")

    def _roll_back(self, why: str, now: float) -> None:
        if self.committed:
            self.crew.resume(now)
        self.stage, self.deadline = Stage.ROLLED_BACK, inf
        self.why = f"upgrade rolled back: {why}"
        self.out.put(actions.DropPeer(kill=True))
        self.out.put(actions.RemovePidFile(".new", self.successor_pid))
        self.out.log("error", self.why)
        self.out.put(actions.Count("pingpy_upgrade_total", {"result": "rolled_back"}))
        self.out.put(actions.Announce("ready", self.why))
        self._answer(self.waiters, REFUSED, self.why)

    def _answer(self, waiters: list[Waiter], code: int, text: str) -> None:
        fields: dict[str, object] = {"pid": self.successor_pid, "result": self.stage.value}
        for waiter in waiters:
            self.out.put(actions.Reply(waiter.client, code, text, fields))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
