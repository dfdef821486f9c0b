"""A worker as a process: forked with a context, given a listener and a log, asked over HTTP, drained and resumed."""

import http.client
import json
import os
import signal
import socket
import time

import pytest
from forked import GENERATION, Forked, origin_server, until

from pingpy import control
from pingpy.control import Drain, ListenerItem
from worker.main import main

RELOAD = Drain("reload", 10, 20, 1)


class Worker(Forked):
    """With one listener on a port of its own, and both logs in files."""

    def __init__(self, text, folder):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.access, self.error = folder / "access.log", folder / "error.log"
        super().__init__(main, 0, text, folder / "config.toml")

    def equip(self):
        item = ListenerItem("tcp4/127.0.0.1:8080", "127.0.0.1:8080", "tcp4")
        self.channel.send(control.Listeners((item,)), [self.listener.fileno()])
        self.send_logs(control.Logs)

    def send_logs(self, kind):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        fds = [os.open(path, flags, 0o600) for path in (self.access, self.error)]
        self.channel.send(kind(("access", "error")), fds)
        for fd in fds:
            os.close(fd)

    def start(self):
        self.equip()
        assert isinstance(self.hear(), control.Hello)
        ready = self.hear()
        assert isinstance(ready, control.Ready), ready
        self.channel.send(control.Go())
        assert isinstance(self.hear(), control.Accepting)
        return self

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path, connection=None, headers=None):
        asked = connection or self.connection()
        asked.request("GET", path, headers=headers or {})
        response = asked.getresponse()
        body = response.read()
        if connection is None:
            asked.close()
        return response, body

    def close(self):
        super().close()
        self.listener.close()


@pytest.fixture
def origin():
    with origin_server() as server:
        yield server


@pytest.fixture
def launch(origin, tmp_path):
    made = []

    def run(extra="", upstream=None):
        upstream = upstream or f"http://127.0.0.1:{origin.server_port}"
        text = f"""
        [global]
        log_level = "debug"
        [network]
        listen = ["127.0.0.1:8080"]
        {extra}
        [[proxy.rules]]
        path = "/*"
        upstream = "{upstream}"
        """
        made.append(Worker(text, tmp_path))
        return made[-1]

    yield run
    for worker in made:
        worker.close()


def test_from_go_to_stop(launch, origin):
    worker = launch()
    early = worker.connection()
    early.connect()  # the kernel's queue holds it until GO
    worker.start()
    response, _ = worker.get("/early", early)
    assert response.status == 200
    assert origin.heads[0][1]["X-Forwarded-For"] == "127.0.0.1"
    for _ in range(3):
        assert worker.get("/more", early)[0].status == 200
    until(lambda: worker.slab.connections == 1)
    worker.channel.send(control.Stop())
    assert worker.exit_code() == 0
    lines = worker.access.read_text().splitlines()
    assert [line.split('"')[1] for line in lines] == ["GET /early HTTP/1.1"] + [
        "GET /more HTTP/1.1"
    ] * 3


def test_a_drain_loses_nobody_and_can_be_taken_back(launch):
    worker = launch().start()
    kept = worker.connection()
    assert worker.get("/1", kept)[0].getheader("Connection") is None
    worker.channel.send(RELOAD)
    time.sleep(0.2)
    late = worker.connection()
    late.connect()
    response, _ = worker.get("/2", kept)
    assert response.status == 200
    assert response.getheader("Connection") == "close"
    assert isinstance(worker.hear(), control.Drained)
    worker.channel.send(control.Resume())
    assert isinstance(worker.hear(), control.Accepting)
    response, _ = worker.get("/3", late)
    assert response.status == 200
    assert response.getheader("Connection") is None


def test_an_idle_connection_is_closed_only_after_its_silence(launch):
    worker = launch().start()
    kept = worker.connection()
    worker.get("/1", kept)
    began = time.monotonic()
    worker.channel.send(RELOAD)
    assert isinstance(worker.hear(), control.Drained)
    assert 0.9 < time.monotonic() - began < 5


def test_an_orphan_serves_to_the_end_and_goes(launch, origin):
    worker = launch().start()
    kept = worker.connection()
    worker.get("/1", kept)
    worker.channel.close()
    time.sleep(0.2)
    response, _ = worker.get("/2", kept)
    assert (response.status, response.getheader("Connection")) == (200, "close")
    assert worker.exit_code() == 0


def test_a_signal_makes_it_leave(launch):
    worker = launch().start()
    os.kill(worker.pid, signal.SIGHUP)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.hear() == control.Leaving("SIGTERM")
    assert worker.exit_code() == 0


def test_readiness_turns_at_a_stop_and_not_at_a_reload(launch):
    worker = launch().start()
    kept = worker.connection()
    assert worker.get("/readyz", kept)[0].status == 200
    assert worker.get("/healthz", kept)[0].status == 200
    other = worker.connection()
    worker.get("/readyz", other)
    worker.channel.send(RELOAD)
    time.sleep(0.2)
    assert worker.get("/readyz", kept)[0].status == 200
    worker.channel.send(control.Resume())
    assert isinstance(worker.hear(), control.Accepting)
    worker.channel.send(Drain("stop", 10, 10, 1, accept_seconds=5))
    time.sleep(0.2)
    assert worker.get("/readyz")[0].status == 503


