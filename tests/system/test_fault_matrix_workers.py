"""The fault matrix, rows 7 to 10, 13, 19 and 22: workers that die, hang or loop, and clients in awkward moments."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator

import h2.connection
import pytest
from master_rig import alive, cmdline
from matrix_rig import Mixed, Real, decreased, kill, until

GET = b"GET /bytes/100 HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n"
KEPT = GET.replace(b"Connection: close\r\n", b"")
# What whoever was connected to a killed worker may see, and nobody else.
OWN = {"reset": 40, "lost": 40, "raced": 40, "truncated": 40}


@pytest.fixture
def rig(tmp_path) -> Iterator[Real]:
    rig = Real(tmp_path)
    yield rig
    rig.stop()


def connect(rig: Real, data: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", rig.port), timeout=30)
    sock.sendall(data)
    return sock


def answer(sock: socket.socket) -> bytes:
    """The whole of an answer that ends with the connection, or with its hundred octets."""
    got = b""
    while not (b"\r\n\r\n" in got and len(got.partition(b"\r\n\r\n")[2]) >= 100):
        part = sock.recv(65536)
        if not part:
            break
        got += part
    return got


def good(text: bytes) -> bool:
    return text.startswith(b"HTTP/1.1 200 ") and len(text.partition(b"\r\n\r\n")[2]) == 100


def test_7_the_queue_of_a_killed_worker_is_served(rig):
    rig.start()
    before = rig.scrape()
    victim = min(rig.worker_pids())
    kill(victim, "STOP")
    # More than half of these wait in the queue of the one that does not read.
    waiting = [connect(rig, GET) for _ in range(40)]
    kill(victim)
    assert all(good(answer(sock)) for sock in waiting)
    until(lambda: victim not in rig.worker_pids() and rig.settled_on(1), 30)
    assert decreased(before, rig.scrape()) == []


def test_7_a_killed_worker_under_load_costs_its_own_connections_only(rig):
    rig.start()
    with Mixed(rig) as load:
        before = rig.scrape()
        victim = min(rig.worker_pids())
        kill(victim)
        until(lambda: victim not in rig.worker_pids() and rig.settled_on(1), 30)
    load.nothing_lost(**OWN)
    assert sum(load.mishaps.values()) <= 17, (
        load.mishaps,
        load.notes,
    )  # as many as there are clients
    assert decreased(before, rig.scrape()) == []


SPINNING = """
class Gate:
    def request_filter(self, session, ctx):
        while session.request.target == "/spin":
            pass
"""


def test_8_a_worker_in_an_endless_loop_is_dumped_and_replaced(rig):
    rig.write(body=rig.module(SPINNING))
    rig.start()
    pids = rig.worker_pids()
    with Mixed(rig) as load, connect(rig, GET.replace(b"/bytes/100", b"/spin")):
        until(lambda: "no heartbeat" in rig.log(), 60)
        until(lambda: len(rig.worker_pids() - pids) == 1 and rig.settled_on(1), 60)
    load.nothing_lost(**OWN)
    assert "Gate" in rig.log() or "request_filter" in rig.log(), "the stack names the culprit"
    assert len(pids & rig.worker_pids()) == 1


def test_9_a_killed_draining_worker_costs_its_own_connections_only(rig):
    rig.start()
    old = rig.worker_pids()
    with Mixed(rig) as load:
        held = [connect(rig, b"POST /upload HTTP/1.1\r\nHost: x.test\r\n") for _ in range(8)]
        time.sleep(0.3)
        assert rig.tell("reload", timeout=60)["code"] == 0
        victims = old & rig.worker_pids()
        assert victims
        kill(min(victims))
        until(lambda: rig.serves(2), 30)
        for sock in held:
            sock.close()
        until(lambda: rig.settled_on(2), 60)
    load.nothing_lost(**OWN)
    assert sum(load.mishaps.values()) <= 17, (load.mishaps, load.notes)
    assert not any(alive(pid) for pid in old)


LOOPING = """
import os
from pathlib import Path
class Gate:
    def startup(self, worker):
        if Path(__file__).with_name("broken").exists():
            raise RuntimeError("the disk is on fire")
