"""One generation's workers: who lives, who is replaced and when, and what each is told.

BUILDING ─go()─► SERVING ─drain()─► DRAINING ─resume()─► SERVING
                                       └─retire()─► RETIRING (a drained worker is stopped)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from math import inf
from typing import Final

from master import actions
from master.crash_loop import Vacancies
from master.drain_limits import Limits
from master.events import Beat
from master.life import BEATING, UNREADY, Cue, Death, Stage, UnlawfulError, Worker
from master.outbox import Outbox
from master.slots import home_slots, rebalance
from pingpy import control
from pingpy.config.plan import Plan
from pingpy.control import SCOUT_SLOT

HELLO_SECONDS: Final = 30.0
ACCEPTING_SECONDS: Final = 5.0
ABORT_SECONDS: Final = 5.0  # from the request for a stack dump to SIGKILL
STOP_SECONDS: Final = 2.0


class Mode(Enum):
    """What a generation is for at the moment."""

    BUILDING = auto()
    SERVING = auto()
    DRAINING = auto()
    RETIRING = auto()


class Crew:
    """The workers of one generation, and its scout; tells the outbox what to do, decides nothing beyond itself."""

    def __init__(
        self, number: int, plan: Plan, listener_slots: int, out: Outbox, *, with_scout: bool
    ) -> None:
        self.number = number
        self.plan = plan
        self.listener_slots = listener_slots
        self.out = out
        self.mode = Mode.BUILDING
        self.worker_count = plan.worker_count
        self.with_scout = with_scout
        self.respawns = True
        self.config_hash = ""
        self.workers: dict[int, Worker] = {}
        self.deaths: list[Death] = []
        self.vacancies = Vacancies(plan.min_uptime_seconds, out.jitter)
        self.drain_reason = ""
        self.polite = False  # its tunnels were asked to leave early
        self.retired_at = 0.0

    def __repr__(self) -> str:
        stages = " ".join(f"{w.slot}:{w.stage.name}" for w in self.workers.values())
        return f"<Crew g{self.number} {self.mode.name} {stages}>"

    # What the owner asks.

    def serving_workers(self) -> Iterator[Worker]:
        """Every live worker but the scout."""
        return (w for w in self.workers.values() if w.slot != SCOUT_SLOT)

    def ready_count(self) -> int:
        """Workers that are READY or further, and not on their way out."""
        return sum(
            w.stage not in UNREADY and not w.ending and w.stage is not Stage.LEAVING
            for w in self.serving_workers()
        )

    def accepting_count(self) -> int:
        """Workers known to accept."""
        return sum(w.stage is Stage.ACCEPTING for w in self.serving_workers())

    def scout_pending(self) -> bool:
        """Whether the scout still prepares what workers would like to find."""
        return any(w.slot == SCOUT_SLOT and w.stage in UNREADY for w in self.workers.values())

    @property
    def slots(self) -> range:
        """The workers' slots."""
        return range(self.worker_count)

    # What the owner orders.

    def spawn_all(self, now: float) -> None:
        """Fork everybody, the scout first: what it finds out is wanted by the others."""
        if self.with_scout:
            self._spawn(SCOUT_SLOT, now)
        for slot in self.slots:
            self._spawn(slot, now)

    def go(self, now: float) -> None:
        """Let everybody who is ready accept; who becomes ready later follows at once."""
        self.mode = Mode.SERVING
        self.out.put(actions.Listen(self.number))
        for worker in list(self.workers.values()):
            if worker.stage is Stage.READY:
                self._go(worker, now)
        self._rebalance()

    def drain(self, reason: str, now: float, limits: Limits | None = None) -> None:
        """Accept no more; workers keep waiting when they are done, in case of resume(). Default: the plan's limits."""
        if self.mode is not Mode.RETIRING:
            self.mode = Mode.DRAINING
        self.drain_reason = reason
        self.vacancies.forget()
        for worker in list(self.workers.values()):
            self._drain(worker, now, limits or Limits.usual(self.plan.drain))

    def resume(self, now: float) -> None:
        """Accept again, and replace whoever left meanwhile."""
        self.mode = Mode.SERVING
        self.drain_reason = ""
        for worker in list(self.workers.values()):
            if worker.stage in (Stage.DRAINING, Stage.DRAINED):
                worker.move(Cue.RESUME)
                worker.deadline = now + ACCEPTING_SECONDS
                worker.drain_until = inf
                self._tell(worker, control.Resume())
        self.refill(now)
        self._rebalance()

    def refill(self, now: float) -> None:
        """Spawn a worker for every slot that has none and waits for none."""
        taken = {w.slot for w in self.workers.values() if not w.ending and w.stage != Stage.LEAVING}
        wanted = [*self.slots, SCOUT_SLOT] if self.with_scout else self.slots
        for slot in wanted:
            if slot not in taken and slot not in self.vacancies:
                self._spawn(slot, now)

    def retire(self, now: float) -> None:
        """This generation is not coming back: whoever has nothing left may go."""
        self.mode = Mode.RETIRING
        self.retired_at = now
        self.vacancies.forget()
        for worker in list(self.workers.values()):
            if worker.ending:
                continue
            if worker.stage is Stage.DRAINED or worker.slot == SCOUT_SLOT:
                self._stop(worker, now)
            elif worker.stage in (Stage.DRAINING, Stage.LEAVING):
                self.out.put(actions.Relinquish(worker.id))
            elif worker.stage in (*UNREADY, Stage.READY):
                self._kill(worker)

    def ask_tunnels_to_leave(self, now: float, seconds: float) -> None:
        """Too many generations drain: this one's tunnels go now, its requests keep their time."""
        self.polite = True
        for worker in list(self.serving_workers()):
            if worker.stage in (Stage.DRAINING, Stage.LEAVING):
                left = max(0.0, self.retired_at + self.plan.drain.drain_seconds - now)
                self._drain(worker, now, Limits(left, seconds))

    def stop_all(self, now: float) -> None:
        """Cut what is left."""
        self.mode = Mode.RETIRING
        self.vacancies.forget()
        for worker in list(self.workers.values()):
            if not worker.ending:
                self._stop(worker, now)

    def kill_all(self) -> None:
        """At once."""
        self.mode = Mode.RETIRING
        self.vacancies.forget()
        for worker in list(self.workers.values()):
            self._kill(worker)

    def take_slots(self, listener_slots: int) -> None:
        """There are more queues now than its workers know: somebody must read those that nobody else does."""
        self.listener_slots = max(self.listener_slots, listener_slots)
        self._rebalance()

    def resize(self, count: int, now: float) -> None:
        """One worker more or fewer; listener slots find their readers."""
        old, self.worker_count = self.worker_count, count
        if count > old:
            self.listener_slots = max(self.listener_slots, count) if self.listener_slots else 0
            self.out.put(actions.Grow(self.number, self.listener_slots))
            self._spawn(count - 1, now)
        else:
            self.vacancies.filled(count)
            self.drain_reason = "resize"
            for worker in list(self.serving_workers()):
                if worker.slot >= count and not worker.ending:
                    self._drain(worker, now, Limits.usual(self.plan.drain))
                    if worker.stage in (*UNREADY, Stage.READY):
                        self._kill(worker)
        self._rebalance()

    # What happens to it.

    def heard(self, worker: Worker, message: control.Message, now: float) -> None:
        """A worker's message; nonsense is answered with its death."""
        worker.beat_at = now
        if worker.ending and not isinstance(message, control.Fatal):
            return  # it was told to go: what it says of itself moves no deadline of ours
        try:
            self._heard(worker, message, now)
        except UnlawfulError as error:
            self.out.log("error", f"{self._name(worker)} broke the protocol ({error}): killed")
            worker.cause = worker.cause or f"broke the protocol ({error})"
            self._kill(worker)
            self._rebalance()

    def muted(self, worker: Worker, why: str, now: float) -> None:
        """Its channel broke: it is dying, or it cannot be commanded and must not go on."""
        if not worker.ending:
            self.out.log("debug", f"{self._name(worker)}: {why}")
            worker.deadline = min(worker.deadline, now + STOP_SECONDS)

    def exited(self, worker: Worker, how: str, now: float) -> None:
        """It is gone: note why, find its slots a reader, replace it when that is wanted."""
        del self.workers[worker.id]
        cause = f"{how}: {worker.cause}" if worker.cause else how
        expected = worker.stage in (Stage.STOPPING, Stage.LEAVING) or self.mode is Mode.RETIRING
        if worker.stage is Stage.LEAVING or expected:
            self.out.log("info", f"{self._name(worker)} left ({how})")
        else:
            self.out.log("error", f"{self._name(worker)} died ({cause})")
            self.deaths.append(Death(worker.slot, cause, worker.ready_at is not None))
        if not expected and self.respawns and self.mode in (Mode.BUILDING, Mode.SERVING):
            self._schedule(worker, cause, now)
        self._rebalance()

    def looked(self, beats: Mapping[int, Beat], now: float) -> None:
        """The slabs were read: who has not come round for too long is asked for its stack, then killed."""
        for worker in list(self.workers.values()):
            beat = beats.get(worker.id)
            if beat is None:
                continue
            worker.beat_at = max(worker.beat_at, beat.at)
            worker.connections, worker.active = beat.connections, beat.active
            worker.rss_bytes = beat.rss_bytes
            silent = now - worker.beat_at
            if worker.stage in BEATING and silent > self.plan.heartbeat_seconds:
                self._abort(worker, f"no heartbeat for {silent:.0f} s", now)

    def tick(self, now: float) -> None:
        """Deadlines: of stages, of drains, of waits before a replacement."""
        for worker in list(self.workers.values()):
            if worker.stage is Stage.ABORTING or worker.stage is Stage.STOPPING:
                if now >= worker.deadline:
                    self._kill(worker)
            elif now >= worker.deadline:
                self._abort(worker, worker.cause or f"stuck in {worker.stage.name}", now)
            elif now >= worker.drain_until:
                self._abort(worker, "did not end its drain in time", now)
        for slot in self.vacancies.due(now):
            self._spawn(slot, now)

    def next_deadline(self) -> float:
        """When tick() is wanted."""
        waits = list(self.vacancies.until.values())
        for worker in self.workers.values():
            waits += (worker.deadline, worker.drain_until)
        return min(waits, default=inf)

    # How it is done.

    def _heard(self, worker: Worker, message: control.Message, now: float) -> None:
        match message:
            case control.Hello():
                worker.move(Cue.HELLO)
                slots = home_slots(worker.slot, self.worker_count, self.listener_slots)
                worker.holds = set() if worker.slot == SCOUT_SLOT else set(slots)
                worker.deadline = now + self.plan.upgrade_seconds
                worker.hard_deadline = now + 5 * self.plan.upgrade_seconds
                self.out.put(actions.Equip(worker.id, tuple(sorted(worker.holds))))
            case control.Progress():
                if worker.stage is Stage.BUILDING:
                    wanted = now + self.plan.upgrade_seconds
                    worker.deadline = min(worker.hard_deadline, wanted)
            case control.Ready():
                worker.move(Cue.READY)
                worker.deadline, worker.ready_at = inf, now
                self.vacancies.well(worker.slot)
                if self.mode is Mode.SERVING:
                    self._go(worker, now)
                    self._rebalance()
            case control.Accepting():
                if worker.move(Cue.ACCEPTING) is Stage.ACCEPTING:
                    worker.deadline = inf
                    self._rebalance()
            case control.Drained():
                self._drained(worker, now)
            case control.Leaving(reason=reason):
                self._leaving(worker, reason, now)
            case control.Fatal(message=text, traceback=trace):
                worker.cause = text
                self.out.log(
                    "error", f"{self._name(worker)} cannot go on: {text}\n{trace}".rstrip()
                )
            case _:
                self.out.log("warn", f"{self._name(worker)} sent {message!r}: ignored")

    def _drained(self, worker: Worker, now: float) -> None:
        if worker.move(Cue.DRAINED) is Stage.DRAINED:
            worker.drain_until = inf  # it waits for us now, however long a pause lasts
            if self.mode is Mode.RETIRING or worker.slot >= self.worker_count:
                self._stop(worker, now)

    def _leaving(self, worker: Worker, reason: str, now: float) -> None:
        before = worker.stage
        worker.move(Cue.LEAVING)
        worker.deadline = inf
        worker.drain_until = min(worker.drain_until, now + Limits.usual(self.plan.drain).longest)
        self.out.log("warn", f"{self._name(worker)} drains by itself ({reason})")
        replaced = before in (Stage.READY, Stage.GOING, Stage.ACCEPTING)
        if replaced and self.respawns and self.mode in (Mode.BUILDING, Mode.SERVING):
            self._spawn(worker.slot, now)
        self._rebalance()

    def _spawn(self, slot: int, now: float) -> None:
        self.vacancies.filled(slot)
        worker = Worker(self.out.next_number(), slot, now, deadline=now + HELLO_SECONDS)
        worker.beat_at = now
        self.workers[worker.id] = worker
        self.out.put(actions.Spawn(worker.id, self.number, slot, self.worker_count))

    def _schedule(self, worker: Worker, cause: str, now: float) -> None:
        if worker.slot >= self.worker_count:
            return
        lived = None if worker.ready_at is None else now - worker.ready_at
        delay = self.vacancies.died(worker.slot, cause, lived, now)
        kind = "start" if worker.ready_at is None else "crash"
        self.out.put(actions.Count("pingpy_worker_restarts_total", {"reason": kind}))
        if delay:
            self.out.log("warn", f"{self._name(worker)} is replaced in {delay:.1f} s")
        else:
            self._spawn(worker.slot, now)

    def _rebalance(self) -> None:
        if self.mode is Mode.SERVING and self.listener_slots:
            for action in rebalance(
                list(self.serving_workers()), self.worker_count, self.listener_slots
            ):
                self.out.put(action)

    def _go(self, worker: Worker, now: float) -> None:
        worker.move(Cue.GO)
        worker.deadline = now + ACCEPTING_SECONDS
        self._tell(worker, control.Go())

    def _drain(self, worker: Worker, now: float, limits: Limits) -> None:
        if worker.stage in (*UNREADY, Stage.READY) or worker.ending:
            return
        worker.deadline = inf
        if worker.move(Cue.DRAIN) is not Stage.DRAINED:
            worker.drain_until = now + limits.longest
        linger = self.plan.drain.linger_seconds
        self._tell(worker, limits.message(self.drain_reason, linger))

    def _stop(self, worker: Worker, now: float) -> None:
        worker.move(Cue.STOP)
        worker.deadline = now + STOP_SECONDS
        self._tell(worker, control.Stop())

    def _abort(self, worker: Worker, why: str, now: float) -> None:
        if worker.ending:
            return
        self.out.log("error", f"{self._name(worker)}: {why}; stack dump, then kill")
        worker.cause = worker.cause or why
        worker.move(Cue.ABORT)
        worker.deadline = now + ABORT_SECONDS
        self.out.put(actions.Kill(worker.id, "ABRT"))
        self._rebalance()

    def _kill(self, worker: Worker) -> None:
        worker.move(Cue.KILL)
        worker.deadline = inf
        self.out.put(actions.Kill(worker.id, "KILL"))

    def _tell(self, worker: Worker, message: control.Message) -> None:
        self.out.put(actions.Tell(worker.id, message))

    def _name(self, worker: Worker) -> str:
        who = "scout" if worker.slot == SCOUT_SLOT else f"worker {worker.slot}"
        pid = f" (pid {worker.pid})" if worker.pid else ""
        return f"g{self.number} {who}{pid}"
