"""Start, serve, crash, stop: a real master with fake workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from free_ports import free_port
from master_rig import Load, Rig, alive, until


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    rig.stop()


def test_it_serves_names_itself_in_the_pid_file_and_stops_with_0(rig):
    rig.start()
    assert rig.ask()[0] == 1
    pids = rig.pids()
    rig.signal("TERM")
    assert rig.process.wait(10) == 0
    assert not (rig.folder / "pid").exists()
    assert not any(alive(pid) for pid in pids)


def test_workers_are_named_and_pinned_and_their_limits_raised(rig):
    rig.start()
    allowed = sorted(os.sched_getaffinity(0))
    for worker in rig.workers():
        pid = worker["pid"]
        assert Path(f"/proc/{pid}/comm").read_text() == f"pingpy:worker {worker['slot']}\n"
        assert os.sched_getaffinity(pid) == {allowed[worker["slot"] % len(allowed)]}
        assert worker["cpu"] == allowed[worker["slot"] % len(allowed)]


def test_a_killed_worker_is_replaced_and_no_connection_is_lost(rig):
    rig.start()
    with Load(rig) as load:
        for _ in range(5):
            before = rig.pids()
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            until(lambda v=victim: v not in rig.pids() and rig.settled(1), 40)
    # The one connection that the victim had accepted and not answered may be lost with it.
    assert len(load.lost) <= 5, load.lost
    assert sum(load.answers.values()) > 100


def test_a_stopped_worker_is_detected_its_queue_is_read_and_it_is_replaced(rig):
    rig.start()
    victim = min(rig.pids())
    os.kill(victim, signal.SIGSTOP)
    until(lambda: "no heartbeat" in rig.log())
    # From now on its sibling reads both queues: 30 connections, about half of which belong to the victim.
    for _ in range(30):
        assert rig.ask()[2] != victim
    until(lambda: victim not in rig.pids() and rig.settled(1), 20)
    assert not alive(victim)


def test_a_worker_told_to_end_by_hand_drains_and_is_replaced_at_once(rig):
    rig.start()
    with Load(rig) as load:
        victim = min(rig.pids())
        os.kill(victim, signal.SIGTERM)
        until(lambda: victim not in rig.pids() and rig.settled(1))
    assert load.lost == []
    assert "drains by itself" in rig.log()


def test_ttin_and_ttou_keep_every_queue_read(rig):
    rig.start()
    with Load(rig) as load:
        for name, count in (("TTIN", 3), ("TTIN", 4), ("TTOU", 3), ("TTOU", 2), ("TTOU", 1)):
            rig.signal(name)
            until(lambda c=count: rig.settled(1, c))
        for _ in range(30):
            rig.ask()
    assert load.lost == []


def test_usr1_reopens_the_log_and_a_failure_keeps_the_old_one(rig):
    rig.start()
    log = rig.folder / "access.log"
    log.rename(rig.folder / "access.log.1")
    rig.signal("USR1")
    until(log.exists)
    assert rig.tell("reopen")["code"] == 0


def test_a_master_that_is_killed_leaves_no_worker_behind(rig):
    rig.start()
    pids = rig.pids()
    os.kill(rig.process.pid, signal.SIGKILL)
    rig.process.wait()
    until(lambda: not any(alive(pid) for pid in pids), 5)


def test_a_second_instance_is_told_who_runs(rig):
    rig.start()
    other = Rig(rig.folder)
    other.log_path = rig.folder / "second.log"
    rig.write(listen=[f"127.0.0.1:{free_port()}"])
    other.path.write_text(rig.path.read_text())
    other.start(wait=False)
    assert other.process.wait(20) != 0
    assert f"already running, pid {rig.process.pid}" in other.log()
    assert rig.ask()[0] == 1


def test_no_worker_ever_ready_is_exit_3(tmp_path):
    rig = Rig(tmp_path)
    rig.write(fault="raise")
    rig.start(wait=False)
    assert rig.process.wait(20) == 3
    assert "no module named teapot" in rig.log()


def test_a_taken_port_and_a_broken_file_are_refused_at_start(tmp_path):
    rig = Rig(tmp_path)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", rig.port))
        sock.listen()
        rig.start(wait=False)
        assert rig.process.wait(20) == 78
    rig.path.write_text("[network]\nlisten = 3\n")
    rig.start(wait=False)
    assert rig.process.wait(20) == 78
    assert "config.toml:2:10" in rig.log()


def test_no_signal_kills_it_while_it_starts(tmp_path):
    """Signals arrive from the first instruction on; before ours are blocked Python has not even begun."""
    names = ("HUP", "USR1", "USR2", "WINCH", "TTIN", "TTOU")
    program = (
        "import os, signal, sys, time\n"
        "from master import signals\n"
        "signals.block()\n"
        "print('blocked', flush=True)\n"
        "time.sleep(0.3)\n"
        "fd = signals.open_signalfd()\n"
        "found = [r for r in signals.read_signals(fd)]\n"
        "assert all(r.pid == os.getppid() for r in found)\n"
        "print(' '.join(sorted(r.name for r in found)))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "blocked\n"
    for name in names:
        os.kill(process.pid, getattr(signal, f"SIG{name}"))
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out.split() == sorted(names)


def test_pause_keeps_connections_waiting_until_resume(rig):
    rig.start()
    assert rig.tell("pause")["code"] == 0
    until(lambda: {w["state"] for w in rig.workers()} == {"drained"})
    with socket.create_connection(("127.0.0.1", rig.port)) as waiting:
        waiting.settimeout(0.3)
        with pytest.raises(TimeoutError):
            waiting.recv(10)
        assert rig.tell("resume")["code"] == 0
        waiting.settimeout(5)
        assert waiting.recv(100)


def test_idle_clients_and_nonsense_do_not_block_the_control_socket(rig):
    rig.start()
    path = str(rig.runtime_dir / "control.sock")
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(8)]
    for sock in idle:
        sock.connect(path)
    assert "too many" in rig.tell("status", timeout=5)["text"]
    until(lambda: rig.tell("status", timeout=5).get("version"), 6)
    for sock in idle:
        sock.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.connect(path)
        sock.send(b"{" * 60000)
        sock.settimeout(5)
        assert sock.recv(10) == b""
    assert rig.tell("status")["code"] == 0
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_a_stale_pid_file_of_a_foreign_process_does_not_stop_the_start(rig):
    (rig.folder / "pid").write_text(f"{os.getpid()}\n")
    # Older than this process would have to be, had it written the file.
    os.utime(rig.folder / "pid", (time.time() - 864000,) * 2)
    rig.start()
    assert rig.pid_in_file() == rig.process.pid
