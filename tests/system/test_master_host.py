"""The master and its host: systemd's protocol, activation, pid 1, privileges, the background, the command line."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from free_ports import free_port
from master_rig import ROOT, SERVICE, Rig, alive, until


class FakeSystemd:
    """Receives notifications as systemd would, keeps what is stored, and ends barriers."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(0.05)
        self.lines: list[tuple[str, ...]] = []
        self.stored: list[tuple[str, int]] = []

    def read(self) -> list[tuple[str, ...]]:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, 4096, 64)
            except TimeoutError:
                return self.lines
            lines = tuple(data.decode().split("\n"))
            self.lines.append(lines)
            if "FDSTORE=1" in lines:
                self.stored += [(lines[1], fd) for fd in fds]
            elif "BARRIER=1" in lines:
                os.close(fds[0])

    def said(self, prefix: str) -> bool:
        return any(line.startswith(prefix) for lines in self.read() for line in lines)

    def order(self) -> list[str]:
        """What was said, without status lines, watchdog pings, stored sockets and numbers."""
        names = [lines[0].partition("=")[0] for lines in self.read()]
        return [n for n in names if n not in ("STATUS", "WATCHDOG", "FDSTORE")]


@pytest.fixture
def systemd(tmp_path):
    fake = FakeSystemd(tmp_path)
    yield fake
    fake.sock.close()


