"""What the old and the new master decide during an upgrade: no clock, no process, no socket."""

from __future__ import annotations

from master_world import World, plan, running

from master import actions, events
from master.supervisor import Phase
from pingpy import control


def upgrading(world: World) -> World:
    world.command(1, "upgrade")
    for name in ("HELLO", "RECEIVED", "READY"):
        world.feed(events.PeerSaid(name, {"pid": 77}))
    return world


def test_an_upgrade_commits_drains_and_gives_ownership_away_at_the_end_of_probation():
    world = upgrading(running())
    assert any(isinstance(a, actions.TellPeer) and a.name == "COMMIT" for a in world.done)
    assert world.accepting() == {1}
    world.feed(events.PeerSaid("ACCEPTING"))
    world.settle()
    assert world.accepting() == set()
    assert world.supervisor.phase is Phase.PARENT_PROBATION
    world.wait(10.1)
    assert told(world)[-1] == "PING"
    world.feed(events.PeerSaid("PONG"))
    order = [(type(a).__name__, getattr(a, "what", getattr(a, "name", ""))) for a in world.done]
    assert order.index(("Announce", "mainpid")) < order.index(("TellPeer", "OWNER"))
    world.feed(events.PeerSaid("OWNED"))
    world.settle()
    assert world.replies[1].code == 0
    assert world.exit is not None
    assert world.exit.code == 0
    assert ("Announce", "stopping") not in order


def test_a_successor_that_dies_on_probation_is_undone():
    world = upgrading(running())
    world.feed(events.PeerSaid("ACCEPTING"))
    world.settle()
    world.feed(events.PeerGone("the new master died (killed by SIGKILL)", died=True))
    world.settle()
    assert world.accepting() == {1}
    assert world.replies[1].code == 4
    assert "SIGKILL" in world.replies[1].text


def test_a_successor_that_never_speaks_is_undone_in_ten_seconds():
    world = running()
    world.command(1, "upgrade")
    world.wait(10.1)
    assert world.replies[1].code == 4
    assert world.accepting() == {1}
    assert actions.DropPeer(kill=True) in world.done


def test_a_second_upgrade_is_refused_and_a_hup_waits_for_the_outcome():
    world = running()
    world.command(1, "upgrade")
    world.command(2, "upgrade")
    world.command(3, "reload")
    assert world.replies[2].code == 4
    assert 3 not in world.replies
    world.feed(events.PeerGone("died", died=True))
    assert world.check is not None
    world.settle()
    world.wait(10.1)
    assert world.replies[3].code == 0


def test_a_hup_in_parent_probation_is_refused_with_the_reason():
    world = upgrading(running())
    world.feed(events.PeerSaid("ACCEPTING"))
    world.command(2, "reload")
    assert world.replies[2].code == 4
    assert "probation" in world.replies[2].text


def test_term_before_the_commit_ends_the_upgrade_and_the_service():
    world = running()
    world.command(1, "upgrade")
    world.signal("TERM")
    world.settle()
    assert world.replies[1].code == 4
    assert world.exit is not None
    assert world.exit.code == 0


def test_term_in_parent_probation_stops_both_masters():
    world = upgrading(running())
    world.feed(events.PeerSaid("ACCEPTING"))
    world.signal("TERM")
    assert actions.TellPeer("STOP") in world.done
    assert actions.DropPeer(kill=True) not in world.done


def taking_over() -> World:
    world = World().begin(taking_over=True)
    world.settle()
    return world


def told(world: World) -> list[str]:
    return [a.name for a in world.done if isinstance(a, actions.TellPeer)]


def test_the_new_master_says_ready_waits_for_commit_and_owns_when_told():
    world = taking_over()
    assert told(world)[-1] == "READY"
    assert world.accepting() == set()
    world.feed(events.PeerSaid("COMMIT", elder=True))
    world.settle()
    assert told(world)[-1] == "ACCEPTING"
    assert world.accepting() == {1}
    assert actions.WritePidFile() not in world.done
    world.feed(events.PeerSaid("OWNER", elder=True))
    assert told(world)[-1] == "OWNED"
    assert actions.WritePidFile() in world.done
    assert world.supervisor.phase is Phase.RUNNING


