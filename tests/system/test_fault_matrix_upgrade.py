"""The fault matrix, rows 11, 12, 14, 15, 17: either master of an upgrade dies or is told to stop, at any moment."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from free_ports import free_port
from master_rig import ROOT, Rig, alive
from matrix_rig import Mixed, Real, decreased, kill, until

from master import handoff
from master.listeners import Listeners
from pingpy.config.load import load as load_config
from pingpy.config.plan import plan
from pingpy.config.source import ConfigSource
from pingpy.shared import Region
from pingpy.shared.layout import VERSION

GET = b"GET /bytes/100 HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n"
MOMENTS = ["connected", "hello", "fds", "state", "ready", "commit", "accepting", "probation"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    rig = Real(tmp_path_factory.mktemp("upgrades"), probation=3)
    rig.start()
    yield rig
    rig.stop()


@pytest.fixture
def fake(tmp_path) -> Iterator[Rig]:
    """A real master with workers of three lines."""
    rig = Rig(tmp_path)
    rig.start()
    yield rig
    rig.stop()


def hear(sock: socket.socket, kind: str) -> None:
    while True:
        received = handoff.receive(sock)
        assert received is not None, f"the old master hung up before {kind}"
        name, _, fds = received
        for fd in fds:
            os.close(fd)
        if name == kind:
            return
        assert name in handoff.KNOWN - {"REFUSE", "ABORT"}, received


def newcomer_until(sock: socket.socket, last: str) -> None:
    """What a new master says, up to this moment."""
    steps = {
        "hello": lambda: handoff.send(sock, "HELLO", handoff.hello([])),
        "fds": lambda: (hear(sock, "WELCOME"), hear(sock, "FDS")),
        "state": lambda: (handoff.send(sock, "ACK", {"i": 0}), hear(sock, "STATE")),
        "ready": lambda: (
            handoff.send(sock, "ACK", {"name": handoff.REGION}),
            hear(sock, "STATE"),
            handoff.send(sock, "ACK", {"name": handoff.TICKETS}),
            handoff.send(sock, "READY", {"workers": 2}),
        ),
        "commit": lambda: hear(sock, "COMMIT"),
        "accepting": lambda: handoff.send(sock, "ACCEPTING", {}),
        "probation": lambda: time.sleep(0.5),
    }
    for moment in MOMENTS[1 : MOMENTS.index(last) + 1]:
        steps[moment]()


@pytest.mark.parametrize("moment", MOMENTS)
def test_11_a_new_master_that_is_gone_at_this_moment_leaves_the_old_one_serving(shared, moment):
    rig = shared
    pids, master, before = rig.worker_pids(), rig.owner(), rig.scrape()
    with Mixed(rig) as load:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.settimeout(30)
            sock.connect(str(rig.runtime_dir / "control.sock"))
            newcomer_until(sock, moment)
        until(lambda: rig.tell("status").get("phase") == "running", 30)
        until(lambda: rig.settled_on(rig.current()), 30)
    load.nothing_lost()
    assert rig.worker_pids() == pids
    assert rig.owner() == master
    assert rig.pid_in_file(".new") == 0
    assert decreased(before, rig.scrape()) == []


@pytest.mark.parametrize("delay", [0.05, 0.3, 0.6, 1.2])
def test_11_a_successor_that_is_killed_is_undone_whatever_it_was_at(shared, delay):
    rig = shared
    pids, master = rig.worker_pids(), rig.owner()
    known = children(master)
    with Mixed(rig) as load:
        rig.signal("USR2")
        new = until(lambda: next(iter(children(master) - known), 0), 30)
        time.sleep(delay)
        kill(new)
        until(lambda: rig.tell("status").get("phase") == "running", 30)
        until(lambda: rig.settled_on(rig.current()), 30)
    load.nothing_lost()
    assert rig.worker_pids() == pids
    assert rig.owner() == master
    assert rig.pid_in_file(".new") == 0
    assert "upgrade rolled back" in rig.tell("status")["text"]


def children(pid: int) -> set[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as listing:
        return {int(word) for word in listing.read().split()}


class Elder:
    """The old master's part, played by the test; the new one is real. `die` is what kill -9 looks like from there."""

    def __init__(self, rig: Real) -> None:
        self.rig = rig
        the_plan = plan(load_config(ConfigSource.read(str(rig.path))))
        self.listeners = Listeners()
        self.listeners.bind(the_plan.listeners, 2)
        self.listeners.listen(the_plan.listeners)
        self.region = Region.create()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(30)
        with open(rig.log_path, "ab") as log:
            rig.process = subprocess.Popen(
                rig.command(),
                stderr=log,
                stdout=log,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "PINGPY_UPGRADE": str(theirs.fileno()),
                },
            )
        theirs.close()

    def until(self, last: str) -> None:
        """What an old master says, up to this moment."""
        # An older one, that gives no keys of session tickets: the new one makes its own.
        states = [handoff.State(handoff.REGION, VERSION, self.region.fd)]
        giver = handoff.Giver(1, str(self.rig.path), self.listeners, {}, states)
        steps = {
            "hello": lambda: hear(self.channel, "HELLO"),
            "fds": lambda: giver.begin(self.channel),
            "state": lambda: (hear(self.channel, "ACK"), giver.acknowledged(self.channel)),
            "ready": lambda: (hear(self.channel, "ACK"), hear(self.channel, "READY")),
            "commit": lambda: handoff.send(self.channel, "COMMIT", {}),
            "accepting": lambda: hear(self.channel, "ACCEPTING"),
            "probation": lambda: time.sleep(0.3),
        }
        for moment in MOMENTS[1 : MOMENTS.index(last) + 1]:
            steps[moment]()

    def die(self) -> None:
        self.channel.close()
        self.listeners.close(unlink=False)
        self.region.close()


