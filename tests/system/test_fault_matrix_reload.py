"""The fault matrix, rows 1 to 6: reloads that must not be noticed, and reloads that must be refused."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from matrix_rig import Mixed, Real, decreased, descriptors, until


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """One instance for all: what is refused changes nothing, which is what is asserted."""
    rig = Real(tmp_path_factory.mktemp("matrix"))
    rig.start()
    yield rig
    rig.stop()


@pytest.fixture
def rig(shared: Real) -> Iterator[Real]:
    yield shared
    shared.write()


def refused(rig: Real, cause: str) -> None:
    """I1 to I8 around a reload of the file as it is now: it is refused for this cause, and nobody notices."""
    generation, pids, master = rig.current(), rig.worker_pids(), rig.owner()
    before, fds = rig.scrape(), descriptors(master)
    with Mixed(rig) as load:
        answer = rig.tell("reload", timeout=60)
    assert answer["code"] == 4, answer
    assert cause in answer["text"]
    assert cause.split("\n")[0] in rig.log()
    load.nothing_lost()
    until(lambda: rig.settled_on(generation), 30)
    assert rig.worker_pids() == pids
    assert rig.owner() == master
    after = rig.scrape()
    assert decreased(before, after) == []
    key = 'pingpy_reload_total{result="refused"}'
    assert after[key] == before.get(key, 0) + 1
    until(lambda: descriptors(master) <= fds, 10)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("[network\n", "config.toml:"),
        ("[limits]\nconections = 3\n", 'connections"'),
        ('[limits]\nconnections = "many"\n', "config.toml:"),
    ],
    ids=["syntax", "unknown key", "wrong type"],
)
def test_1_a_broken_file(rig, text, cause):
    rig.write(body=text)
    refused(rig, cause)


def test_2_a_taken_port(rig):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        rig.write(listen=[f"127.0.0.1:{rig.port}", f"127.0.0.1:{port}"])
        refused(rig, str(port))


def test_2_a_certificate_that_cannot_be_read(rig):
    text = rig.certificate()
    (rig.folder / "key.pem").unlink()
    rig.write(body=text)
    refused(rig, "key.pem")


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("raise ImportError('no teapot')\n", "no teapot"),
        ("class Gate:\n    def startup(self, worker):\n        1 / 0\n", "ZeroDivisionError"),
    ],
    ids=["at import", "at startup"],
)
def test_2_a_module_that_raises(rig, module, cause):
    rig.write(body=rig.module(module))
    refused(rig, cause)


def test_2_a_name_that_does_not_resolve_is_no_reason_to_refuse(rig):
    generation = rig.current()
    rig.write(
        body='[[proxy.rules]]\npath = "/nowhere"\nupstream = "http://no-such-host.invalid:80"\n'
    )
    with Mixed(rig) as load:
        answer = rig.tell("reload", timeout=60)
    assert answer["code"] == 0, answer
    load.nothing_lost()
    assert rig.current() > generation


DYING = """
import os, signal, time
class Gate:
    def startup(self, worker):
        if worker.slot >= {first}:
            {deed}
"""


@pytest.mark.parametrize(
    ("deed", "first", "cause"),
    [
        ("os._exit(1)", 1, "exit code 1"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 0, "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 1, "SIGKILL"),
    ],
    ids=["one exits", "all crash", "one is killed"],
)
def test_3_workers_that_end_before_they_are_ready(rig, deed, first, cause):
    rig.write(body=rig.module(DYING.format(deed=deed, first=first)))
    refused(rig, cause)


def test_4_a_worker_that_hangs_before_it_is_ready(rig):
    rig.write(
        body=rig.module(DYING.format(deed="time.sleep(600)", first=1)),
        upgrade_timeout=2,
    )
    refused(rig, "stuck in BUILDING")


CRASHING = """
import os
class Gate:
    def request_filter(self, session, ctx):
        if session.request.target == "/bytes/500":
            os._exit(9)
"""


def test_5_a_generation_that_crashes_on_its_first_requests_is_rolled_back(rig):
    generation, pids, before = rig.current(), rig.worker_pids(), rig.scrape()
    rig.write(body=rig.module(CRASHING), probation=30, min_uptime=0)
    with Mixed(rig) as load:
        answer = rig.tell("reload", timeout=60)
        until(lambda: rig.settled_on(generation), 60)
    assert answer["code"] == 4, answer
    assert "rolled back" in answer["text"]
    # Whoever was with a worker that died lost that connection, and nobody was turned away.
    load.nothing_lost(reset=200, lost=200, raced=200, truncated=200, failed=0)
    assert rig.worker_pids() == pids
    assert decreased(before, rig.scrape()) == []


def test_6_a_burst_of_hups(rig):
    key = 'pingpy_reload_total{result="committed"}'
    generation, before = rig.current(), rig.scrape().get(key, 0)
    with Mixed(rig) as load:
        for _ in range(50):
            rig.signal("HUP")
        until(lambda: rig.current() > generation, 60)
        until(lambda: rig.settled_on(rig.current()), 60)
    load.nothing_lost()
    assert 1 <= rig.scrape()[key] - before <= 2


def test_6_a_steady_storm_takes_every_configuration_into_service(tmp_path):
    """A HUP as soon as the last one's generation serves, at least 0.7 s apart; downloads outlive several of them."""
    rig = Real(tmp_path, probation=5, drain_timeout=60)
    rig.start()
    try:
        rss = until(lambda: min(w["rss_bytes"] for w in rig.workers() if w["slot"] >= 0))
        downloads = {"download": 6, "sse": 3, "websocket": 6}
        with Mixed(rig, {"short": 6, "kept": 6}, downloads) as load:
            for generation in range(2, 12):
                began = time.monotonic()
                rig.signal("HUP")
                until(lambda g=generation: rig.serves(g), 60)
                time.sleep(max(0.0, 0.7 - (time.monotonic() - began)))
            crews = rig.tell("workers")["generations"]
            assert len([c for c in crews if c["state"] == "retiring"]) <= 16
        load.nothing_lost()
        for generation in range(1, 12):
            until(lambda g=generation: rig.log_lines(rf"^{g} 200 "), 20)
        until(lambda: rig.settled_on(11), 60)
        assert max(w["rss_bytes"] for w in rig.workers()) < 2 * rss, (rss, rig.workers())
    finally:
        rig.stop()


def test_6_too_many_draining_generations_say_goodbye_to_their_oldest_websockets(tmp_path):
    rig = Real(tmp_path, probation=0, max_draining_generations=2)
    rig.start()
    try:
        open_ones = [websocket(rig.port) for _ in range(60)]
        with Mixed(rig, {"short": 2, "kept": 2}, {"download": 2}) as load:
            for generation in range(2, 7):
                assert rig.tell("reload", timeout=60)["code"] == 0
                open_ones += [websocket(rig.port) for _ in range(8)]
                until(lambda g=generation: rig.serves(g), 60)
            until(lambda: all(map(said_goodbye, open_ones[:60])), 60)
        load.nothing_lost()
        assert not any(map(said_goodbye, open_ones[-8:])), "those in force are left alone"
        for sock in open_ones:
            sock.close()
        until(lambda: rig.settled_on(6), 60)
    finally:
        rig.stop()


def websocket(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.sendall(
        b"GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert b" 101 " in head
    sock.setblocking(False)
    return sock


def said_goodbye(sock: socket.socket) -> bool:
    """Whether a Close frame with 1012 waits (RFC 6455 section 7.4)."""
    try:
        return sock.recv(4, socket.MSG_PEEK) == b"\x88\x02\x03\xf4"
    except BlockingIOError:
        return False
