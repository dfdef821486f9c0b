"""The fault matrix, rows 16, 18, 21, 23 to 25, 27, 30: strangers, signals at start, listeners, logs, counters."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import free_port
from master_rig import ROOT, SERVICE, Load, Rig, alive
from matrix_rig import Mixed, Real, decreased, descriptors, kill, until

NOBODY = 65534


@pytest.fixture
def fake(tmp_path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.stop()


@pytest.fixture
def rig(tmp_path) -> Iterator[Real]:
    rig = Real(tmp_path)
    yield rig
    rig.stop()


def test_16_another_user_is_refused(fake):
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    fake.start()
    path = fake.runtime_dir / "control.sock"
    open_up(fake.runtime_dir)
    path.chmod(0o666)  # were the modes ever wrong, the kernel still tells us who asks
    ask = (
        "import json, os, socket, sys\n"
        f"os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "sock.connect(sys.argv[1])\n"
        "print(sock.recv(4096).decode())\n"
    )
    command = [sys.executable, "-c", ask, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stdout)["code"] == 77
    assert fake.tell("status")["code"] == 0


def open_up(folder: Path) -> None:
    """Let everybody walk down to this folder."""
    for part in (folder, *folder.parents):
        if not part.stat().st_mode & 0o001:
            part.chmod(part.stat().st_mode | 0o011)


def test_16_ten_thousand_idle_connections_and_a_huge_hello(fake):
    fake.start()
    path, fds = str(fake.runtime_dir / "control.sock"), descriptors(fake.process.pid)
    clients: list[socket.socket] = []
    for number in range(10_000):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(path)
        clients.append(sock)
        if number % 500 == 499:
            assert "too many" in fake.tell("status", timeout=20)["text"]
            for old in clients[8:]:
                old.close()
            del clients[8:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        sock.connect(path)
        with contextlib.suppress(OSError):  # it may be too long for the kernel already
            sock.send(b'{"type": "HELLO", "x": "' + b"x" * (1 << 20) + b'"}')
    until(lambda: fake.tell("status", timeout=20).get("version"), 20)
    for old in clients:
        old.close()
    until(lambda: descriptors(fake.process.pid) <= fds, 20)


def test_18_no_signal_kills_a_successor_while_it_starts(fake):
    """With signals blocked across the exec, as an upgrade starts it: every one of them, every 20 ms."""
    names = ("HUP", "USR1", "USR2", "WINCH", "TTIN", "TTOU")
    with blocked(*names, "TERM", "QUIT", "INT"):
        fake.start(wait=False)
    process = fake.process
    began = time.monotonic()
    while time.monotonic() - began < 0.4:
        for name in names:
            process.send_signal(getattr(signal, f"SIG{name}"))
        time.sleep(0.02)
    until(lambda: fake.pid_in_file() == process.pid or process.poll() is not None, 30)
    assert process.poll() is None, fake.log()
    until(lambda: fake.tell("status").get("phase") == "running", 60)
    assert fake.ask()


@pytest.mark.parametrize(("name", "delay"), [("TERM", 0.0), ("QUIT", 0.1), ("INT", 0.3)])
def test_18_a_stop_while_it_starts_is_an_orderly_end(fake, name, delay):
    with blocked("TERM", "QUIT", "INT"):
        fake.start(wait=False)
    time.sleep(delay)
    fake.process.send_signal(getattr(signal, f"SIG{name}"))
    assert fake.process.wait(30) == 0
    assert fake.pid_in_file() == 0


class blocked:  # noqa: N801 - reads as a statement
    """Signals that a process started meanwhile has blocked from its first instruction on."""

    def __init__(self, *names: str) -> None:
        self.numbers = {getattr(signal, f"SIG{name}") for name in names}

    def __enter__(self) -> None:
        self.before = signal.pthread_sigmask(signal.SIG_BLOCK, self.numbers)

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)


def test_21_listeners_change_kind_and_the_others_are_untouched(fake):
    second, path = free_port(), fake.folder / "web.sock"
    fake.start()
    first = f"127.0.0.1:{fake.port}"
    with Load(fake) as load:
        fake.write(listen=[first, f"127.0.0.1:{second}"])
        assert fake.tell("reload", no_probation=True)["code"] == 0
        fake.write(listen=[first, f"0.0.0.0:{second}", f"[::1]:{second}"])
        refused = fake.tell("reload", no_probation=True)
        fake.write(listen=[first, f"127.0.0.1:{second}", f"[::1]:{second}"])
        assert fake.tell("reload", no_probation=True)["code"] == 0, refused
        fake.write(listen=[first, f"unix:{path}"])
        assert fake.tell("reload")["code"] == 0
        inode, mode = path.stat().st_ino, path.stat().st_mode
        for _ in range(2):
            assert fake.tell("reload", no_probation=True)["code"] == 0
            assert fake.tell("upgrade", timeout=30)["code"] == 0
            until(lambda: fake.tell("status").get("pid") == fake.pid_in_file())
        assert (path.stat().st_ino, path.stat().st_mode) == (inode, mode)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(path))
            assert sock.recv(100)
        with socket.socket() as sock:
            assert sock.connect_ex(("127.0.0.1", second)) != 0
    assert load.lost == []
    assert refused["code"] in (0, 4)


def test_23_a_storm_of_reopens_loses_and_doubles_no_line(rig):
    rig.start()
    with Mixed(rig, {"short": 3, "kept": 4}) as load:
        for number in range(25):
            (rig.folder / "access.log").rename(rig.folder / f"access.log.{number}")
            rig.signal("USR1")
            until((rig.folder / "access.log").exists, 20)
        # A folder that is gone: the old file goes on being written.
        hidden = rig.folder.with_name(rig.folder.name + ".hidden")
        count = rig.log().count("cannot reopen")
        rig.folder.rename(hidden)
        kill(rig.process.pid, "USR1")
        until(lambda: (hidden / "stderr.log").read_text().count("cannot reopen") > count, 20)
        hidden.rename(rig.folder)
        rig.signal("USR1")
    load.nothing_lost()
    answered = load.answered["short"] + load.answered["kept"]
    until(lambda: rig.log_lines("^1 200 /bytes/") == answered, 20)


def test_24_a_master_without_descriptors_goes_on_and_replaces_its_workers_later(fake):
    fake.start()
    pids, master = fake.pids(), fake.process.pid
    limits = resource.prlimit(master, resource.RLIMIT_NOFILE)
    resource.prlimit(master, resource.RLIMIT_NOFILE, (9, limits[1]))
    kill(min(pids))
    until(lambda: "could not be started" in fake.log(), 20)
    for _ in range(10):
        assert fake.ask()
    resource.prlimit(master, resource.RLIMIT_NOFILE, limits)
    until(lambda: fake.settled(1), 60)
    assert not any(alive(pid) for pid in pids - fake.pids())


def test_24_no_deadline_of_the_master_or_a_worker_reads_the_time_of_day():
    """A clock that jumps moves nothing: time.time() is there for stamps only."""
    readers = {
        str(path.relative_to(ROOT))
        for folder in ("master", "worker")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\btime\.time\(|datetime\.now\(", path.read_text())
    }
    # The time of the last reload in the metrics, the Date of our own answers, reports to Sentry, the age of a file.
    stamps = {"master/loop.py", "worker/plane/reply.py", "worker/policy/metrics.py"}
    assert readers <= stamps | {"worker/policy/sentry.py", "master/lookout.py"}


def test_25_a_low_port_is_bound_on_reload_with_an_ambient_capability_alone(tmp_path):
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("needs root and setpriv(1)")
    low = next(p for p in range(700, 1023) if is_free(p))
    open_up(tmp_path)
    os.chown(tmp_path, NOBODY, NOBODY)
    drop = [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    drop += ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]

    class Unprivileged(Rig):
        def command(self, *arguments: str) -> list[str]:
            return [*drop, sys.executable, str(SERVICE), str(self.path), *arguments]

    if subprocess.run([*drop, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody have an ambient capability")
    rig = Unprivileged(tmp_path)
    try:
        rig.start()
        assert f"Uid:\t{NOBODY}" in Path(f"/proc/{rig.process.pid}/status").read_text()
        rig.write(listen=[f"127.0.0.1:{rig.port}", f"127.0.0.1:{low}"])
        assert rig.tell("reload")["code"] == 0, rig.log()
        rig.port = low
        until(lambda: rig.ask()[0] == 2)
    finally:
        rig.stop()


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_27_counters_never_go_back_and_agree_with_the_clients(rig):
    rig.start()
    wrong: list[str] = []
    done, killing = threading.Event(), threading.Event()

    def watch() -> None:
        before: dict[str, float] = {}
        while not done.wait(0.1):
            try:
                now = rig.scrape()
            except (OSError, http.client.HTTPException) as error:
                if not killing.is_set():  # it may have been with the one that is killed
                    wrong.append(repr(error))
                continue
            wrong.extend(decreased(before, now))
            before = now

    with Mixed(rig) as load:
        watcher = threading.Thread(target=watch)
        watcher.start()
        for verb in ("reload", "reload", "upgrade", "reload", "upgrade"):
            assert rig.tell(verb, no_probation=True, timeout=60)["code"] == 0
            until(lambda: rig.tell("status").get("pid") == rig.pid_in_file(), 30)
            until(lambda: rig.tell("status").get("phase") == "running", 30)
        killing.set()
        kill(min(rig.worker_pids(6)))
        until(lambda: rig.serves(6) and len(rig.worker_pids(6)) == 2, 60)
        done.set()
        watcher.join()
    load.nothing_lost(reset=20, lost=20, raced=20, truncated=20)
    assert wrong == []
    # The workers of the masters that were are in no list any more, but on this page.
    until(lambda: rig.settled_on(6) and rig.scrape()["pingpy_draining_workers"] == 0, 60)
    page = rig.scrape()
    assert page["pingpy_generation"] == 6
    assert page["pingpy_draining_workers"] == page["pingpy_draining_connections"] == 0
    assert page['pingpy_reload_total{result="committed"}'] == 3
    assert page['pingpy_upgrade_total{result="committed"}'] == 2
    assert sum(v for k, v in page.items() if k.startswith("pingpy_worker_restarts_total")) == 1
    seen = sum(
        value
        for name, value in page.items()
        if name.startswith("pingpy_requests_total") and 'route="metrics"' not in name
    )
    # A request whose answer the killed worker did not get out is the only one that may be missing there or here.
    answered = sum(load.answered.values()) - load.answered["goodbye"]
    assert abs(seen - answered) <= sum(load.mishaps.values()) + load.answered["goodbye"] + 17


def test_30_two_instances_side_by_side_do_not_meet(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    one, two = (Rig(folder).start() for folder in folders)
    try:
        pids = two.pids()
        with Load(two) as load:
            assert one.tell("reload")["code"] == 0
            assert one.tell("upgrade", timeout=30)["code"] == 0
            assert one.tell("stop", fast=True)["code"] == 0
        assert load.lost == []
        assert two.pids() == pids
        assert two.ask()[0] == 1
    finally:
        one.stop()
        two.stop()
