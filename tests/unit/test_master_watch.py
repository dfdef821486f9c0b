"""Files that change on disk: when they mean a reload, when they do not, and what is read of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from master_world import PLAN, World

from master import actions, events, lookout
from master.lookout import YOUNG_SECONDS, Look, Mark, look
from master.secret_files import digest
from master.watch import SETTLE_SECONDS, Watch

OLD = {"a.pem": "1", "a.key": "1"}
HALF = {"a.pem": "2", "a.key": "1"}
NEW = {"a.pem": "2", "a.key": "2"}


def told(watch, looks, loaded=OLD):
    """What each look (at a moment) leads to."""
    return [watch.looked(loaded, seen, now) for now, seen in looks]


def test_nothing_happens_while_nothing_changes():
    assert told(Watch(), [(0, OLD), (5, OLD), (10, OLD)]) == [(), (), ()]


def test_a_change_that_has_settled_is_reloaded_once():
    both = ("a.pem", "a.key")
    assert told(Watch(), [(0, NEW), (5, NEW), (10, NEW), (15, NEW)]) == [(), both, (), ()]


def test_a_certificate_and_a_key_written_one_after_the_other_cause_one_reload():
    settled = told(Watch(), [(0, HALF), (1, NEW), (2, NEW), (3, NEW), (4, NEW)])
    assert settled == [(), (), (), ("a.pem", "a.key"), ()]


def test_a_pair_that_stays_half_written_is_tried_once_and_again_when_it_is_whole():
    looks = [(0, HALF), (5, HALF), (10, HALF), (15, NEW), (20, NEW), (25, NEW)]
    both = ("a.pem", "a.key")
    assert told(Watch(), looks) == [(), ("a.pem",), (), (), both, ()]


def test_a_file_that_is_missing_for_a_moment_is_no_change():
    gone = {**OLD, "a.key": "No such file or directory"}
    assert told(Watch(), [(0, gone), (1, OLD), (6, OLD)]) == [(), (), ()]
    assert told(Watch(), [(0, gone), (5, gone), (10, gone)]) == [(), ("a.key",), ()]


def test_what_was_refused_is_tried_again_when_it_comes_back_after_the_old_one():
    looks = [(0, HALF), (5, HALF), (10, OLD), (15, HALF), (20, HALF)]
    assert told(Watch(), looks) == [(), ("a.pem",), (), (), ("a.pem",)]


@given(st.lists(st.tuples(st.floats(0.1, 9), st.sampled_from([OLD, HALF, NEW])), max_size=40))
def test_nothing_is_reloaded_that_was_not_seen_for_the_settling_time(steps):
    watch, now, since, before = Watch(), 0.0, 0.0, None
    for passed, seen in steps:
        now += passed
        if seen != before:
            since, before = now, seen
        if watch.looked(OLD, seen, now):
            assert seen != OLD
            assert now - since >= SETTLE_SECONDS


def looked(world, seen, loaded=OLD, generation=1):
    return world.feed(events.Looked(generation, loaded, seen))


def begun() -> World:
    world = World().begin(PLAN)
    world.settle()
    return world


def test_the_supervisor_checks_the_configuration_as_if_by_hup():
    world = begun()
    looked(world, NEW)
    world.now += 5
    done = looked(world, NEW)
    assert [a for a in done if isinstance(a, actions.Check)]
    assert ("info", "changed on disk: a.pem, a.key") in [
        (a.level, a.text) for a in done if isinstance(a, actions.Log)
    ]
    world.checked(None, "the key is not that of the certificate")
    errors = [a for a in world.done if isinstance(a, actions.Log) and a.level == "error"]
    assert len(errors) == 1
    world.now += 5
    assert not [a for a in looked(world, NEW) if isinstance(a, actions.Check)]


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_change_neither_ends_a_pause_nor_disturbs_a_stop(verb):
    world = begun()
    world.command(1, verb)
    looked(world, NEW)
    world.now += 5
    assert not [a for a in looked(world, NEW) if isinstance(a, actions.Check)]


def test_what_was_seen_of_an_earlier_generation_does_not_count():
    world = begun()
    looked(world, NEW, generation=0)
    world.now += 5
    assert not [a for a in looked(world, NEW, generation=0) if isinstance(a, actions.Check)]


def test_a_file_is_read_again_only_when_its_stamp_is_new(tmp_path: Path):
    file = tmp_path / "a.pem"
    file.write_bytes(b"1")
    later = time.time() + YOUNG_SECONDS + 1
    first = look(["a.pem"], tmp_path, {}, later)
    assert first["a.pem"].content == digest(b"1")
    pretended = {"a.pem": Mark(first["a.pem"].stamp, "known")}
    assert look(["a.pem"], tmp_path, pretended, later) == pretended
    other = tmp_path / "b.pem"
    other.write_bytes(b"1")
    os.replace(other, file)
    again = look(["a.pem"], tmp_path, pretended, later)
    assert again["a.pem"].content == digest(b"1")
    assert again["a.pem"].stamp != first["a.pem"].stamp


def test_a_file_that_was_just_written_is_read_at_every_look(tmp_path: Path):
    (tmp_path / "a.pem").write_bytes(b"1")
    assert look(["a.pem"], tmp_path, {}, time.time())["a.pem"].stamp == ()


def test_a_missing_file_is_seen_as_such_and_a_link_is_followed(tmp_path: Path):
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        (tmp_path / number / "a.pem").write_text(number)
    (tmp_path / "data").symlink_to("1")
    (tmp_path / "a.pem").symlink_to("data/a.pem")
    later = time.time() + YOUNG_SECONDS + 1
    marks = look(["a.pem", "none"], tmp_path, {}, later)
    assert marks["a.pem"].content == digest(b"1")
    assert marks["none"].content == "No such file or directory"
    (tmp_path / "new").symlink_to("2")
    os.replace(tmp_path / "new", tmp_path / "data")
    assert look(["a.pem"], tmp_path, marks, later)["a.pem"].content == digest(b"2")


def test_a_look_that_cannot_begin_keeps_no_descriptor(tmp_path, monkeypatch):
    def no_process(spec, work):
        raise BlockingIOError("no process can be made")

    monkeypatch.setattr(lookout, "fork_watched", no_process)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(BlockingIOError):
        Look((), tmp_path, {}, 2)
    assert len(os.listdir("/proc/self/fd")) == len(before)
