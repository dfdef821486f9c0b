"""Any sequence of events keeps the promises: somebody accepts, one upgrade at most, no orphan, one answer."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from master_world import World, plan

from master import actions, events
from master.crew import ACCEPTING_SECONDS, Mode
from master.supervisor import Phase
from master.takeover import Stage
from pingpy import control


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.client = 0
        self.elder = False  # whether the master that we take over from is still there
        self.asked: set[int] = set()
        self.faults = (
            0  # deaths and freezes so far: only without them must somebody accept at every moment
        )

    @initialize(workers=st.integers(1, 4), scout=st.booleans(), newcomer=st.booleans())
    def start(self, workers: int, scout: bool, newcomer: bool) -> None:
        self.world = World(with_scout=scout)
        self.elder = newcomer
        the_plan = plan(worker_count=workers, min_workers=workers)
        self.world.begin(the_plan, taking_over=newcomer)
        if not newcomer:
            self.world.settle()

    def alive(self) -> bool:
        return self.world.exit is None

    @rule(data=st.data())
    @precondition(lambda self: self.alive() and self.world.workers)
    def a_worker_goes_on(self, data) -> None:
        worker = data.draw(st.sampled_from(sorted(self.world.workers)))
        self.world.step(self.world.workers[worker])

    @rule()
    @precondition(lambda self: self.alive())
    def all_go_on(self) -> None:
        self.world.settle()

    @rule(data=st.data())
    @precondition(lambda self: self.alive() and self.world.workers)
    def a_worker_dies(self, data) -> None:
        number = data.draw(st.sampled_from(sorted(self.world.workers)))
        self.faults += 1
        self.world.die(self.world.workers[number])

    @rule(data=st.data())
    @precondition(lambda self: self.alive() and self.world.workers)
    def a_worker_freezes(self, data) -> None:
        number = data.draw(st.sampled_from(sorted(self.world.workers)))
        self.faults += 1
        self.world.workers[number].frozen = True

    @rule(data=st.data())
    @precondition(lambda self: self.alive() and self.world.workers)
    def a_worker_says_anything(self, data) -> None:
        number = data.draw(st.sampled_from(sorted(self.world.workers)))
        message = data.draw(
            st.sampled_from(
                [
                    control.Hello(1, 1, 1),
                    control.Ready(),
                    control.Accepting(),
                    control.Drained(),
                    control.Leaving("x"),
                    control.Progress("x"),
                    control.Fatal("x"),
                    control.Go(),
                ]
            )
        )
        self.faults += 1
        worker = self.world.workers[number]
        if isinstance(message, control.Leaving):
            worker.accepting = False
            worker.leaving = True
        self.world.say(worker, message)

    @rule(name=st.sampled_from(["HUP", "HUP", "USR1", "USR2", "WINCH", "TTIN", "TTOU"]))
    @precondition(lambda self: self.alive())
    def a_signal(self, name: str) -> None:
        self.world.signal(name)

    @rule(name=st.sampled_from(["TERM", "QUIT", "INT"]), really=st.integers(0, 4))
    @precondition(lambda self: self.alive())
    def told_to_end(self, name: str, really: int) -> None:
        if not really:
            self.world.signal(name)

    @rule()
    @precondition(lambda self: not self.alive())
    def nothing_comes_after_the_end(self) -> None:
        assert self.world.signal("HUP") == []

    @rule(verb=st.sampled_from(["reload", "upgrade", "pause", "resume"]), short=st.booleans())
    @precondition(lambda self: self.alive())
    def a_command(self, verb: str, short: bool) -> None:
        self.client += 1
        self.asked.add(self.client)
        self.world.command(self.client, verb, no_probation=short)

    @rule(workers=st.integers(1, 5), good=st.booleans())
    @precondition(lambda self: self.alive() and self.world.check is not None)
    def the_checker_answers(self, workers: int, good: bool) -> None:
        self.world.checked(plan(worker_count=workers) if good else None, "line 3: no")

    @rule(error=st.sampled_from(["", "", "port taken"]))
    @precondition(lambda self: self.alive() and self.world.bind is not None)
    def the_sockets_are_bound(self, error: str) -> None:
        self.world.bound(error)

    @rule(
        name=st.sampled_from(
            ["HELLO", "RECEIVED", "READY", "ACCEPTING", "PONG", "OWNED", "PROGRESS", "ABORT"]
        )
    )
    @precondition(lambda self: self.alive() and self.world.peer)
    def the_successor_says(self, name: str) -> None:
        self.world.feed(events.PeerSaid(name, {"pid": 7}))

    @rule()
    @precondition(lambda self: self.alive() and self.world.peer)
    def the_successor_dies(self) -> None:
        self.world.peer = False
        self.world.feed(events.PeerGone("died", died=True))

    @rule(
        name=st.sampled_from(
            ["COMMIT", "COMMIT", "PING", "OWNER", "DRAINING", "RELOAD", "REOPEN", "ABORT", "STOP"]
        )
    )
    @precondition(lambda self: self.alive() and self.elder)
    def the_old_master_says(self, name: str) -> None:
        before = self.world.supervisor.takeover
        self.world.feed(events.PeerSaid(name, {}, elder=True))
        if name == "OWNER" and before and self.world.supervisor.takeover is None:
            self.world.peer = False  # it only drains: a successor of our own may come

    @rule()
    @precondition(lambda self: self.alive() and self.elder)
    def the_old_master_dies(self) -> None:
        self.elder = self.world.peer = False
        self.world.feed(events.PeerGone("closed", elder=True))

    @rule()
    @precondition(lambda self: self.alive() and not self.world.peer)
    def somebody_asks_to_take_over(self) -> None:
        self.world.peer = True
        self.world.feed(events.PeerAsked(9, 0))

    @rule(seconds=st.sampled_from([0.05, 1.0, 6.0, 11.0, 61.0]))
    @precondition(lambda self: self.alive())
    def time_passes(self, seconds: float) -> None:
        # Who leaves an order undone for longer than the master's patience is as good as frozen.
        self.faults += seconds > ACCEPTING_SECONDS and any(
            worker.inbox for worker in self.world.workers.values()
        )
        self.world.wait(seconds)

    @invariant()
    def somebody_accepts_or_is_about_to(self) -> None:
        supervisor = self.world.supervisor
        serving = (Phase.RUNNING, Phase.RELOADING, Phase.UPGRADING)
        if supervisor.phase not in serving:
            return
        crews = [c for c in supervisor.crews.values() if c.mode is Mode.SERVING]
        assert crews, repr(supervisor)
        hopeful = [c for c in crews if c.vacancies.until or any(True for _ in c.serving_workers())]
        assert hopeful, repr(supervisor)
        if not self.faults:
            assert any(w.accepting for c in crews for w in c.serving_workers()), repr(supervisor)
            assert self.world.accepting() or any(
                {"Go", "Resume"} & set(w.inbox) for w in self.world.workers.values()
            )

    @invariant()
    def every_queue_has_a_reader(self) -> None:
        for crew in self.world.supervisor.crews.values():
            accepting = [w for w in crew.serving_workers() if w.accepting]
            if crew.mode is Mode.SERVING and accepting:
                held = set().union(*(w.holds for w in accepting))
                assert held >= set(range(crew.listener_slots)), (repr(crew), held)

    @invariant()
    def nothing_is_accepted_before_the_old_master_commits_or_is_gone(self) -> None:
        takeover = self.world.supervisor.takeover
        if takeover and takeover.stage in (Stage.BUILDING, Stage.WAIT_COMMIT):
            assert not self.world.accepting()

    @invariant()
    def an_owner_is_no_newcomer_and_a_newcomer_names_itself_nowhere(self) -> None:
        takeover = self.world.supervisor.takeover
        if takeover and not takeover.orphaned:
            assert actions.WritePidFile() not in self.world.done
            assert actions.OpenControl() not in self.world.done

    @invariant()
    def at_most_one_upgrade(self) -> None:
        assert self.world.peers_at_once <= 1

    @invariant()
    def nobody_is_forgotten(self) -> None:
        known = {n for c in self.world.supervisor.crews.values() for n in c.workers}
        if self.alive():
            assert known == set(self.world.workers)
        else:
            assert not self.world.workers

    @invariant()
    def nobody_is_answered_twice(self) -> None:
        assert self.world.double_replies == 0

    def teardown(self) -> None:
        """Whatever has happened, TERM ends it in bounded time, and everybody gets an answer."""
        if self.world.supervisor.active is None:
            return
        if self.world.exit is None:
            self.world.signal("TERM")
        for _ in range(60):
            self.world.settle()
            if self.world.exit is not None:
                break
            if self.world.supervisor.phase is not Phase.STOPPING:
                self.world.signal("TERM")
            self.world.wait(5)
        assert self.world.exit is not None, self.world.supervisor
        assert set(self.world.replies) >= self.asked
        assert not self.world.workers


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestSupervisorMachine = Machine.TestCase
