"""The new master's side of an upgrade: ready, committed, on probation, owner; or back out without a trace.

    BUILDING ─all ready─► WAIT_COMMIT ─COMMIT─► GOING ─accepting─► PROBATION ─OWNER─► OWNER
        └──────────────────────┴── backed out ────┴───────────────────┘

When the old master dies after it has handed over everything, we complete by ourselves.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import Final

from master import actions
from master.crew import Crew
from master.events import PeerSaid
from master.launch import Verdict, acceptance, boot_readiness, health, readiness
from master.outbox import Outbox

BACKED_OUT: Final = 4  # exit code: the old master keeps serving


class Stage(Enum):
    """How far the take-over has come."""

    BUILDING = "building"
    WAIT_COMMIT = "waiting for commit"
    GOING = "going"
    PROBATION = "probation"
    OWNER = "owner"
    BACKED_OUT = "backed out"


class Takeover:
    """Takes what the old master says and looks at its own crew."""

    def __init__(self, crew: Crew, out: Outbox) -> None:
        self.crew = crew
        self.out = out
        self.stage = Stage.BUILDING
        self.orphaned = False
        self.why = ""
        self.deadline = inf  # alone: how long the workers may take to become ready
        self._deaths_before = 0
        self._told_ready = 0
        crew.respawns = False

    def heard(self, event: PeerSaid, now: float) -> None:
        """A message of the old master."""
        match (self.stage, event.name):
            case (Stage.WAIT_COMMIT, "COMMIT"):
                self._go(now)
            case (Stage.PROBATION | Stage.GOING, "OWNER"):
                self._own(told=True)
            case (_, "PING"):
                self.out.put(actions.TellPeer("PONG"))
            case (_, "ABORT") if self.stage is not Stage.OWNER:
                self.back_out(f"the old master said: {event.body.get('why', 'abort')}", tell=False)
            case _:
                self.out.log("debug", f"old master: {event.name}")

    def gone(self, why: str, now: float) -> None:
        """The old master is no more: what it has handed over is ours."""
        if self.stage in (Stage.OWNER, Stage.BACKED_OUT):
            return
        self.orphaned = True
        self.out.log("warn", f"the old master is gone ({why}): completing the take-over alone")
        # There is nobody to fall back on any more: who has died is replaced, whatever the stage.
        self.crew.respawns = True
        self.crew.refill(now)
        if self.stage is Stage.BUILDING:
            # As at a start, one worker is better than none.
            self.deadline = now + self.crew.plan.upgrade_seconds
        elif self.stage is Stage.WAIT_COMMIT:
            self._go(now)
        elif self.stage is Stage.PROBATION:
            self._own(told=False)

    def advance(self, now: float) -> None:
        """Look at the crew."""
        if self.stage is Stage.BUILDING:
            judgement = readiness(self.crew)
            if self.orphaned:
                judgement = boot_readiness(self.crew, overdue=now >= self.deadline)
            ready = self.crew.ready_count()
            if ready != self._told_ready and not self.orphaned:
                self._told_ready = ready
                body: dict[str, object] = {"phase": "workers", "done": ready}
                self.out.put(actions.TellPeer("PROGRESS", body))
            if judgement.verdict is Verdict.FAIL:
                self.back_out(judgement.why)
            elif judgement.verdict is Verdict.PROCEED:
                self._all_ready(now)
        elif self.stage is Stage.GOING:
            judgement = acceptance(self.crew)
            if judgement.verdict is Verdict.FAIL:
                self.back_out(judgement.why)
            elif judgement.verdict is Verdict.PROCEED:
                self._begin_probation(now)
        elif self.stage is Stage.PROBATION:
            judgement = health(self.crew, self._deaths_before)
            if judgement.verdict is Verdict.FAIL:
                self.back_out(judgement.why)

    def back_out(self, why: str, *, tell: bool = True) -> None:
        """Leave the service to the old master; without one, there is nobody to leave it to."""
        if self.orphaned and self.stage is not Stage.BUILDING:
            self._own(told=False)
            return
        self.stage, self.why = Stage.BACKED_OUT, why
        self.out.log("error", f"take-over given up: {why}")
        if tell:
            self.out.put(actions.TellPeer("ABORT", {"why": why}))

    def _all_ready(self, now: float) -> None:
        self.stage, self.deadline = Stage.WAIT_COMMIT, inf
        body: dict[str, object] = {"workers": self.crew.ready_count()}
        self.out.put(actions.TellPeer("READY", body))
        if self.orphaned:
            self._go(now)

    def _go(self, now: float) -> None:
        self.stage = Stage.GOING
        self.crew.go(now)

    def _begin_probation(self, now: float) -> None:
        self.stage = Stage.PROBATION
        self.crew.respawns = True
        self._deaths_before = len(self.crew.deaths)
        self.crew.refill(now)
        self.out.put(actions.WritePidFile(".new"))
        self.out.put(actions.TellPeer("ACCEPTING"))
        if self.orphaned:
            self._own(told=False)

    def _own(self, *, told: bool) -> None:
        self.stage = Stage.OWNER
        self.crew.respawns = True
        self.out.put(actions.Commit(self.crew.number))
        self.out.put(actions.OpenControl())
        self.out.put(actions.WritePidFile())
        self.out.put(actions.RemovePidFile(".new"))
        if told:
            self.out.put(actions.TellPeer("OWNED"))
        self.out.log("info", "take-over complete: this master owns the service")
        if self.orphaned:
            self.out.put(actions.DropPeer())
        self.out.put(actions.Announce("ready", "took over from the previous master"))
