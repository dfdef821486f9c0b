"""The supervisor's decisions, one story per test: no clock, no process, no socket."""

from __future__ import annotations

from master_world import World, running

from master import actions
from master.supervisor import Phase
from pingpy import control


def reloading(world: World) -> World:
    """Up to probation."""
    world.signal("HUP")
    world.settle()
    return world


def test_workers_accept_only_after_all_are_ready_or_lost():
    world = World().begin()
    first, second = world.workers.values()
    while world.step(first):
        pass
    assert "Go" not in first.inbox
    assert not first.accepting
    world.settle()
    assert first.accepting
    assert second.accepting
    assert world.did(actions.WritePidFile)
    assert world.did(actions.Announce)


def test_the_first_generation_without_one_ready_worker_ends_the_master_with_3():
    world = World().begin()
    while world.exit is None and world.now < 300:
        for worker in list(world.workers.values()):
            world.die(worker)
        world.wait(1)
    assert world.exit is not None
    assert world.exit.code == 3


def test_at_boot_one_of_two_workers_is_enough_and_reads_both_queues():
    world = World().begin()
    for _ in range(2):
        world.die(next(w for w in world.workers.values() if w.slot == 1))
    world.settle()
    assert [w.holds for w in world.of(1) if w.slot == 0] == [{0, 1}]
    world.wait(1)
    world.settle()
    assert sorted(map(sorted, (w.holds for w in world.of(1)))) == [[0], [1]]


def test_a_dead_workers_queue_is_read_by_its_sibling_until_the_replacement_accepts():
    world = running()
    victim = world.of(1)[0]
    world.die(victim, "killed by SIGKILL")
    sibling = next(w for w in world.of(1) if w.slot == 1)
    assert sibling.holds == {0, 1}
    world.settle()
    assert sibling.holds == {1}


def test_a_crash_loop_backs_off_up_to_30_seconds_and_starts_over_after_health():
    world = running()
    waits = []
    for _ in range(12):
        slot0 = next(w for w in world.of(1) if w.slot == 0)
        died_at = world.now
        world.die(slot0)
        while not any(w.slot == 0 for w in world.of(1)):
            world.wait(0.02)
        waits.append(world.now - died_at)
        world.settle()
    assert waits[0] < 0.03
    assert 0.07 < waits[1] < 0.13
    assert 20 < waits[-1] <= 31
    world.wait(61)
    world.die(next(w for w in world.of(1) if w.slot == 0))
    assert any(w.slot == 0 for w in world.of(1))


def test_a_silent_worker_is_asked_for_its_stack_and_then_killed_and_its_queue_is_read_meanwhile():
    world = running()
    wedged = world.of(1)[0]
    wedged.frozen = True
    world.wait(32)
    assert actions.Kill(wedged.id, "ABRT") in world.done
    assert world.of(1)[1].holds == {0, 1}
    world.wait(6)
    assert actions.Kill(wedged.id, "KILL") in world.done
    world.settle()
    assert len([w for w in world.of(1) if w.accepting]) == 2


def test_a_reload_drains_the_old_generation_only_when_the_new_one_accepts():
    world = running()
    world.signal("HUP")
    world.checked()
    world.bound()
    new = world.of(2)
    for worker in new:
        world.step(worker)
        world.step(worker)
    assert all("Go" in w.inbox for w in new)
    assert not any("Drain" in w.inbox for w in world.of(1))
    world.step(new[0])
    assert not any("Drain" in w.inbox for w in world.of(1))
    world.step(new[1])
    assert all("Drain" in w.inbox for w in world.of(1))
    world.settle()
    world.wait(9.9)
    assert len(world.of(1)) == 2
    world.wait(0.2)
    world.settle()
    assert world.of(1) == []
    assert world.accepting() == {2}


def test_a_refused_file_changes_nothing_and_the_caller_gets_4_and_the_complaint():
    world = running()
    pids = {w.id for w in world.of(1)}
    world.command(1, "reload")
    world.checked(None, 'config.toml:3:1: unknown key "lisen"')
    assert world.replies[1].code == 4
    assert "lisen" in world.replies[1].text
    assert {w.id for w in world.of(1)} == pids
    assert world.accepting() == {1}


def test_a_taken_port_refuses_the_reload():
    world = running()
    world.command(1, "reload")
    world.checked()
    world.bound("cannot listen on 127.0.0.1:1")
    assert world.replies[1].code == 4
    assert world.did(actions.Discard)


def test_one_death_before_ready_refuses_the_reload_with_the_workers_own_words():
    world = running()
    world.command(1, "reload")
    world.checked()
    world.bound()
    bad = world.of(2)[1]
    world.step(bad)
    world.say(bad, control.Fatal("ImportError: no module named teapot"))
    world.die(bad)
    assert world.replies[1].code == 4
    assert "teapot" in world.replies[1].text
    world.settle()
    assert world.of(2) == []
    assert world.accepting() == {1}


def test_a_worker_that_hangs_before_ready_refuses_the_reload_in_time():
    world = running()
    world.command(1, "reload")
    world.checked()
    world.bound()
    world.step(world.of(2)[0])
    world.step(world.of(2)[1])
    world.of(2)[0].frozen = True
    world.wait(61)
    assert world.replies[1].code == 4
    world.wait(10)
    world.settle()
    assert world.of(2) == []