"""


def test_10_a_crash_loop_is_seen_backs_off_and_ends_without_a_restart(rig):
    rig.write(body=rig.module(LOOPING))
    rig.start()
    (rig.folder / "broken").touch()
    for pid in rig.worker_pids():
        kill(pid)
    until(lambda: "the disk is on fire" in rig.tell("status")["text"], 30)
    waiting = [connect(rig, GET) for _ in range(20)]  # nobody is turned away meanwhile
    until(lambda: rig.log().count("is replaced in") >= 6, 60)
    status = rig.tell("status")
    assert status["text"].startswith("degraded: 0/2 workers")
    assert any(c["restarting"] for c in status["generations"]) or rig.workers()
    assert rig.owner() == rig.process.pid
    (rig.folder / "broken").unlink()
    until(lambda: rig.settled_on(1), 90)
    assert all(good(answer(sock)) for sock in waiting)
    assert rig.process.poll() is None


def test_13_orphans_finish_what_they_have_and_leave_the_port_to_a_new_start(rig):
    rig.start()
    pids = rig.worker_pids()
    with Mixed(rig, {"short": 1}, {"download": 3, "sse": 2, "upload": 2}) as load:
        kill(rig.process.pid)
        rig.process.wait()
        until(lambda: all(refused(rig) for _ in range(3)), 20)
    # Nobody listens for a moment: that is refused, and what was begun goes to its end.
    found = {kind: n for kind, n in load.mishaps.items() if kind in ("truncated", "failed")}
    assert found == {}, load.notes
    assert load.answered["download"] >= 3
    rig.start()
    assert good(answer(connect(rig, GET)))
    until(lambda: not any(alive(pid) for pid in pids), 30)


def refused(rig: Real) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", rig.port)) != 0


def test_13_both_masters_of_an_upgrade_killed_leave_nobody_behind(rig):
    rig.settings["probation"] = 30
    rig.write()
    rig.start()
    assert rig.tell("reload", no_probation=True)["code"] == 0
    rig.signal("USR2")
    new = until(lambda: rig.pid_in_file(".new"), 30)
    everybody = pids_of(rig) | children(new) | children(rig.process.pid)
    for pid in (new, rig.process.pid):
        kill(pid)
    rig.process.wait()
    until(lambda: not any(alive(pid) for pid in everybody), 40)
    rig.start()
    assert good(answer(connect(rig, GET)))


def pids_of(rig: Real) -> set[int]:
    return {w["pid"] for w in rig.workers()}


def children(pid: int) -> set[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as listing:
        return {int(word) for word in listing.read().split()}


def test_19_signals_to_the_whole_group_reach_the_master_alone(rig):
    rig.start()
    pids = rig.worker_pids()
    with Mixed(rig) as load:
        for name in ("USR2", "TTIN", "TTOU"):
            for pid in pids:
                kill(pid, name)  # what is the master's own does nothing to a worker
        for pid in pids:
            kill(pid, "INT")
        assert rig.worker_pids() == pids
        os.killpg(rig.process.pid, signal.SIGHUP)
        until(lambda: rig.settled_on(2), 60)
    load.nothing_lost()
    os.killpg(rig.process.pid, signal.SIGINT)
    assert rig.process.wait(20) == 0
    assert not any(alive(pid) and b"pingpy" in cmdline(pid) for pid in pids)


def test_22_an_http2_preface_without_a_request_may_still_have_one(rig):
    rig.start()
    client = h2.connection.H2Connection()
    client.initiate_connection()
    with Mixed(rig) as load, connect(rig, client.data_to_send()) as sock:
        client.receive_data(sock.recv(65536))
        assert rig.tell("reload", no_probation=True, timeout=60)["code"] == 0
        head = {":method": "GET", ":path": "/bytes/100", ":scheme": "http", ":authority": "x"}
        client.send_headers(1, list(head.items()), end_stream=True)
        sock.sendall(client.data_to_send())
        # Read frame by frame (RFC 9113 section 4.1): h2 has no ears for a stream after the first GOAWAY.
        file, frames = sock.makefile("rb"), []
        while not (frames and frames[-1][0] == 0 and frames[-1][1] & 1):  # DATA, END_STREAM
            prefix = file.read(9)
            assert len(prefix) == 9, frames
            frames.append((prefix[3], prefix[4], file.read(int.from_bytes(prefix[:3], "big"))))
    assert sum(len(payload) for kind, _, payload in frames if kind == 0) == 100
    load.nothing_lost()


@pytest.mark.parametrize("verb", ["reload", "upgrade"])
def test_22_clients_in_awkward_moments_get_their_first_answer(rig, verb):
    """Accepted and silent, half a head, two requests at once, a body that waits for its 100."""
    rig.settings["drain_linger"] = 0.3
    rig.write()
    rig.start()
    silent, half = connect(rig), connect(rig, GET[:30])
    idle = connect(rig, KEPT)
    assert good(answer(idle))
    pipelined = connect(rig, KEPT.replace(b"/bytes/100", b"/poll") + GET)
    pending = connect(
        rig,
        b"POST /upload HTTP/1.1\r\nHost: x.test\r\nExpect: 100-continue\r\nConnection: close\r\n"
        b"Content-Length: 5\r\n\r\n",
    )
    with Mixed(rig) as load:
        assert rig.tell(verb, no_probation=True, timeout=60)["code"] == 0
        time.sleep(1)  # longer than the linger: who has not had an answer yet is not idle
        for sock, rest in ((silent, GET), (half, GET[30:])):
            sock.sendall(rest)
            assert good(answer(sock))
        got = b""
        while b"ok" not in got or not got.endswith(b"0123"):
            part = pipelined.recv(65536)
            assert part, got
            got += part
        pending.sendall(b"12345")
        assert b"\r\n\r\n5" in b"".join(iter(lambda: pending.recv(65536), b""))
        assert idle.recv(10) == b""  # it was at rest, and lingered
    load.nothing_lost()
    until(lambda: rig.settled_on(2), 60)