@pytest.fixture
def rig(tmp_path, systemd):
    rig = Rig(tmp_path)
    rig.environ = {"NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "2000000"}
    rig.start()
    yield rig
    rig.stop()


def test_a_reload_is_announced_with_its_time_and_ends_with_ready_even_when_refused(rig, systemd):
    until(lambda: systemd.said("READY=1"))
    assert rig.tell("reload")["code"] == 0
    rig.path.write_text("[network\n")
    assert rig.tell("reload")["code"] == 4
    assert systemd.order() == ["READY", "RELOADING", "READY", "RELOADING", "READY"]
    stamps = [line for lines in systemd.lines for line in lines if "MONOTONIC_USEC" in line]
    assert len(stamps) == 2
    assert 0 < int(stamps[0].partition("=")[2]) <= time.monotonic_ns() // 1000
    assert systemd.said("STATUS=reload refused, generation 2 keeps serving")
    rig.signal("TERM")
    rig.process.wait(10)
    assert systemd.order()[-1] == "STOPPING"


def test_an_upgrade_names_the_new_main_pid_waits_for_systemd_and_never_says_stopping(rig, systemd):
    until(lambda: systemd.said("READY=1"))
    rig.signal("USR2")
    until(lambda: systemd.said("MAINPID=") and rig.process.poll() is not None, 20)
    until(lambda: systemd.order()[-1] == "READY")
    assert systemd.order() == ["READY", "RELOADING", "MAINPID", "BARRIER", "READY"]
    assert (f"MAINPID={rig.pid_in_file()}",) in systemd.lines


def test_the_watchdog_is_fed_and_the_listeners_are_stored(rig, systemd):
    until(lambda: systemd.said("WATCHDOG=1"))
    until(lambda: len(systemd.stored) == 2)
    assert {name for name, _ in systemd.stored} == {
        f"FDNAME=pingpy-stored-tcp4/127.0.0.1_{rig.port}"
    }


def test_kill_9_of_everything_loses_no_queued_connection_when_the_sockets_are_stored(rig, systemd):
    until(lambda: systemd.read() and len(systemd.stored) == 2)
    doomed = {*rig.pids(), rig.process.pid}
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    rig.process.wait()
    until(lambda: not any(alive(pid) for pid in doomed))
    queued = [socket.create_connection(("127.0.0.1", rig.port)) for _ in range(20)]
    fds = [fd for _, fd in systemd.stored]
    names = ":".join(name.removeprefix("FDNAME=") for name, _ in systemd.stored)
    process = activate(rig, fds, names)
    for connection in queued:
        connection.settimeout(15)
        assert connection.recv(100).startswith(b"1 ")
        connection.close()
    rig.process = process


def activate(rig: Rig, fds: list[int], names: str) -> subprocess.Popen[bytes]:
    """Start it as systemd does: sockets from descriptor 3 on, and the variables."""
    program = (
        "import os, sys\n"
        "fds = [int(fd) for fd in sys.argv[1].split(',')]\n"
        "moved = [os.dup2(os.dup(fd), 50 + i) for i, fd in enumerate(fds)]\n"
        "[os.dup2(fd, 3 + i) for i, fd in enumerate(moved)]\n"
        "os.environ.update(LISTEN_FDS=str(len(fds)), LISTEN_PID=str(os.getpid()))\n"
        "os.environ['LISTEN_FDNAMES'] = sys.argv[2]\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[3:]])\n"
    )
    for fd in fds:
        os.set_inheritable(fd, True)
    arguments = [",".join(map(str, fds)), names, str(SERVICE), str(rig.path)]
    with open(rig.log_path, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            pass_fds=fds,
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )


def test_a_socket_of_systemds_is_used_and_never_closed_for_others(tmp_path):
    rig = Rig(tmp_path)
    with socket.socket() as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        theirs.bind(("127.0.0.1", rig.port))
        theirs.listen()
        rig.process = activate(rig, [theirs.fileno()], "web")
        try:
            until(lambda: rig.pid_in_file() == rig.process.pid)
            assert {rig.ask()[1] for _ in range(20)} <= {0, 1}
            assert rig.tell("status")["listeners"][0]["origin"] == "systemd"
            assert not os.get_blocking(theirs.fileno())  # else accept() would hang a worker
            assert rig.tell("reload")["code"] == 0
            until(lambda: rig.generation() == 2)  # an old worker may be at its last accept
        finally:
            rig.stop()
        with socket.create_connection(("127.0.0.1", rig.port)):
            assert theirs.accept()


def test_as_pid_1_it_survives_its_own_upgrade_and_buries_orphans(tmp_path):
    unshare = shutil.which("unshare")
    probe = [unshare or "false", "--pid", "--fork", "--mount-proc", "true"]
    if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("needs unshare(1) and the right to make a pid namespace")
    rig = Rig(tmp_path)
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [*probe[:-1], sys.executable, str(SERVICE), str(rig.path)]
    with open(rig.log_path, "ab") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, env=environ)
    try:
        until(lambda: rig.pid_in_file() == 1)
        assert rig.tell("upgrade", timeout=30)["code"] == 0, rig.log()
        until(lambda: rig.pid_in_file() > 1)
        until(lambda: rig.ask()[0] == 2)
        assert process.poll() is None
        rig.tell("stop", timeout=10)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_workers_drop_to_the_user_and_die_with_a_killed_master_all_the_same(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
        if folder == Path("/tmp"):
            break
    rig = Rig(tmp_path, user="nobody")
    rig.start()
    pids = rig.pids()
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
        assert set(uids) == {"65534"}
        assert "NoNewPrivs:\t1" in status
    assert rig.tell("reload")["code"] == 0
    pids = rig.pids()
    rig.process.kill()
    rig.process.wait()
    until(lambda: not any(alive(pid) for pid in pids), 5)


def cli(*arguments: str, folder: Path, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pingpy", *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        check=False,
        **options,
    )


def test_the_command_lines_exit_codes(tmp_path):
    rig = Rig(tmp_path)
    path = str(rig.path)
    quick = cli(folder=tmp_path)
    assert quick.returncode == 2
    assert len(quick.stderr.splitlines()) == 10
    assert cli("--nonsense", folder=tmp_path).returncode == 2
    assert cli("--version", folder=tmp_path).stdout.startswith("pingpy ")
    assert "OpenSSL" in cli("-V", folder=tmp_path).stdout
    assert cli("status", "-c", path, folder=tmp_path).returncode == 6
    assert cli("-t", "-c", path, folder=tmp_path).returncode == 0
    rig.start()
    try:
        assert cli("reload", "-c", path, folder=tmp_path).returncode == 0
        assert cli("-c", path, "-s", "reopen", folder=tmp_path).returncode == 0
        status = cli("status", "--json", "-c", path, folder=tmp_path)
        assert '"generation": 2' in status.stdout
        diff = cli("reload", "--dry-run", "--diff", "-c", path, folder=tmp_path)
        assert "0 changes" in diff.stdout
        rig.write(fault="hang")
        assert cli("reload", "--timeout", "0.5", "-c", path, folder=tmp_path).returncode == 5
        rig.path.write_text(rig.path.read_text().replace("worker_threads", "worker_treads"))
        refused = cli("reload", "-c", path, folder=tmp_path)
        assert refused.returncode == 4
        assert "worker_threads" in refused.stderr
        assert cli("stop", "-c", path, folder=tmp_path).returncode == 0
        assert rig.process.wait(10) == 0
        assert cli("-t", "-q", "-c", path, folder=tmp_path).returncode == 78
    finally:
        rig.stop()


def test_a_stranger_named_worker_is_not_run(tmp_path):
    (tmp_path / "worker.py").write_text("raise SystemExit('stranger')\n")
    (tmp_path / "c.toml").write_text("[network]\nlisten = ['127.0.0.1:1']\n")
    program = "import sys; sys.path.insert(0, '.'); from pingpy.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "-c", "c.toml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "is not the one installed with pingpy" in done.stderr


ORIGIN = """
import socket
with socket.create_server(("127.0.0.1", PORT)) as server:
    while True:
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\nConnection: close\\r\\n\\r\\nhello\\n")
        connection.close()
"""


def test_the_real_thing_in_the_background_serves_reloads_upgrades_and_stops(tmp_path):
    port, origin_port = free_port(), free_port()
    path = tmp_path / "c.toml"
    path.write_text(
        f'[global]\nruntime_dir = "{tmp_path}/run"\npid_file = "{tmp_path}/pid"\nprobation = 0.3\n'
        f'access_log = "off"\nerror_log = "{tmp_path}/error.log"\nworker_threads = 2\n'
        f'[network]\nlisten = ["127.0.0.1:{port}"]\n'
        f'[[load_balancing.backends]]\nname = "a"\naddress = "127.0.0.1:{origin_port}"\n'
    )
    origin = subprocess.Popen([sys.executable, "-c", ORIGIN.replace("PORT", str(origin_port))])
    try:
        started = cli("-d", "-c", str(path), folder=tmp_path)
        assert started.returncode == 0, started.stderr

        def get() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: sock.recv(4096), b""))

        assert get().endswith(b"hello\n")
        for verb in ("reload", "upgrade"):
            done = cli(verb, "-c", str(path), folder=tmp_path)
            assert done.returncode == 0, done.stderr
            assert get().endswith(b"hello\n")
        until(lambda: "generation 3" in cli("status", "-c", str(path), folder=tmp_path).stdout)
        assert cli("stop", "--fast", "-c", str(path), folder=tmp_path).returncode == 0
        until(lambda: not (tmp_path / "pid").exists())
    finally:
        origin.kill()
        origin.wait()