@pytest.mark.parametrize("moment", MOMENTS)
def test_12_an_old_master_that_is_gone_at_this_moment_is_succeeded_if_it_has_given_all(
    tmp_path, moment
):
    rig = Real(tmp_path)
    rig.start_origin()
    elder = Elder(rig)
    try:
        waiting = [socket.create_connection(("127.0.0.1", rig.port)) for _ in range(10)]
        elder.until(moment)
        elder.die()
        if moment in MOMENTS[:3]:
            assert rig.process.wait(30) == 70
            assert "hand-over failed" in rig.log() or "closed the channel" in rig.log()
            return
        until(lambda: rig.pid_in_file() == rig.process.pid, 30)
        until(lambda: rig.settled_on(2), 30)
        for sock in waiting:
            sock.settimeout(30)
            sock.sendall(GET)
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
        assert rig.owner() == rig.process.pid
        assert rig.pid_in_file(".new") == 0
        assert rig.tell("reload", no_probation=True, timeout=30)["code"] == 0
    finally:
        rig.stop()


class Script(Real):
    """Started by a script, which is what an upgrade starts again: whatever it says by then."""

    def command(self, *arguments: str) -> list[str]:
        script = self.folder / "pingpy"
        if not script.exists():
            self.install(
                f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                "from pingpy.__main__ import main\nmain()\n"
            )
        return [str(script), "-c", str(self.path), *arguments]

    def install(self, text: str | None, mode: int = stat.S_IRWXU) -> None:
        script = self.folder / "pingpy"
        script.unlink(missing_ok=True)
        if text is not None:
            script.write_text(text)
            script.chmod(mode)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Script]:
    rig = Script(tmp_path_factory.mktemp("script"))
    rig.start()
    yield rig
    rig.stop()


PYTHON = f"#!{sys.executable}\n"


@pytest.mark.parametrize(
    ("text", "mode", "cause"),
    [
        ("#!/nonexistent/python\n", 0o700, "No such file"),
        (None, 0o700, "No such file"),
        (PYTHON, 0o600, "Permission denied"),
        (PYTHON + "import pingpy_of_tomorrow\n", 0o700, "No module named 'pingpy_of_tomorrow'"),
        (PYTHON + "raise SystemExit('needs a newer Python')\n", 0o700, "needs a newer Python"),
        ("#!/bin/sh\nexit 0\n", 0o700, "exit code 0"),
    ],
    ids=["interpreter", "missing", "mode", "import", "old python", "exits 0"],
)
def test_14_a_program_that_cannot_start_is_undone_and_the_cause_is_shown(script, text, mode, cause):
    pids, master = script.worker_pids(), script.owner()
    script.install(text, mode)
    with Mixed(script, {"short": 2, "kept": 2}, {"download": 1, "websocket": 1}) as load:
        answer = script.tell("upgrade", timeout=60)
    assert answer["code"] == 4, answer
    assert cause in answer["text"]
    load.nothing_lost()
    assert script.worker_pids() == pids
    assert script.owner() == master
    until(lambda: len(children(master)) == 3, 10)  # two workers, the scout


