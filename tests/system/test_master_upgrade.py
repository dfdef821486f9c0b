"""Upgrades of a real master with fake workers: the hand-over, and every way in which it can fail."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading

import pytest
from master_rig import Load, Rig, alive, until

from master import handoff


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    rig.start()
    yield rig
    rig.stop()


def children_of(pid: int) -> set[int]:
    found = set()
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as listing:
            found |= {int(child) for child in listing.read().split()}
    return found


def successor(rig: Rig) -> int:
    """The pid of the new master, as soon as it is there."""
    old = rig.process.pid
    workers = {w["pid"] for w in rig.workers()}
    return until(lambda: next(iter(children_of(old) - workers), 0))


def test_usr2_replaces_the_master_and_loses_nothing(rig):
    old = rig.process.pid
    workers = rig.pids()
    with Load(rig) as load:
        rig.signal("USR2")
        assert rig.process.wait(20) == 0
        until(lambda: rig.settled(2))
    new = rig.pid_in_file()
    assert new != old
    assert alive(new)
    assert load.lost == []
    assert not any(alive(pid) for pid in workers)
    assert rig.ask()[3] == new
    assert not (rig.folder / "pid.new").exists()
    assert not (rig.folder / "pid.oldbin").exists()


def test_upgrade_waits_for_the_verdict_and_can_be_repeated(rig):
    with Load(rig) as load:
        for generation in (2, 3, 4):
            answer = rig.tell("upgrade")
            assert answer["code"] == 0, answer
            until(lambda pid=answer["pid"]: rig.pid_in_file() == pid)
            until(lambda g=generation: rig.settled(g))
    assert load.lost == []


@pytest.mark.row("S6")
def test_pid_files_name_a_live_master_at_every_moment(rig):
    old = rig.process.pid
    rig.settings["probation"] = 1.5
    rig.write()
    assert rig.tell("reload")["code"] == 0
    rig.signal("USR2")
    until(lambda: rig.pid_in_file(".new"))
    candidate = rig.pid_in_file(".new")
    assert rig.pid_in_file() == old
    until(lambda: rig.pid_in_file() == candidate)
    rig.process.wait(10)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("die-at-once", "exit code 1"),
        ("raise", "no module named teapot"),
        ("hang", "stuck in BUILDING"),
        ("exit-after-go", "exit code 9"),
    ],
)
def test_a_new_master_whose_workers_fail_is_undone_and_the_cause_is_shown(rig, fault, cause):
    old = rig.pids()
    rig.write(fault=fault)
    with Load(rig) as load:
        answer = rig.tell("upgrade", timeout=30)
    assert answer["code"] == 4
    assert cause in answer["text"]
    assert load.lost == []
    until(lambda: rig.settled(1))
    assert rig.pids() == old
    until(lambda: not children_of(rig.process.pid) - old)


def test_a_broken_file_undoes_the_upgrade_and_its_line_is_shown(rig):
    rig.path.write_text(rig.path.read_text() + "[network\n")
    answer = rig.tell("upgrade")
    assert answer["code"] == 4
    assert "config.toml:" in answer["text"]
    assert rig.generation() == 1


@pytest.mark.parametrize("moment", ["after exec", "in probation"])
def test_a_new_master_that_is_killed_is_undone(rig, moment):
    rig.write(probation=5)
    old = rig.pids()
    answers = []
    with Load(rig) as load:
        asking = threading.Thread(target=lambda: answers.append(rig.tell("upgrade", timeout=30)))
        asking.start()
        new = successor(rig)
        if moment == "in probation":
            until(lambda: rig.pid_in_file(".new") == new)
        os.kill(new, signal.SIGKILL)
        asking.join(20)
        until(lambda: rig.settled(1))
    assert answers[0]["code"] == 4
    assert "SIGKILL" in answers[0]["text"]
    assert load.lost == []
    assert rig.pids() == old
    assert rig.pid_in_file() == rig.process.pid


@pytest.mark.parametrize("moment", ["in probation", "while draining"])
def test_an_old_master_that_is_killed_leaves_the_service_to_the_new_one(rig, moment):
    rig.settings["probation"] = 5 if moment == "in probation" else 0.3
    fault = "never-drained" if moment == "while draining" else ""
    rig.write(fault=fault)
    assert rig.tell("reload")["code"] == 0
    rig.write()
    with Load(rig) as load:
        rig.signal("USR2")
        new = until(lambda: rig.pid_in_file(".new"))
        if moment == "while draining":
            until(lambda: rig.pid_in_file() == new)
        rig.process.kill()
        rig.process.wait()
        until(lambda: rig.pid_in_file() == new)
        until(lambda: rig.settled(3))
    assert load.lost == []
    assert rig.ask()[3] == new


def test_hup_and_usr2_are_refused_while_the_parent_is_on_probation(rig):
    rig.settings["probation"] = 3
    rig.write()
    assert rig.tell("reload")["code"] == 0
    rig.signal("USR2")
    until(lambda: rig.pid_in_file(".new"))
    assert rig.tell("upgrade")["code"] == 4
    refused = rig.tell("reload")
    assert refused["code"] == 4
    assert "probation" in refused["text"]
    rig.process.wait(10)


def test_term_to_the_new_master_on_probation_gives_the_service_back(rig):
    rig.write(probation=20)
    assert rig.tell("reload", no_probation=True)["code"] == 0
    with Load(rig) as load:
        rig.signal("USR2")
        new = until(lambda: rig.pid_in_file(".new"))
        rig.signal("TERM", new)
        until(lambda: not alive(new), 20)
        until(lambda: rig.settled(2), 20)
    assert load.lost == []
    assert rig.process.poll() is None


def test_a_separately_started_master_takes_over(rig):
    old = rig.process
    with Load(rig) as load:
        rig.start("-u", wait=False)
        assert old.wait(20) == 0
        until(lambda: rig.pid_in_file() == rig.process.pid)
        until(lambda: rig.settled(2))
    assert load.lost == []


def test_u_without_a_running_master_is_a_plain_start(tmp_path):
    rig = Rig(tmp_path)
    rig.start("-u")
    try:
        assert rig.generation() == 1
    finally:
        rig.stop()


def newcomer(rig: Rig) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(str(rig.runtime_dir / "control.sock"))
    sock.settimeout(10)
    return sock


def test_a_newcomer_of_another_protocol_is_refused_and_told_to_restart(rig):
    with newcomer(rig) as sock:
        sock.send(json.dumps({"type": "HELLO", "protos": [99]}).encode())
        answer = json.loads(sock.recv(10000))
    assert answer["type"] == "REFUSE"
    assert "restart" in answer["why"]
    assert rig.generation() == 1
    until(lambda: rig.tell("status")["phase"] == "running")


def test_a_newcomer_that_takes_everything_and_says_nothing_more_is_given_up(rig):
    with newcomer(rig) as sock:
        estate = handoff.inherit(sock)
        assert len(estate.listeners) == 2
        handoff.close_all(estate)
        sock.send(b"garbage")
        until(lambda: rig.tell("status")["phase"] == "running")
    with newcomer(rig) as sock:
        handoff.close_all(handoff.inherit(sock))
        until(lambda: "did not answer in time" in rig.log(), 20)
    assert rig.generation() == 1
    assert rig.tell("reload")["code"] == 0


def test_descriptors_stay_flat_through_upgrades(rig):
    first = 0
    for generation in (2, 3, 4):
        assert rig.tell("upgrade")["code"] == 0
        until(lambda number=generation: rig.settled(number))
        first = first or descriptors(rig)
        until(lambda opened=first: abs(descriptors(rig) - opened) <= 1)


def descriptors(rig: Rig) -> int:
    """How many files the master has open."""
    return len(os.listdir(f"/proc/{rig.pid_in_file()}/fd"))
