"""A world without processes: performs the supervisor's actions on pretended workers, with a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from master import actions, events
from master.supervisor import Phase, Supervisor
from pingpy import control
from pingpy.config.plan import DrainPlan, ListenerPlan, LogPlan, Plan

PLAN = Plan(
    listeners=(ListenerPlan("tcp4/127.0.0.1:1", "tcp4", "127.0.0.1", 1, "", "auto", 10, "slots"),),
    worker_count=2,
    min_workers=2,
    user=None,
    group=None,
    pid_file="pid",
    pid_file_required=False,
    runtime_dir="run",
    access_log=LogPlan("off"),
    error_log=LogPlan("stderr"),
    log_level="info",
    drain=DrainPlan(60, 600, 5, 3, 30, 30),
    probation_seconds=10,
    min_uptime_seconds=5,
    upgrade_seconds=60,
    heartbeat_seconds=30,
    control_users=(),
    open_files=1024,
    sentry_dsn=None,
)


def plan(**changes) -> Plan:
    changed = replace(PLAN, **changes)
    return replace(changed, min_workers=min(changed.min_workers, changed.worker_count))


@dataclass
class FakeWorker:
    id: int
    generation: int
    slot: int
    said: list[str] = field(default_factory=list)
    equipped: bool = False
    accepting: bool = False
    draining: bool = False
    leaving: bool = False
    frozen: bool = False
    killed: bool = False
    beat_at: float = 0.0
    holds: set[int] = field(default_factory=set)
    inbox: list[str] = field(default_factory=list)


class World:
    def __init__(self, *, with_scout: bool = False) -> None:
        self.now = 100.0
        self.supervisor = Supervisor(with_scout=with_scout, jitter=lambda: 0.5)
        self.workers: dict[int, FakeWorker] = {}
        self.done: list[actions.Action] = []
        self.replies: dict[int, actions.Reply] = {}
        self.double_replies = 0
        self.exit: actions.Exit | None = None
        self.check: int | None = None
        self.bind: int | None = None
        self.peer = False
        self.peers_at_once = 0
        self.slots = 2

    # Input.

    def begin(self, the_plan: Plan = PLAN, *, taking_over: bool = False) -> World:
        self.slots = the_plan.worker_count
        self.feed(events.Begin(the_plan, self.slots, 1, "hash", taking_over=taking_over))
        self.peer = taking_over
        return self

    def feed(self, event: events.Event) -> list[actions.Action]:
        produced = self.supervisor.handle(event, self.now)
        for action in produced:
            self.done.append(action)
            self._perform(action)
        return produced

    def signal(self, name: str) -> list[actions.Action]:
        return self.feed(events.Signalled(name))

    def command(self, client: int, verb: str, **options) -> list[actions.Action]:
        return self.feed(events.Command(client, verb, options))

    def wait(self, seconds: float) -> None:
        """Time passes, deadline by deadline; who is not frozen beats."""
        end = self.now + seconds
        while self.exit is None:
            step = min(end, max(self.now + 0.001, self.supervisor.next_deadline()), self.now + 5)
            self.now = step
            for worker in self.workers.values():
                if not worker.frozen:
                    worker.beat_at = self.now
            beats = {w.id: events.Beat(w.beat_at) for w in self.workers.values() if w.beat_at}
            self.feed(events.Beats(beats))
            self.feed(events.Tick())
            if self.now >= end:
                return

    def checked(self, the_plan: Plan | None = PLAN, complaints: str = "") -> None:
        ticket, self.check = self.check, None
        assert ticket is not None
        self.candidate = the_plan
        self.feed(events.Checked(ticket, the_plan, complaints, "hash"))

    def bound(self, error: str = "") -> None:
        ticket, self.bind = self.bind, None
        assert ticket is not None
        assert self.candidate is not None
        self.slots = max(self.slots, self.candidate.worker_count)
        self.feed(events.Bound(ticket, self.slots, error))

    def die(self, worker: FakeWorker, how: str = "exit code 1") -> None:
        del self.workers[worker.id]
        self.feed(events.Exited(worker.id, how))

    def say(self, worker: FakeWorker, message: control.Message) -> None:
        worker.said.append(type(message).__name__)
        self.feed(events.Said(worker.id, message))

    # A well-behaved world.

    def step(self, worker: FakeWorker) -> bool:
        """The next thing that a healthy worker does; False when it has nothing to do."""
        if worker.killed:
            self.die(worker, "killed by SIGKILL")
            return True
        if worker.frozen:
            return False
        if "Hello" not in worker.said:
            self.say(worker, control.Hello(worker.id, worker.generation, worker.slot))
        elif worker.equipped and "Ready" not in worker.said:
            self.say(worker, control.Ready("hash", 1))
        elif worker.inbox:
            self._obey(worker, worker.inbox.pop(0))
        else:
            return False
        return True

    def settle_only(self, generation: int) -> None:
        """Until nobody of one generation has anything to do; the others are slow."""
        while self.turn(self.of(generation)):
            pass

    def turn(self, workers: list[FakeWorker]) -> bool:
        """Everybody's next step; False when nobody has one."""
        steps = [self.step(worker) for worker in workers if worker.id in self.workers]
        return any(steps)

    def settle(self) -> None:
        """Until nobody has anything to do."""
        moved = True
        while moved and self.exit is None:
            moved = self.turn([*self.workers.values()])
            if self.check is not None:
                self.checked()
                moved = True
            if self.bind is not None:
                self.bound()
                moved = True

    def _obey(self, worker: FakeWorker, order: str) -> None:
        match order:
            case "Go" | "Resume":
                worker.accepting, worker.draining = True, False
                self.say(worker, control.Accepting())
            case "Drain":
                worker.accepting, worker.draining = False, True
                self.say(worker, control.Drained())
            case "Stop":
                self.die(worker, "exit code 0")

    # What the supervisor does to the world.

    def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.Spawn(worker=number, generation=generation, slot=slot):
                self.workers[number] = FakeWorker(number, generation, slot, beat_at=self.now)
            case actions.Equip(worker=number, slots=slots) if number in self.workers:
                self.workers[number].equipped = True
                self.workers[number].holds = set(slots)
            case actions.Lend(worker=number, slots=slots) if number in self.workers:
                self.workers[number].holds |= set(slots)
            case actions.TakeBack(worker=number, slots=slots) if number in self.workers:
                self.workers[number].holds -= set(slots)
            case actions.Tell(worker=number, message=message) if number in self.workers:
                self.workers[number].inbox.append(type(message).__name__)
            case actions.Kill(worker=number, signal="KILL") if number in self.workers:
                # The kernel's answer comes later, as another event.
                self.workers[number].killed = True
            case actions.Check(ticket=ticket):
                self.check = ticket
            case actions.Bind(ticket=ticket):
                self.bind = ticket
            case actions.Reply():
                self.double_replies += action.client in self.replies
                self.replies[action.client] = action
            case actions.Exit():
                self.exit = action
            case actions.LaunchSuccessor() | actions.DropPeer():
                self.peer = isinstance(action, actions.LaunchSuccessor)
                self.peers_at_once = self.peers_at_once + 1 if self.peer else 0

    # Questions.

    def of(self, generation: int) -> list[FakeWorker]:
        return [w for w in self.workers.values() if w.generation == generation and w.slot >= 0]

    def accepting(self) -> set[int]:
        return {w.generation for w in self.workers.values() if w.accepting}

    def logged(self, text: str) -> bool:
        return any(isinstance(a, actions.Log) and text in a.text for a in self.done)

    def did(self, kind: type[actions.Action]) -> list[actions.Action]:
        return [a for a in self.done if isinstance(a, kind)]


def running(**changes) -> World:
    world = World().begin(plan(**changes))
    world.settle()
    assert world.supervisor.phase is Phase.RUNNING
    return world
