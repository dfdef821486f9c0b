"""Reloads of a real master with fake workers, and the faults that must not be noticed."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time

import pytest
from free_ports import free_port
from master_rig import Load, Rig, alive, until


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    rig.start()
    yield rig
    rig.stop()


def test_twenty_reloads_under_load_lose_nothing(rig):
    with Load(rig) as load:
        for number in range(2, 22):
            assert rig.tell("reload", no_probation=True)["code"] == 0
            assert rig.generation() == number
    assert load.lost == []
    until(lambda: rig.settled(21))


def test_the_verdict_comes_after_probation_and_the_old_generation_is_gone(rig):
    old = rig.pids()
    started = time.monotonic()
    answer = rig.tell("reload")
    assert answer["code"] == 0
    assert answer["generation"] == 2
    assert time.monotonic() - started >= 0.5
    until(lambda: not any(alive(pid) for pid in old))


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("die-at-once", "exit code 1"),
        ("die-at-once 1", "exit code 1"),
        ("raise", "no module named teapot"),
        ("segfault", "SIGSEGV"),
        ("hang", "stuck in BUILDING"),
        ("exit-after-go", "exit code 9"),
    ],
)
def test_a_generation_that_cannot_start_is_refused_and_nobody_notices(rig, fault, cause):
    old = rig.pids()
    rig.write(fault=fault)
    with Load(rig) as load:
        answer = rig.tell("reload")
    assert answer["code"] == 4
    assert cause in answer["text"]
    assert load.lost == []
    until(lambda: rig.settled(1), 20)
    assert rig.pids() == old


def test_a_generation_that_crashes_on_its_first_request_is_rolled_back(rig):
    old = rig.pids()
    rig.write(fault="exit-on-request", probation=20)
    with Load(rig) as load:
        answer = rig.tell("reload", timeout=30)
    assert answer["code"] == 4
    assert "rolled back" in answer["text"]
    until(lambda: rig.settled(1), 20)
    assert rig.pids() == old
    # Only connections that a crashing worker had accepted.
    assert len(load.lost) <= 12
    assert rig.generation() == 1


def test_a_broken_file_is_refused_with_its_line_and_the_pids_stay(rig):
    old = rig.pids()
    rig.path.write_text(rig.path.read_text() + "[network\n")
    answer = rig.tell("reload")
    assert answer["code"] == 4
    assert "config.toml:13" in answer["text"] or "config.toml:" in answer["text"]
    assert rig.pids() == old


def test_a_taken_port_is_refused_and_the_other_listeners_are_untouched(rig):
    taken = free_port()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", taken))
        sock.listen()
        rig.write(listen=[f"127.0.0.1:{rig.port}", f"127.0.0.1:{taken}"])
        answer = rig.tell("reload")
    assert answer["code"] == 4
    assert str(taken) in answer["text"]
    assert rig.generation() == 1


def test_a_burst_of_hups_is_at_most_two_reloads(rig):
    for _ in range(50):
        rig.signal("HUP")
    until(lambda: rig.settled(2) or rig.settled(3))
    time.sleep(1.2)
    assert rig.tell("status")["generation"] <= 3


def test_workers_4_1_4_in_slots_mode_under_load_lose_nothing(rig):
    with Load(rig) as load:
        for count in (4, 1, 4, 8, 1, 3):
            rig.write(worker_threads=count)
            assert rig.tell("reload", no_probation=True)["code"] == 0
    assert load.lost == []


def test_a_listener_that_is_added_serves_and_one_that_is_removed_refuses_after_the_commit(rig):
    second = free_port()
    first = rig.port
    rig.write(listen=[f"127.0.0.1:{first}", f"127.0.0.1:{second}"])
    assert rig.tell("reload")["code"] == 0
    rig.port = second
    assert rig.generation() == 2
    rig.write(listen=[f"127.0.0.1:{second}"])
    assert rig.tell("reload")["code"] == 0
    assert rig.generation() == 3
    until(lambda: refuses(first))


def refuses(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_removed_address_refuses_although_the_old_generation_drains_for_long(rig):
    first, second = rig.port, free_port()
    rig.write(fault="never-drained", listen=[f"127.0.0.1:{first}", f"127.0.0.1:{second}"])
    assert rig.tell("reload")["code"] == 0
    rig.write(listen=[f"127.0.0.1:{first}"])
    assert rig.tell("reload")["code"] == 0
    assert len(rig.tell("workers")["generations"]) == 2
    until(lambda: refuses(second))
    assert rig.generation() == 3


def test_a_service_that_stops_refuses_at_once_while_it_drains(rig):
    rig.write(fault="never-drained")
    assert rig.tell("reload")["code"] == 0
    rig.signal("TERM")
    until(lambda: refuses(rig.port), 2)
    assert rig.process.poll() is None


def test_killing_a_draining_worker_hurts_nobody_and_a_worker_without_end_is_stopped_in_time(rig):
    rig.write(fault="never-drained", drain_timeout=5, tunnel_drain_timeout=5)
    assert rig.tell("reload")["code"] == 0
    until(
        lambda: rig.settled(2)
    )  # the first generation is gone, and not to be taken for the stubborn one
    stubborn = {w["pid"] for w in rig.workers()}
    rig.write(drain_timeout=5, tunnel_drain_timeout=5)
    assert rig.tell("reload")["code"] == 0
    os.kill(min(stubborn), signal.SIGKILL)
    until(lambda: rig.settled(3), 40)
    assert not any(alive(pid) for pid in stubborn)


def test_a_reload_while_the_service_stops_is_refused(rig):
    rig.write(fault="never-drained")
    assert rig.tell("reload")["code"] == 0
    rig.signal("TERM")
    until(lambda: rig.tell("status").get("phase") == "stopping")
    assert rig.tell("reload")["code"] == 4
    assert rig.process.wait(15) == 0