def test_the_new_master_completes_alone_when_the_old_one_dies_after_the_hand_over():
    for moment in ("before ready", "before commit", "on probation"):
        world = World().begin(taking_over=True)
        if moment != "before ready":
            world.settle()
        if moment == "on probation":
            world.feed(events.PeerSaid("COMMIT", elder=True))
            world.settle()
        world.feed(events.PeerGone("closed", elder=True))
        world.settle()
        assert world.accepting() == {1}, moment
        assert world.supervisor.phase is Phase.RUNNING, moment
        assert actions.WritePidFile() in world.done


def test_the_new_master_backs_out_with_4_when_a_worker_fails_or_it_is_told_to_stop():
    world = World().begin(taking_over=True)
    world.die(world.of(1)[0])
    world.settle()
    assert told(world)[-1] == "ABORT"
    assert world.exit is not None
    assert world.exit.code == 4
    world = taking_over()
    world.signal("TERM")
    world.settle()
    assert told(world)[-1] == "ABORT"
    assert world.exit is not None
    assert world.exit.code == 4


def test_term_in_parent_probation_answers_who_waits_for_the_upgrade():
    world = upgrading(running())
    world.feed(events.PeerSaid("ACCEPTING"))
    world.signal("TERM")
    assert world.replies[1].code == 4
    assert "stops" in world.replies[1].text


def test_a_reload_that_waited_for_a_successful_upgrade_is_the_new_masters():
    world = running()
    world.command(1, "upgrade")
    world.command(2, "reload")
    upgraded(world)
    assert world.replies[2].fields == {"moved": True}
    assert "RELOAD" not in told(world)

    world = running()
    world.command(1, "upgrade")
    world.signal("HUP")
    upgraded(world)
    assert told(world).count("RELOAD") == 1


def upgraded(world: World) -> None:
    """All that a successor says, to the end of probation."""
    for name in ("HELLO", "RECEIVED", "READY", "ACCEPTING"):
        world.feed(events.PeerSaid(name, {"pid": 7}))
    world.wait(10.1)
    world.feed(events.PeerSaid("PONG"))
    world.feed(events.PeerSaid("OWNED"))


def test_what_the_old_master_passes_on_is_done_by_the_new_one():
    world = taking_over()
    world.feed(events.PeerSaid("COMMIT", elder=True))
    world.settle()
    world.feed(events.PeerSaid("OWNER", elder=True))
    world.feed(events.PeerSaid("RELOAD", elder=True))
    assert world.check is not None
    world.feed(events.PeerSaid("REOPEN", elder=True))
    assert actions.ReopenLogs("elder") in world.done


def test_what_a_superseded_master_still_drains_is_known_until_it_is_gone():
    world = taking_over()
    world.feed(events.PeerSaid("COMMIT", elder=True))
    world.settle()
    world.feed(events.PeerSaid("OWNER", elder=True))
    world.feed(events.PeerSaid("DRAINING", {"pid": 5, "connections": 2}, elder=True))
    assert world.supervisor.superseded == {"pid": 5, "connections": 2}
    world.feed(events.PeerGone("closed", elder=True))
    assert world.supervisor.superseded == {}


def test_quit_completes_a_takeover_that_a_newcomer_asked_for_and_stops_otherwise():
    world = running()
    world.feed(events.PeerAsked(9, 0))
    world.signal("QUIT")
    assert world.supervisor.phase is Phase.UPGRADING
    world = running()
    world.command(1, "upgrade")
    world.signal("QUIT")
    assert world.supervisor.phase is Phase.STOPPING


def test_the_pid_file_is_replaced_and_never_missing_at_the_flip():
    world = upgrading(running())
    world.feed(events.PeerSaid("ACCEPTING"))
    world.wait(10.1)
    world.feed(events.PeerSaid("UNKNOWN", {"name": "PING"}))  # an older version is alive, too
    assert actions.TellPeer("OWNER", {}) in world.done
    assert not any(isinstance(a, actions.RemovePidFile) for a in world.done)