def test_progress_extends_the_time_to_become_ready_but_not_for_ever():
    world = running()
    world.command(1, "reload")
    world.checked()
    world.bound()
    busy, other = world.of(2)
    world.step(busy)
    world.step(other)
    world.step(other)
    for _ in range(4):
        world.wait(50)
        world.say(busy, control.Progress("loading"))
    assert 1 not in world.replies
    for _ in range(4):
        world.wait(50)
        if busy.id in world.workers:
            world.say(busy, control.Progress("loading"))
    assert world.replies[1].code == 4


def test_on_probation_half_of_the_workers_dead_twice_roll_back_and_the_old_ones_resume():
    world = reloading(running())
    assert world.accepting() == {2}
    for _ in range(2):
        world.die(next(w for w in world.of(2) if w.slot == 0))
        world.settle()
    assert world.accepting() == {1}
    assert world.logged("rolled back to generation 1")
    world.wait(3)
    world.settle()
    assert world.of(2) == []


def test_on_probation_no_accepting_worker_rolls_back_at_once():
    world = reloading(running(worker_count=1))
    world.signal("HUP")
    world.settle()
    for worker in world.of(3):
        world.die(worker)
    world.settle()
    assert world.accepting() == {2}


def test_old_workers_that_died_on_probation_are_replaced_when_they_are_needed_again():
    world = reloading(running())
    for worker in world.of(1):
        world.die(worker)
    for worker in world.of(2):
        world.die(worker)
    world.settle()
    assert world.accepting() == {1}
    assert len(world.of(1)) == 2


def test_hups_before_accepting_become_one_more_reload_and_all_callers_get_its_verdict():
    world = running()
    for client in range(1, 51):
        world.command(client, "reload")
    assert len(world.did(actions.Check)) == 1
    world.settle()
    world.settle()
    world.wait(11)
    world.settle()
    world.wait(11)
    assert len(world.did(actions.Check)) == 2
    assert len(world.replies) == 50
    assert all(r.code == 0 for r in world.replies.values())


def test_a_hup_on_probation_commits_and_starts_the_next_reload_at_once():
    world = reloading(running())
    checks = len(world.did(actions.Check))
    world.signal("HUP")
    assert actions.Commit(2) in world.done
    assert len(world.did(actions.Check)) == checks + 1


def test_no_probation_returns_when_the_new_generation_accepts():
    world = running()
    world.command(1, "reload", no_probation=True)
    world.settle()
    assert world.replies[1].code == 0
    assert world.supervisor.phase is Phase.RELOADING


def test_too_many_draining_generations_lose_their_oldest_tunnels_not_their_requests():
    world = running()
    for generation in range(2, 7):
        world.signal("HUP")
        world.checked()
        world.bound()
        world.settle_only(generation)
        world.wait(11)
    drains = [
        a.message
        for a in world.done
        if isinstance(a, actions.Tell) and isinstance(a.message, control.Drain)
    ]
    polite = [d for d in drains if d.tunnel_deadline_seconds == 5]
    assert polite
    assert all(d.deadline_seconds > 5 for d in polite)


def test_a_draining_worker_that_ignores_its_deadline_is_dumped_and_killed():
    world = running()
    world.signal("HUP")
    stubborn = world.of(1)[0]
    world.checked()
    world.bound()
    world.settle_only(2)
    world.wait(620)
    assert actions.Kill(stubborn.id, "ABRT") in world.done
    assert actions.Kill(stubborn.id, "KILL") in world.done


def test_a_worker_that_leaves_by_itself_is_replaced_at_once():
    world = running()
    leaving = world.of(1)[0]
    world.say(leaving, control.Leaving("SIGTERM"))
    assert len(world.of(1)) == 3
    leaving.accepting = False
    world.settle()
    world.die(leaving, "exit code 0")
    assert len([w for w in world.of(1) if w.accepting]) == 2
    assert not world.supervisor.crews[1].deaths


def test_a_worker_that_breaks_the_protocol_is_killed():
    world = running()
    world.say(world.of(1)[0], control.Ready())
    assert actions.Kill(1, "KILL") in world.done


def test_a_draining_worker_has_the_time_of_its_tunnels_before_anybody_ends_it():
    world = running()
    world.signal("HUP")
    world.checked()
    world.bound()
    world.settle_only(2)
    world.wait(601)
    assert not world.did(actions.Kill)


def test_of_four_draining_generations_the_oldest_alone_is_asked_to_hurry():
    world = running()
    for generation in range(2, 6):
        world.signal("HUP")
        world.checked()
        world.bound()
        world.settle_only(generation)
        world.wait(11)
    assert [crew.polite for crew in world.supervisor.crews.values()] == [True] + 4 * [False]


def test_a_stop_while_the_first_workers_start_is_no_failed_start():
    world = World().begin()
    world.signal("TERM")
    world.settle()
    assert world.exit is not None
    assert world.exit.code == 0
    assert not world.logged("no worker became ready")
