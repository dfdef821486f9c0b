"""Judges a generation that is coming up: keep waiting, let it accept, or give it up and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto

from master.crew import Crew
from master.life import UNREADY
from pingpy.control import SCOUT_SLOT

TRIES_AT_BOOT = 2


class Verdict(Enum):
    """What to do with it now."""

    WAIT = auto()
    PROCEED = auto()
    FAIL = auto()


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and, for a failure, the cause as the operator should read it."""

    verdict: Verdict
    why: str = ""


WAIT = Judgement(Verdict.WAIT)
PROCEED = Judgement(Verdict.PROCEED)


def readiness(crew: Crew) -> Judgement:
    """Beside a serving generation: all must become ready; fewer than min_workers left is a failure.

    A worker that is stuck counts as lost as soon as its stack dump is asked for.
    """
    lost = [f"worker {d.slot} {d.how}" for d in crew.deaths if d.slot != SCOUT_SLOT]
    lost += [f"worker {w.slot} {w.cause}" for w in crew.serving_workers() if w.ending]
    if crew.worker_count - len(lost) < crew.plan.min_workers:
        return Judgement(Verdict.FAIL, lost[0])
    pending = any(w.stage in UNREADY and not w.ending for w in crew.serving_workers())
    return WAIT if pending or crew.scout_pending() else PROCEED


def boot_readiness(crew: Crew, *, overdue: bool) -> Judgement:
    """With nobody to fall back on: one ready worker is enough once the others had their chances."""
    if crew.ready_count() and overdue:
        return PROCEED
    deaths = Counter(d.slot for d in crew.deaths)
    ready = {w.slot for w in crew.serving_workers() if w.stage not in UNREADY and not w.ending}
    hopeless = {slot for slot in crew.slots if deaths[slot] >= TRIES_AT_BOOT}
    if overdue or (len(hopeless) == crew.worker_count and not ready):
        last = [f"worker {d.slot} {d.how}" for d in crew.deaths if d.slot != SCOUT_SLOT]
        return Judgement(Verdict.FAIL, last[-1] if last else "no worker became ready in time")
    settled = all(slot in ready or slot in hopeless for slot in crew.slots)
    return PROCEED if settled and not crew.scout_pending() else WAIT


def acceptance(crew: Crew) -> Judgement:
    """After GO: all that are left must say ACCEPTING; the first death is a failure."""
    lost = [f"worker {d.slot} {d.how}" for d in crew.deaths if d.slot != SCOUT_SLOT]
    lost += [f"worker {w.slot} {w.cause}" for w in crew.serving_workers() if w.ending]
    if lost and crew.worker_count - len(lost) < crew.plan.min_workers:
        return Judgement(Verdict.FAIL, lost[0])
    waiting = crew.ready_count() > crew.accepting_count()
    return WAIT if waiting or not crew.accepting_count() else PROCEED


def health(crew: Crew, deaths_before: int) -> Judgement:
    """On probation: half of the workers dead twice, or none that accepts, is a failure."""
    since = [d for d in crew.deaths[deaths_before:] if d.slot != SCOUT_SLOT]
    twice = [slot for slot, deaths in Counter(d.slot for d in since).items() if deaths >= 2]
    cause = f"worker {since[-1].slot} {since[-1].how}" if since else "no worker accepts"
    if 2 * len(twice) >= crew.worker_count:
        return Judgement(Verdict.FAIL, f"{len(twice)} of {crew.worker_count} died twice; {cause}")
    if not any(w.accepting for w in crew.serving_workers()):
        return Judgement(Verdict.FAIL, f"none accepts any more; {cause}")
    return PROCEED