def test_logs_are_reopened(launch, tmp_path):
    worker = launch().start()
    worker.get("/before")
    worker.access.rename(tmp_path / "access.old")
    worker.send_logs(control.Reopen)
    until(lambda: "/before" in (tmp_path / "access.old").read_text())
    worker.get("/after")
    until(lambda: "/after" in worker.access.read_text())
    assert "/after" not in (tmp_path / "access.old").read_text()


def test_names_come_from_the_directory_and_change(launch, origin):
    name = "backend.test:8080"
    worker = launch(upstream=f"http://{name}")
    directory = worker.region.directory(GENERATION)
    with origin_server() as second:
        first, other = (f"127.0.0.1:{one.server_port}" for one in (origin, second))
        directory.publish(json.dumps({"names": {name: []}}).encode())
        worker.start()
        assert worker.get("/")[0].status == 502
        directory.publish(json.dumps({"names": {name: [first]}}).encode())
        until(lambda: worker.get("/")[0].status == 200)
        assert (origin.asked, second.asked) == (1, 0)
        directory.publish(json.dumps({"names": {name: [other]}}).encode())
        until(lambda: worker.get("/")[0].status == 200 and second.asked)
        seen = origin.asked
        worker.get("/")
        assert origin.asked == seen


HOOKS = """
import asyncio
import time
from pingpy import Filter, Response

class Gate(Filter[dict]):
    def __init__(self, word="open"):
        self.word = word

    async def startup(self, worker):
        await asyncio.sleep(0)
        self.slot = worker.slot

    def new_ctx(self):
        return {}

    async def request_filter(self, session, ctx):
        await asyncio.sleep(0.01)
        ctx["path"] = session.request.target
        if session.request.target == "/broken":
            raise KeyError("user")
        if session.request.target == "/slow":
            time.sleep(1.0)
        if session.request.headers.get("X-Word") != self.word.encode():
            return Response(403, [("X-Slot", str(self.slot))], "no\\n")

    def upstream_request_filter(self, session, request, ctx):
        request.headers.set("X-Seen", ctx["path"])

    def response_filter(self, session, response, ctx):
        response.headers.set("X-Gate", self.word)
"""


def test_hooks_answer_change_and_fail_alone(launch, origin, tmp_path):
    (tmp_path / "gate.py").write_text(HOOKS)
    extra = """
    [[modules]]
    path = "gate.py"
    class = "Gate"
    options = {word = "please"}
    [proxy]
    filters = ["gate"]
    """
    worker = launch(extra).start()
    kept = worker.connection()
    response, body = worker.get("/a", kept)
    assert (response.status, body, response.getheader("X-Slot")) == (403, b"no\n", "0")
    response, _ = worker.get("/b", kept, {"X-Word": "please"})
    assert (response.status, response.getheader("X-Gate")) == (200, "please")
    assert origin.heads[0][1]["X-Seen"] == "/b"
    assert worker.get("/broken", kept, {"X-Word": "please"})[0].status == 500
    assert worker.get("/b", None, {"X-Word": "please"})[0].status == 200
    until(lambda: "request_filter raised KeyError: 'user'" in worker.error.read_text())
    assert f"at {tmp_path}/gate.py:" in worker.error.read_text()
    worker.get("/slow", None, {"X-Word": "please"})
    until(lambda: "the event loop has been blocked" in worker.error.read_text())
    assert f"Gate.request_filter ({tmp_path}/gate.py:" in worker.error.read_text()


WRONG = """
from pingpy import Filter, Peer, ProxyApp

class Wrong(ProxyApp[None]):
    async def request_filter(self, session, ctx):
        return "no response" if session.request.target == "/text" else None

    def upstream_peer(self, session, ctx):
        if session.request.target == "/exit":
            raise SystemExit(3)
        return Peer("backend", 80) if session.request.target == "/name" else None
"""


def test_an_answer_that_cannot_be_used_is_a_500_for_that_request_alone(launch, tmp_path):
    (tmp_path / "wrong.py").write_text(WRONG)
    module = '[[modules]]\npath = "wrong.py"\nclass = "Wrong"\n[proxy]\nfilters = ["wrong"]\n'
    worker = launch(module).start()
    kept = worker.connection()
    for path in ("/text", "/name", "/exit"):
        assert worker.get(path, kept)[0].status == 500, path
        assert worker.get("/good", kept)[0].status == 200
    until(lambda: "a peer's host is an address, not a name" in worker.error.read_text())
    assert "upstream_peer raised SystemExit: 3" in worker.error.read_text()


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("import nothing_of_that_name", 78, "No module named 'nothing_of_that_name'"),
        ("class Gate:\n    def startup(self, worker):\n        1 / 0\n", 1, "ZeroDivisionError"),
    ],
)
def test_a_broken_module_is_told_with_its_place(launch, tmp_path, source, code, said):
    (tmp_path / "gate.py").write_text(source)
    worker = launch('[[modules]]\npath = "gate.py"\nclass = "Gate"\n')
    assert isinstance(worker.hear(), control.Hello)
    fatal = worker.hear()
    assert isinstance(fatal, control.Fatal)
    assert said in fatal.message
    assert f"{tmp_path}/gate.py" in fatal.message + fatal.traceback
    assert worker.exit_code() == code
