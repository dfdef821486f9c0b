"""A worker's life as events and actions."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pingpy.control import Drain
from worker.lifecycle import (
    EndRequests,
    EndTunnels,
    Exit,
    GiveUpListeners,
    Lifecycle,
    Load,
    Note,
    SayDrained,
    SayLeaving,
    SayReady,
    StartAccepting,
    State,
    StopAccepting,
)

OWN = Drain("signal", 60, 600, 5)
RELOAD = Drain("reload", 60, 600, 5)
EMPTY = Load(0, 0, 0)


def born():
    return Lifecycle(OWN, orphan_seconds=30)


def accepting():
    life = born()
    for part in ("listeners", "logs", "tables", "addresses"):
        life.have(part)
    assert life.go() == [StartAccepting(resumed=False)]
    return life


def test_ready_is_said_once_when_the_last_part_is_there():
    life = born()
    assert life.have("logs") == []
    assert life.have("addresses") == []
    assert life.have("listeners") == []
    assert repr(life) == "<Lifecycle booting waiting for tables>"
    assert not life.serves
    assert life.have("tables") == [SayReady()]
    assert life.have("addresses") == []
    assert not life.serves
    assert life.go() == [StartAccepting(resumed=False)]
    assert life.serves


def test_go_counts_only_when_ready():
    life = born()
    assert life.go() == [Note("GO while booting: ignored")]
    assert life.state is State.BOOTING


def test_a_drain_stops_accepting_at_once_and_ends_in_drained_not_in_exit():
    life = accepting()
    assert life.drain(RELOAD, 0.0) == [StopAccepting(5)]
    assert life.serves  # a reload is not a stop
    assert life.tick(1.0, Load(2, 1, 0)) == []
    assert life.tick(2.0, EMPTY) == [SayDrained()]
    assert life.tick(3.0, EMPTY) == []
    assert life.stop(EMPTY) == [Exit(0)]
    assert life.stop(EMPTY) == []


def test_resume_takes_a_drain_back_even_after_drained():
    life = accepting()
    life.drain(RELOAD, 0.0)
    life.tick(1.0, EMPTY)
    assert life.resume() == [StartAccepting(resumed=True)]
    assert life.resume() == []
    assert life.tick(100.0, Load(3, 3, 3)) == []
    assert life.drain(RELOAD, 200.0) == [StopAccepting(5)]
    assert life.tick(201.0, EMPTY) == [SayDrained()]


def test_a_stop_may_accept_a_little_longer_but_says_so_at_once():
    life = accepting()
    assert life.drain(Drain("stop", 30, 30, 5, accept_seconds=3), 0.0) == []
    assert not life.serves
    assert life.tick(2.9, EMPTY) == []
    assert life.tick(3.0, EMPTY) == [StopAccepting(5)]
    assert life.tick(3.1, EMPTY) == [SayDrained()]


@pytest.mark.parametrize("reason", ["stop", "pause", "signal", "orphan"])
def test_the_readiness_answer_turns_with_what_is_no_reload(reason):
    life = accepting()
    life.drain(Drain(reason, 30, 30, 5), 0.0)
    assert not life.serves


def test_nothing_is_seen_of_an_upgrade_at_readyz():
    life = accepting()
    life.drain(Drain("upgrade", 60, 600, 5), 0.0)
    assert life.serves


def test_requests_are_cut_at_their_deadline_and_tunnels_stay():
    life = accepting()
    life.drain(RELOAD, 0.0)
    assert life.tick(59.9, Load(3, 1, 2)) == []
    assert life.tick(60.0, Load(3, 1, 2)) == [
        Note("drain deadline: 1 requests are cut"),
        EndRequests(),
    ]
    assert life.tick(61.0, Load(2, 0, 2)) == []


def test_whatever_is_there_at_the_deadline_is_looked_through_for_requests_once():
    life = accepting()
    life.drain(RELOAD, 0.0)
    assert life.tick(60.0, Load(3, 0, 3)) == [EndRequests()]
    assert life.tick(60.1, Load(3, 0, 3)) == []


def test_tunnels_are_ended_over_the_last_fifth_of_their_time():
    life = accepting()
    life.drain(Drain("reload", 10, 100, 5), 0.0)
    tunnels, gone_at = 40, []
    now = 0.0
    while now <= 100.0:
        for action in life.tick(now, Load(tunnels, 0, tunnels)):
            if isinstance(action, EndTunnels):
                tunnels -= action.count
                gone_at.append((now, action.count))
        now += 0.5
    assert tunnels == 0
    assert gone_at[0][0] > 80.0
    assert max(count for _, count in gone_at) <= 2
    assert sum(count for _, count in gone_at) == 40


def test_a_second_drain_replaces_the_limits():
    life = accepting()
    life.drain(RELOAD, 0.0)
    assert life.drain(Drain("stop", 2, 2, 1), 50.0) == []
    assert not life.serves
    assert life.tick(51.0, Load(1, 1, 0)) == []
    assert EndRequests() in life.tick(52.0, Load(1, 1, 0))


def test_a_signal_drains_and_exits_by_itself():
    life = accepting()
    assert life.leave("SIGTERM", 0.0) == [SayLeaving("SIGTERM"), StopAccepting(5)]
    assert not life.serves
    assert life.leave("SIGTERM", 1.0) == []
    assert life.resume() == []
    assert life.drain(RELOAD, 2.0) == []
    assert life.tick(3.0, Load(1, 1, 0)) == []
    assert life.tick(4.0, EMPTY) == [Exit(0)]


def test_a_signal_to_a_draining_worker_lets_it_exit_when_done():
    life = accepting()
    life.drain(RELOAD, 0.0)
    assert life.leave("SIGTERM", 1.0) == [SayLeaving("SIGTERM")]
    assert life.tick(2.0, EMPTY) == [Exit(0)]


def test_an_orphan_drains_for_its_time_and_exits_with_whatever_is_left():
    life = accepting()
    actions = life.master_gone(0.0)
    assert actions == [
        Note("the master is gone: draining for at most 30 s"),
        GiveUpListeners(),
        StopAccepting(5),
    ]
    assert life.tick(29.0, Load(2, 1, 1)) == []
    assert life.tick(30.0, Load(2, 1, 1))[-1] == Exit(2)


def test_an_orphan_of_a_short_time_closes_what_is_idle_within_half_of_it():
    life = Lifecycle(OWN, orphan_seconds=6)
    for part in ("listeners", "logs", "tables", "addresses"):
        life.have(part)
    life.go()
    assert StopAccepting(3) in life.master_gone(0.0)


@pytest.mark.parametrize("parts", [(), ("listeners", "logs", "tables", "addresses")])
def test_before_go_every_end_is_an_exit_at_once(parts):
    for event in (
        lambda life: life.drain(RELOAD, 0.0),
        lambda life: life.leave("SIGTERM", 0.0),
        lambda life: life.master_gone(0.0),
        lambda life: life.stop(EMPTY),
    ):
        life = born()
        for part in parts:
            life.have(part)
        assert event(life)[-1] == Exit(0)
        assert life.state is State.GONE


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: one exit, one READY, no accepting after an exit, drained only when empty."""

    def __init__(self):
        super().__init__()
        self.life = born()
        self.now = 0.0
        self.load = EMPTY
        self.seen = []
        self.accepts = False

    def act(self, actions):
        for action in actions:
            assert Exit not in [type(one) for one in self.seen]
            if isinstance(action, SayReady):
                assert action not in self.seen
            if isinstance(action, StartAccepting):
                assert not self.accepts or action.resumed
                self.accepts = True
            if isinstance(action, StopAccepting):
                assert self.accepts
                self.accepts = False
            if isinstance(action, SayDrained):
                assert self.load.connections == 0
                assert not self.accepts
            if isinstance(action, EndTunnels):
                assert 0 < action.count <= self.load.tunnels
            self.seen.append(action)

    @rule(part=st.sampled_from(["listeners", "logs", "tables", "addresses"]))
    def have(self, part):
        self.act(self.life.have(part))

    @rule()
    def go(self):
        self.act(self.life.go())

    @rule(reason=st.sampled_from(["reload", "stop"]), accept=st.sampled_from([0, 2]))
    def drain(self, reason, accept):
        self.act(self.life.drain(Drain(reason, 20, 50, 5, accept), self.now))

    @rule()
    def resume(self):
        self.act(self.life.resume())

    @rule()
    def leave(self):
        self.act(self.life.leave("SIGTERM", self.now))

    @rule()
    def master_gone(self):
        self.act(self.life.master_gone(self.now))

    @rule()
    def stop(self):
        self.act(self.life.stop(self.load))

    @rule(
        seconds=st.floats(0, 70),
        requests=st.integers(0, 3),
        tunnels=st.integers(0, 5),
        idle=st.integers(0, 3),
    )
    def tick(self, seconds, requests, tunnels, idle):
        self.now += seconds
        self.load = Load(requests + tunnels + idle, requests, tunnels)
        self.act(self.life.tick(self.now, self.load))

    @invariant()
    def an_exited_worker_is_gone(self):
        exited = any(isinstance(action, Exit) for action in self.seen)
        assert exited == (self.life.state is State.GONE)


TestAnyOrder = AnyOrder.TestCase
