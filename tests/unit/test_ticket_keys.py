"""Keys of session tickets: when they are renewed and by whom, and what the page holds afterwards."""

from __future__ import annotations

import os
from math import inf

import pytest
from master_world import World, plan, running

from master import actions, events
from master.outbox import Outbox
from master.ticket_rotation import TicketRotation
from pingpy.shared import LayoutMismatchError, Region, TicketKeys
from pingpy.shared import ticket_keys as page

HOUR = 3600.0


@pytest.fixture
def keys():
    made = TicketKeys.create(50.0)
    yield made
    made.close()


def slot(keys, number):
    start = page.SLOTS_AT + number * page.SLOT_BYTES
    return bytes(keys.octets[start : start + page.KEY_BYTES])


def test_a_fresh_page_has_four_different_keys(keys):
    assert len({slot(keys, number) for number in range(page.SLOTS)}) == page.SLOTS
    assert all(any(slot(keys, number)) for number in range(page.SLOTS))
    assert keys.rotated_at == 50.0


def test_a_key_lies_there_a_whole_period_before_it_is_used_and_one_after(keys):
    known = [slot(keys, number) for number in range(page.SLOTS)]
    for turn in range(1, 10):
        keys.rotate(50.0 + turn)
        before, known = known, [slot(keys, number) for number in range(page.SLOTS)]
        now = keys.octets[page.IN_FORCE_AT]
        assert now == turn % page.SLOTS
        changed = [n for n in range(page.SLOTS) if before[n] != known[n]]
        assert changed == [(now + 1) % page.SLOTS]  # neither the one in force nor the last one
    assert keys.rotated_at == 59.0


def test_who_attaches_sees_what_the_other_makes(keys):
    other = TicketKeys.attach(os.dup(keys.fd))
    keys.rotate(60.0)
    assert bytes(other.octets) == bytes(keys.octets)
    assert other.rotated_at == 60.0
    other.close()


def test_what_is_no_page_of_this_version_is_not_taken(keys):
    region = Region.create()
    empty = os.memfd_create("x")
    for fd in (region.fd, empty):
        with pytest.raises(LayoutMismatchError, match="ticket"):
            TicketKeys.attach(fd)
    os.close(empty)
    region.close()
    keys.octets[page.W_VERSION * 8] += 1
    with pytest.raises(LayoutMismatchError):
        TicketKeys.attach(keys.fd)


def test_nobody_can_cut_the_page_under_its_readers(keys):
    with pytest.raises(PermissionError):
        os.ftruncate(keys.fd, 0)


def test_the_keys_are_in_no_core_dump_and_in_no_text(keys):
    with open("/proc/self/smaps") as maps:
        text = maps.read().partition("pingpy-tickets")[2].partition("VmFlags:")[2].splitlines()[0]
    assert "dd" in text.split()
    assert repr(keys) == "<TicketKeys slot 0 in force>"


def test_keys_are_as_old_as_a_ticket_may_become_and_no_older():
    rotation = TicketRotation(Outbox(lambda: 0.0))
    rotation.rotated_at = 100.0
    rotation.advance(100.0, HOUR)
    assert rotation.deadline == 3700.0
    rotation.advance(3699.9, HOUR)
    assert rotation.out.take() == []
    rotation.advance(3700.5, HOUR)
    assert rotation.out.take() == [actions.RotateTickets(3700.5)]
    assert rotation.deadline == 7300.5


def test_a_master_that_slept_renews_once():
    rotation = TicketRotation(Outbox(lambda: 0.0))
    for now in (1e6, 1e6, 1e6 + 1):
        rotation.advance(now, HOUR)
    assert len(rotation.out.take()) == 1


def test_without_tickets_nothing_is_renewed_and_nobody_is_woken():
    rotation = TicketRotation(Outbox(lambda: 0.0))
    rotation.advance(1e9, 0.0)
    assert (rotation.out.take(), rotation.deadline) == ([], inf)


def rotations(world):
    return [a.now for a in world.done if isinstance(a, actions.RotateTickets)]


def born(**changes):
    world = World()
    world.feed(events.Begin(plan(**changes), 2, 1, "hash", tickets_rotated_at=world.now))
    world.settle()
    return world


def test_the_master_renews_at_every_lifetime_whatever_happens_meanwhile():
    world = born(ticket_lifetime_seconds=100.0)
    world.wait(99)
    assert rotations(world) == []
    world.signal("HUP")
    world.wait(2)
    assert rotations(world) == [200.0]
    world.wait(100)
    assert rotations(world) == [200.0, 300.0]


def test_a_reload_changes_the_pace_and_may_end_it():
    world = born(ticket_lifetime_seconds=1000.0, probation_seconds=0)
    world.wait(200)
    world.signal("HUP")
    world.checked(plan(ticket_lifetime_seconds=100.0, probation_seconds=0))
    world.bound()
    world.settle()
    world.wait(1)
    assert len(rotations(world)) == 1
    world.signal("HUP")
    world.checked(plan())
    world.bound()
    world.settle()
    world.wait(5000)
    assert len(rotations(world)) == 1


def test_while_there_are_two_masters_neither_renews_and_afterwards_the_owner_does():
    world = born(ticket_lifetime_seconds=100.0, upgrade_seconds=500)
    world.command(1, "upgrade")
    for name in ("HELLO", "RECEIVED"):
        world.feed(events.PeerSaid(name, {"pid": 77}))
    world.wait(300)
    assert rotations(world) == []
    world.feed(events.PeerGone("it died", died=True))
    world.settle()
    world.wait(0.1)
    assert len(rotations(world)) == 1


def test_a_new_master_begins_when_it_owns_the_service_with_the_age_that_it_found():
    world = World()
    the_plan = plan(ticket_lifetime_seconds=100.0)
    world.feed(
        events.Begin(the_plan, 2, 2, "hash", taking_over=True, tickets_rotated_at=world.now - 90)
    )
    world.settle()
    world.wait(20)
    world.feed(events.PeerSaid("COMMIT", elder=True))
    world.settle()
    assert rotations(world) == []
    world.feed(events.PeerSaid("OWNER", elder=True))
    assert len(rotations(world)) == 1


def test_a_master_that_has_a_successor_leaves_the_keys_to_it():
    world = running(ticket_lifetime_seconds=1e6)
    world.supervisor.tickets.rotated_at = world.now
    world.command(1, "upgrade")
    for name in ("HELLO", "RECEIVED", "READY", "ACCEPTING"):
        world.feed(events.PeerSaid(name, {"pid": 77}))
    for worker in world.workers.values():
        worker.frozen = True
    world.wait(10.1)
    world.feed(events.PeerSaid("PONG"))
    world.feed(events.PeerSaid("OWNED"))
    assert world.exit is None
    world.supervisor.tickets.rotated_at = -1e7
    world.wait(5)
    assert rotations(world) == []
