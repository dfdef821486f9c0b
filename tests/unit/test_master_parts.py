"""The small deciders: back-off, slots, launch, life, restart command, status line, dry-run differences."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from master_world import PLAN, World, plan

from master import checker
from master.actions import Lend, TakeBack
from master.crash_loop import Backoff, Vacancies
from master.life import LAWFUL, Cue, Stage, UnlawfulError, Worker
from master.slots import home_slots, rebalance
from master.status_line import status_line
from master.successor import restart_command
from master.systemd import stored_name
from pingpy.cli.dry_run import differences
from pingpy.cli.show import render, span
from pingpy.cli.verbs import address, proxy_config
from pingpy.config.load import load
from pingpy.config.source import ConfigSource


@given(st.integers(1, 9), st.integers(0, 20))
def test_every_slot_has_exactly_one_home(workers, slots):
    homes = [slot for i in range(workers) for slot in home_slots(i, workers, slots)]
    assert sorted(homes) == list(range(slots))


@given(
    st.integers(1, 6),
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(Stage), st.sets(st.integers(0, 7))), max_size=8),
)
def test_rebalancing_leaves_each_slot_with_one_reader_and_lends_before_it_takes(n, slots, crew):
    workers = [
        Worker(i, i % (n + 1), 0.0, stage, holds={s for s in holds if s < slots})
        for i, (stage, holds) in enumerate(crew)
    ]
    done = rebalance(workers, n, slots)
    accepting = [w for w in workers if w.accepting]
    if accepting:
        readers = [s for w in accepting for s in w.holds]
        assert sorted(readers) == list(range(slots))
    kinds = [type(action) for action in done]
    assert kinds == sorted(kinds, key=lambda kind: kind is TakeBack)
    assert set(kinds) <= {Lend, TakeBack}
    assert rebalance(workers, n, slots) == []


@given(st.lists(st.none() | st.floats(0, 200), max_size=30), st.floats(0, 1))
def test_the_wait_before_a_replacement_is_never_negative_nor_above_30_seconds(lives, jitter):
    backoff = Backoff(5, lambda: jitter)
    for lived in lives:
        assert 0 <= backoff.delay_seconds(lived) <= 30


def test_the_first_quick_death_costs_nothing_and_the_waits_double():
    backoff = Backoff(5, lambda: 0.0)
    assert [backoff.delay_seconds(None) for _ in range(5)] == [0, 0.1, 0.2, 0.4, 0.8]
    assert backoff.delay_seconds(6) == 0
    assert backoff.delay_seconds(61) == 0
    assert [backoff.delay_seconds(1) for _ in range(2)] == [0, 0.1]


def test_nobody_accepts_before_go_and_nothing_is_lawful_after_a_kill():
    for (stage, cue), after in LAWFUL.items():
        if after is Stage.ACCEPTING:
            assert (stage, cue) == (Stage.GOING, Cue.ACCEPTING)
        if stage is Stage.KILLED:
            assert after is Stage.KILLED
    with pytest.raises(UnlawfulError, match="READY while BORN"):
        Worker(1, 0, 0.0).move(Cue.READY)


def test_a_script_restarts_by_itself_and_a_module_by_the_same_interpreter(tmp_path):
    script = tmp_path / "pingpy"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert restart_command(["/old/python", str(script), "-c", "f"]) == [str(script), "-c", "f"]
    assert restart_command(["python", "-m", "pingpy"])[1:] == ["-m", "pingpy"]
    assert restart_command(["python", "x.py", "a"])[1:] == ["-P", "x.py", "a"]


def test_a_plan_survives_the_way_from_the_checker_to_the_master():
    answer = checker.Answer(plan(control_users=("www", 7)), "", "one warning")
    assert checker.answer_from_json(checker.answer_to_json(answer)) == answer
    refused = checker.Answer(None, "line 3")
    assert checker.answer_from_json(checker.answer_to_json(refused)) == refused
    with pytest.raises((KeyError, TypeError, ValueError)):
        checker.answer_from_json(b'{"plan": {"listeners": []}}')


def test_the_status_line_says_who_is_missing_and_why():
    world = World().begin()
    world.settle()
    assert world.supervisor.status() == "running: 2/2 workers, generation 1"
    for _ in range(2):
        world.die(next(w for w in world.of(1) if w.slot == 1), "exit code 1: ImportError: x")
    assert world.supervisor.status() == (
        "degraded: 1/2 workers, slot 1 restarting (exit code 1: ImportError: x), generation 1"
    )
    for _ in range(5):  # 0.2, 0.4, ... 3.2 s, less a tenth for jitter
        world.wait(2)
        world.settle()
        world.die(next(w for w in world.of(1) if w.slot == 1), "exit code 1: ImportError: x")
    assert "slot 1 restarting in 3 s (" in world.supervisor.status()
    assert status_line("starting", None, []) == "starting"


def test_a_failed_reload_stays_in_the_status_until_one_succeeds():
    world = World().begin()
    world.settle()
    world.signal("HUP")
    world.checked(None, "line 3: no")
    assert "reload refused" in world.supervisor.status()
    world.signal("HUP")
    world.settle()
    world.wait(11)
    assert "refused" not in world.supervisor.status()


def test_names_in_systemds_store_have_no_colon():
    assert stored_name("tcp6/[::]:80") == "pingpy-stored-tcp6/[__]_80"


OLD = """
[network]
listen = ["127.0.0.1:1000", "127.0.0.1:1001"]
[[proxy.rules]]
path = "/a"
upstream = "http://127.0.0.1:1"
[[load_balancing.backends]]
name = "one"
address = "127.0.0.1:2"
"""


def test_the_difference_names_listeners_rules_backends_and_tables():
    new = OLD.replace("1001", "1002").replace('"/a"', '"/b"').replace(":2", ":3")
    sides = [load(ConfigSource("x.toml", text.encode())) for text in (OLD, new)]
    found = [f"{d['change']} {d['kind']} {d['name']}" for d in differences(*sides)]
    assert found == [
        "- listener tcp4/127.0.0.1:1001",
        "+ listener tcp4/127.0.0.1:1002",
        "- rule 1 (path=/a)",
        "+ rule 1 (path=/b)",
        "~ backend one",
    ]
    assert list(differences(sides[0], sides[0])) == []


def test_a_proxy_without_a_file_is_a_file_that_the_loader_accepts():
    text = proxy_config("/tmp/x", ":8080", ("http://127.0.0.1:3000", "http://example.org/"))
    config = load(ConfigSource("x.toml", text.encode()))
    assert [b.address for b in config.load_balancing.backends] == [
        "127.0.0.1:3000",
        "example.org:80",
    ]
    assert address("10.0.0.1:1") == "10.0.0.1:1"


def test_durations_are_said_in_one_unit():
    assert [span(s) for s in (3, 119.4, 600, 9000, 400000)] == [
        "3 s",
        "119 s",
        "10 min",
        "2 h",
        "4 days",
    ]


def test_the_status_page_shows_what_a_draining_generation_waits_for():
    crew = {
        "generation": 3,
        "state": "retiring",
        "reason": "reload",
        "waits_for_connections": 2,
        "deadline_seconds": 590.0,
        "workers": [],
        "restarting": {"1": {"in_seconds": 12.0, "why": "ImportError"}},
    }
    lines = list(render(json.loads(json.dumps({"generations": [crew]}))))
    assert lines[0] == "generation 3: retiring (reload), waits for 2 connections, at most 9 min"
    assert "ImportError" in lines[1]
    assert PLAN.worker_count == 2


def test_an_adopted_queue_stays_with_who_has_it():
    workers = [
        Worker(0, 0, 0.0, Stage.ACCEPTING, holds={0}),
        Worker(1, 1, 0.0, Stage.ACCEPTING, holds={1, 2}),
    ]
    assert rebalance(workers, 3, 3) == []


def test_a_vacancy_waits_is_due_and_is_forgotten():
    vacancies = Vacancies(5, lambda: 0.0)
    assert vacancies.died(1, "segfault", None, 100) == 0  # the first costs nothing
    assert (1 in vacancies, vacancies.reasons) == (False, {1: (0.0, "segfault")})
    delay = vacancies.died(1, "again", 1, 100)
    assert delay > 0
    assert 1 in vacancies
    assert vacancies.died(2, "another", None, 100) == 0  # each slot has its own count
    assert vacancies.due(100 + delay / 2) == []
    assert vacancies.due(100 + delay) == [1]
    vacancies.filled(1)
    assert vacancies.due(200) == []
    assert vacancies.reasons[1] == (delay, "again")  # until the new one is READY
    vacancies.well(1)
    assert 1 not in vacancies.reasons
    vacancies.died(1, "once more", 1, 200)
    vacancies.forget()
    assert 1 not in vacancies