def test_a_failed_upgrade_removes_the_candidates_pid_file():
    world = upgrading(running())
    world.feed(events.PeerSaid("ACCEPTING"))
    world.feed(events.PeerGone("died", died=True))
    assert actions.RemovePidFile(".new", 77) in world.done


def test_a_new_master_left_alone_while_it_builds_makes_do_with_one_worker():
    world = World().begin(taking_over=True)
    world.feed(events.PeerGone("closed", elder=True))
    for _ in range(3):
        for worker in world.of(1):
            if worker.slot == 1:
                world.die(worker)
    world.settle()
    assert world.accepting() == {1}
    assert world.supervisor.phase is Phase.RUNNING


def test_a_new_master_left_alone_gives_up_in_time_when_no_worker_becomes_ready():
    world = World().begin(taking_over=True)
    world.feed(events.PeerGone("closed", elder=True))
    for worker in world.workers.values():
        worker.frozen = True
    world.wait(70)
    assert world.exit is not None or world.supervisor.phase is Phase.STOPPING


def test_a_new_master_that_shows_no_life_at_the_end_of_probation_is_undone():
    world = upgrading(running())
    world.feed(events.PeerSaid("ACCEPTING"))
    world.settle()
    world.wait(16)
    world.settle()
    assert world.replies[1].code == 4
    assert world.accepting() == {1}
    assert not any(isinstance(a, actions.Announce) and a.what == "mainpid" for a in world.done)


def test_the_new_master_shows_life_when_asked():
    world = taking_over()
    world.feed(events.PeerSaid("PING", elder=True))
    assert told(world)[-1] == "PONG"


def test_a_new_master_left_alone_with_dead_workers_replaces_them():
    world = World().begin(plan(worker_count=1, min_workers=1), taking_over=True)
    world.settle()
    world.die(world.of(1)[0])
    world.feed(events.PeerGone("closed", elder=True))
    world.settle()
    assert world.accepting() == {1}
    assert world.supervisor.phase is Phase.RUNNING


def test_progress_extends_the_wait_for_the_new_master_but_not_for_ever():
    world = running()
    world.command(1, "upgrade")
    for name in ("HELLO", "RECEIVED"):
        world.feed(events.PeerSaid(name))
    for _ in range(5):
        world.wait(60)
        world.feed(events.PeerSaid("PROGRESS"))
        assert world.supervisor.phase is Phase.UPGRADING
    for _ in range(2):
        world.wait(60)
        world.feed(events.PeerSaid("PROGRESS"))
    assert world.supervisor.phase is Phase.RUNNING
    assert "did not answer in time" in world.replies[1].text


def test_without_probation_ownership_goes_over_at_once():
    world = running()
    world.command(1, "upgrade", no_probation=True)
    for name in ("HELLO", "RECEIVED", "READY", "ACCEPTING"):
        world.feed(events.PeerSaid(name))
    assert world.replies[1].code == 0
    world.wait(0.1)
    assert told(world)[-1] == "PING"


def test_a_superseded_master_keeps_no_listener_that_its_successor_may_want_to_close():
    world = running()
    world.command(1, "upgrade")
    upgraded(world)
    assert world.did(actions.CloseListeners) == [actions.CloseListeners(unlink=False)]


def test_a_stop_that_the_old_master_passes_on_slows_no_faster_one_down():
    world = taking_over()
    world.feed(events.PeerSaid("COMMIT", elder=True))
    world.signal("TERM")
    world.signal("TERM")
    for action in world.feed(events.PeerSaid("STOP", elder=True)):
        if isinstance(action, actions.Tell):
            assert action.message == control.Drain("stop", 2.0, 2.0, 2.0)
    world.wait(2.1)
    assert world.of(1)
    assert all("Stop" in worker.inbox for worker in world.of(1))
