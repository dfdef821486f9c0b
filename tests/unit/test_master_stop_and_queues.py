"""Stops, pauses, and who reads which queue: the supervisor's decisions, no clock, no process, no socket."""

from __future__ import annotations

from dataclasses import replace

from master_world import PLAN, World, plan, running

from master import actions
from master.supervisor import Phase
from pingpy import control


def test_term_drains_and_exits_0_and_a_second_one_hurries():
    world = running()
    world.signal("TERM")
    drains = [a.message for a in world.done if isinstance(a, actions.Tell)]
    assert control.Drain("stop", 30, 30, 5) in drains
    world.signal("TERM")
    drains = [a.message for a in world.done if isinstance(a, actions.Tell)]
    assert control.Drain("stop", 2.0, 2.0, 2.0) in drains
    world.settle()
    assert world.exit is not None
    assert world.exit.code == 0


def test_int_cuts_after_two_seconds_and_a_second_one_kills():
    world = running()
    world.signal("INT")
    for worker in world.of(1):
        worker.inbox.clear()
    world.wait(2.1)
    assert all(w.inbox == ["Stop"] for w in world.of(1))
    world.signal("INT")
    assert {a.signal for a in world.done if isinstance(a, actions.Kill)} == {"KILL"}


def test_ttin_and_ttou_change_the_number_of_workers_and_no_queue_loses_its_reader():
    world = running()
    world.signal("TTIN")
    world.settle()
    assert sorted(map(sorted, (w.holds for w in world.of(1)))) == [[0], [1], [2]]
    for _ in range(5):
        world.signal("TTOU")
        world.settle()
    assert [w.holds for w in world.of(1)] == [{0, 1, 2}]


def test_pause_drains_and_hup_starts_again():
    world = running()
    world.signal("WINCH")
    world.settle()
    assert world.accepting() == set()
    assert world.supervisor.phase is Phase.PAUSED
    world.command(1, "resume")
    world.settle()
    assert world.accepting() == {1}
    assert world.replies[1].code == 0


def test_queues_made_for_a_refused_generation_are_read_by_the_old_one():
    world = running()
    world.signal("HUP")
    world.checked(plan(worker_count=4, min_workers=4))
    world.bound()
    for worker in world.of(1) + world.of(2):
        assert worker.holds <= {0, 1}, "they do not listen yet"
        while "Go" not in worker.inbox and world.step(worker):
            pass
    world.die(world.of(2)[3])
    assert world.logged("refused, generation 1 keeps serving")
    assert sorted(map(sorted, (w.holds for w in world.of(1)))) == [[0, 2], [1, 3]]


def test_queues_made_for_a_generation_that_is_rolled_back_are_read_by_the_old_one():
    world = running()
    world.signal("HUP")
    world.checked(plan(worker_count=4, min_workers=4))
    world.bound()
    world.settle()
    for _ in range(2):
        for slot in (0, 1):
            world.die(next(w for w in world.of(2) if w.slot == slot))
        world.settle()
    assert world.logged("rolled back to generation 1")
    assert sorted(map(sorted, (w.holds for w in world.of(1)))) == [[0, 2], [1, 3]]


def test_a_reload_refused_before_go_leaves_the_old_generation_its_own_queues():
    world = running()
    world.signal("HUP")
    world.checked(plan(worker_count=4, min_workers=4))
    world.bound()
    world.die(world.of(2)[0])
    world.settle()
    assert world.supervisor.crews[1].listener_slots == 2
    world.die(world.of(1)[0])
    assert [sorted(w.holds) for w in world.of(1) if w.accepting] == [[0, 1]]


def test_a_pause_may_last_longer_than_any_drain():
    world = running()
    world.signal("WINCH")
    world.settle()
    world.wait(700)
    assert not any(isinstance(a, actions.Kill) for a in world.done)
    world.command(1, "resume")
    world.settle()
    assert world.accepting() == {1}


def test_a_graceful_stop_first_goes_on_accepting_for_its_delay():
    world = running(drain=replace(PLAN.drain, pre_stop_seconds=7))
    world.signal("TERM")
    drains = [a.message for a in world.done if isinstance(a, actions.Tell)]
    assert control.Drain("stop", 37, 37, 5, 7) in drains
    world.wait(6.9)
    assert not world.did(actions.CloseListeners)
    assert not world.did(actions.Relinquish)
    world.wait(0.2)
    assert world.did(actions.CloseListeners)
    assert world.did(actions.Relinquish)
    world.signal("TERM")
    assert control.Drain("stop", 2, 2, 2) in [
        a.message for a in world.done if isinstance(a, actions.Tell)
    ]
    world.settle()
    assert world.exit is not None


def test_without_a_delay_a_stop_gives_the_listeners_up_at_once():
    world = running()
    world.signal("TERM")
    assert world.did(actions.CloseListeners)
    assert world.did(actions.Relinquish)


def test_a_worker_that_was_asked_for_its_stack_is_killed_whatever_it_says_then():
    world = World().begin()
    late = world.of(1)[0]
    world.step(late)
    late.frozen = True
    world.wait(61)
    assert actions.Kill(late.id, "ABRT") in world.done
    world.say(late, control.Ready())
    world.wait(6)
    assert actions.Kill(late.id, "KILL") in world.done


def test_a_worker_that_was_stopped_is_killed_even_if_it_says_that_it_leaves():
    world = running()
    world.signal("INT")
    late = world.of(1)[0]
    late.inbox.clear()
    world.wait(2.1)
    assert late.inbox == ["Stop"]
    late.frozen = True
    world.say(late, control.Leaving("SIGTERM"))
    world.wait(3)
    assert actions.Kill(late.id, "KILL") in world.done


def test_a_worker_that_is_not_ready_yet_is_killed_when_one_fewer_is_wanted():
    world = running()
    world.signal("TTIN")
    (third,) = [worker for worker in world.of(1) if worker.slot == 2]
    world.signal("TTOU")
    assert third.killed
    world.settle()
    assert sorted(worker.slot for worker in world.of(1)) == [0, 1]


def test_paths_of_unix_sockets_are_removed_by_who_stops_the_service_and_by_nobody_else():
    world = running()
    world.signal("TERM")
    assert world.did(actions.CloseListeners) == [actions.CloseListeners(unlink=True)]
    world = World().begin(taking_over=True)
    world.settle()
    world.signal("TERM")
    assert world.did(actions.CloseListeners) == [actions.CloseListeners(unlink=False)]
