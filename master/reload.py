"""One reload: from the check of the file to the generation that has proved itself, or back.

    CHECK ─► BIND ─► WAIT_READY ─► ACCEPTING ─► PROBATION ─► committed
      └────────┴──────────┴────────────┴─ refused     └─ rolled_back

Until ACCEPTING is complete the old generation has not heard of it. On probation the old one has stopped
to accept but can resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Final

from master import actions
from master.crew import Crew
from master.events import Bound, Checked
from master.launch import Judgement, Verdict, acceptance, health, readiness
from master.outbox import Outbox
from pingpy.config.plan import Plan

REFUSED: Final = 4  # exit code: the old generation keeps serving


class Step(Enum):
    """How far it has come."""

    CHECK = "check"
    BIND = "bind"
    WAIT_READY = "wait_ready"
    ACCEPTING = "accepting"
    PROBATION = "probation"
    COMMITTED = "committed"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"


ENDS: Final = (Step.COMMITTED, Step.REFUSED, Step.ROLLED_BACK)


@dataclass(frozen=True, slots=True)
class Waiter:
    """A client who wants to know how it ends, or (no_probation) that the new generation accepts."""

    client: int
    no_probation: bool = False


class Reload:
    """Takes events about its candidate; its owner looks at `step` afterwards."""

    def __init__(
        self, number: int, old: Crew, out: Outbox, waiters: list[Waiter], *, with_scout: bool
    ) -> None:
        self.number = number
        self.old = old
        self.out = out
        self.waiters = waiters
        self.with_scout = with_scout
        self.step = Step.CHECK
        self.why = ""
        self.ticket = out.next_number()
        self.crew: Crew | None = None
        self.plan: Plan | None = None
        self.config_hash = ""
        self.probation_ends = inf
        self._deaths_before = 0

    def start(self) -> None:
        """Have the file checked."""
        self.out.log("info", f"reload: generation {self.number} from the configuration file")
        self.out.put(actions.Announce("reloading"))
        self.out.put(actions.Check(self.ticket))

    def checked(self, event: Checked) -> None:
        """The checker's answer."""
        if self.step is not Step.CHECK or event.ticket != self.ticket:
            return
        if event.warnings:
            self.out.log("warn", event.warnings)
        if event.plan is None:
            self._refuse(event.complaints)
            return
        self.plan, self.config_hash = event.plan, event.config_hash
        self.step = Step.BIND
        self.out.put(actions.Bind(self.ticket, self.number))

    def bound(self, event: Bound, now: float) -> None:
        """The sockets are there, or not."""
        if self.step is not Step.BIND or event.ticket != self.ticket or self.plan is None:
            return
        if event.error:
            self._refuse(event.error)
            return
        self.step = Step.WAIT_READY
        crew = Crew(
            self.number, self.plan, event.listener_slots, self.out, with_scout=self.with_scout
        )
        crew.config_hash = self.config_hash
        crew.respawns = False
        self.crew = crew
        crew.spawn_all(now)

    def advance(self, now: float) -> None:
        """Look at the candidate and go on, or back."""
        if self.crew is None:
            return
        if self.step is Step.WAIT_READY:
            self._on(readiness(self.crew), now)
        elif self.step is Step.ACCEPTING:
            self._on(acceptance(self.crew), now)
        elif self.step is Step.PROBATION:
            judgement = health(self.crew, self._deaths_before)
            if judgement.verdict is Verdict.FAIL:
                self._roll_back(judgement.why, now)
            elif now >= self.probation_ends:
                self.commit(now)

    def commit(self, now: float) -> None:
        """It is good: the old generation may go for ever."""
        self.step = Step.COMMITTED
        self.probation_ends = inf
        self.out.put(actions.Commit(self.number))
        self.old.retire(now)
        self.out.log("info", f"reload: generation {self.number} committed")
        self._count("committed")
        self.out.put(actions.Gauge("pingpy_config_last_reload_successful", 1))
        self._answer(self.waiters, 0, f"generation {self.number} serves")

    def give_up(self, why: str, now: float) -> None:
        """The owner needs it gone (the service stops)."""
        if self.step is Step.PROBATION:
            self._roll_back(why, now)
        elif self.step not in ENDS:
            self._refuse(why)

    def _on(self, judgement: Judgement, now: float) -> None:
        if judgement.verdict is Verdict.FAIL:
            if self.step is Step.ACCEPTING and self.crew is not None:
                # Its sockets listen since GO: the queues that were made for it are the old one's to read.
                self.old.take_slots(self.crew.listener_slots)
                self._leave(self.crew, now)
            self._refuse(judgement.why)
        elif judgement.verdict is Verdict.PROCEED and self.crew is not None:
            if self.step is Step.WAIT_READY:
                self.step = Step.ACCEPTING
                self.crew.go(now)
            else:
                self._begin_probation(self.crew, now)

    def _begin_probation(self, crew: Crew, now: float) -> None:
        self.old.drain("reload", now)
        self.step = Step.PROBATION
        crew.respawns = True
        self._deaths_before = len(crew.deaths)
        # Those that min_workers let us start without.
        crew.refill(now)
        self.probation_ends = now + crew.plan.probation_seconds
        early = [w for w in self.waiters if w.no_probation]
        self.waiters = [w for w in self.waiters if not w.no_probation]
        self._answer(early, 0, f"generation {self.number} accepts")
        self.out.log("info", f"reload: generation {self.number} accepts, on probation")
        if crew.plan.probation_seconds == 0:
            self.commit(now)

    def _leave(self, crew: Crew, now: float) -> None:
        """Some of it may have accepted: what it accepted is still answered."""
        crew.drain("rollback", now)
        crew.retire(now)

    def _roll_back(self, why: str, now: float) -> None:
        if self.crew is not None:
            self.old.take_slots(self.crew.listener_slots)
        self.old.resume(now)
        if self.crew is not None:
            self._leave(self.crew, now)
        self.step = Step.ROLLED_BACK
        self._failed("rolled_back", f"rolled back to generation {self.old.number}: {why}")

    def _refuse(self, why: str) -> None:
        if self.crew is not None and self.step is not Step.ACCEPTING:
            self.crew.kill_all()
        self.step = Step.REFUSED
        self._failed("refused", f"refused, generation {self.old.number} keeps serving: {why}")

    def _failed(self, result: str, text: str) -> None:
        self.why = text
        self.probation_ends = inf
        self.out.log("error", f"reload: {text}")
        self._count(result)
        self.out.put(actions.Gauge("pingpy_config_last_reload_successful", 0))
        self.out.put(actions.Discard(self.number))
        self._answer(self.waiters, REFUSED, f"reload {text}")

    def _count(self, result: str) -> None:
        self.out.put(actions.Count("pingpy_reload_total", {"result": result}))
        self.out.put(actions.Announce("ready", self.why and f"reload {self.why}"))

    def _answer(self, waiters: list[Waiter], code: int, text: str) -> None:
        fields: dict[str, object] = {"generation": self.number, "result": self.step.value}
        for waiter in waiters:
            self.out.put(actions.Reply(waiter.client, code, text, fields))