def test_15_what_the_new_file_does_not_name_is_closed_by_the_newcomer(fake):
    second = free_port()
    fake.write(listen=[f"127.0.0.1:{fake.port}", f"127.0.0.1:{second}"])
    assert fake.tell("reload")["code"] == 0
    fake.write()
    assert fake.tell("upgrade", timeout=30)["code"] == 0
    until(lambda: refuses(second), 20)
    until(lambda: fake.ask()[0] == 3)


def refuses(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_17_term_to_the_old_one_before_the_commit_ends_everything(fake):
    known = children(fake.process.pid)
    fake.write(fault="hang", upgrade_timeout=30)
    fake.signal("USR2")
    new = until(lambda: next(iter(children(fake.process.pid) - known), 0))
    until(lambda: children(new), 20)
    everybody = known | {new} | children(new)
    fake.signal("TERM")
    assert fake.process.wait(20) == 0
    until(lambda: not any(alive(pid) for pid in everybody), 20)
    assert fake.pid_in_file() == 0


def test_17_term_to_the_old_one_on_probation_stops_both(fake):
    fake.write(probation=30)
    assert fake.tell("reload", no_probation=True)["code"] == 0
    fake.signal("USR2")
    new = until(lambda: fake.pid_in_file(".new"), 30)
    everybody = children(fake.process.pid) | {new} | children(new)
    fake.signal("TERM")
    assert fake.process.wait(20) == 0
    until(lambda: not any(alive(pid) for pid in everybody), 20)
    assert fake.pid_in_file() == fake.pid_in_file(".new") == 0


def test_17_usr2_to_the_new_one_on_probation_is_refused_and_it_takes_over_all_the_same(fake):
    fake.write(probation=2)
    assert fake.tell("reload", no_probation=True)["code"] == 0
    fake.signal("USR2")
    new = until(lambda: fake.pid_in_file(".new"), 30)
    fake.signal("USR2", new)
    until(lambda: "still taking over" in fake.log())
    assert fake.process.wait(30) == 0
    assert fake.pid_in_file() == new


def test_17_term_to_the_new_one_before_the_commit_undoes_the_upgrade(fake):
    known = children(fake.process.pid)
    fake.write(fault="hang", upgrade_timeout=30)
    fake.signal("USR2")
    new = until(lambda: next(iter(children(fake.process.pid) - known), 0))
    until(lambda: children(new), 20)
    time.sleep(0.3)
    fake.signal("TERM", new)
    until(lambda: not alive(new), 20)
    until(lambda: fake.settled(1), 20)
    assert fake.pid_in_file() == fake.process.pid


def test_17_a_new_master_that_hangs_on_probation_does_not_get_the_service(fake):
    fake.write(probation=1)
    assert fake.tell("reload", no_probation=True)["code"] == 0
    fake.signal("USR2")
    new = until(lambda: fake.pid_in_file(".new"), 30)
    kill(new, "STOP")
    until(lambda: "upgrade rolled back: the new master did not answer in time" in fake.log(), 40)
    until(lambda: not alive(new) and fake.settled(2), 30)
    assert fake.pid_in_file() == fake.process.pid


def test_17_a_failed_upgrade_does_not_stand_in_the_way_of_the_next(fake):
    for number in range(2):
        fake.write(fault="die-at-once")
        assert fake.tell("upgrade", timeout=30)["code"] == 4
        fake.write()
        assert fake.tell("upgrade", timeout=30)["code"] == 0, number
        until(lambda: fake.tell("status").get("pid") == fake.pid_in_file())


def test_17_a_reload_that_waits_for_an_upgrade_is_done_by_the_new_master(fake):
    fake.write(probation=1)
    assert fake.tell("reload", no_probation=True)["code"] == 0
    fake.signal("USR2")
    fake.signal("HUP")
    assert fake.process.wait(30) == 0
    until(lambda: fake.settled(4), 30)
