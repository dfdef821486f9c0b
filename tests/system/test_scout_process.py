"""The scout as a process: forked with a context, driven over its channel, seen through shared memory."""

import http.server
import json
import os
import signal
import socket
import threading
import time
import traceback

import pytest

from pingpy import control
from pingpy.config.source import ConfigSource
from pingpy.control import SCOUT_SLOT, Channel, WorkerContext
from pingpy.shared import Region
from pingpy.shared.layout import PROBE_DOWN, PROBE_UP
from worker.plane.peer_cells import PeerCells
from worker.policy.health_cells import HealthCells
from worker.scout import main

GENERATION = 7


class Origin(http.server.BaseHTTPRequestHandler):
    """200 to everything, counted."""

    def do_GET(self):
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        return


@pytest.fixture
def origin():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    server.asked, server.status = 0, 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Forked:
    """A scout in a child, as the master starts it: signals blocked, one end of a channel."""

    def __init__(self, text):
        self.region = Region.create()
        slab = self.region.claim_slab(GENERATION, SCOUT_SLOT, "scout")
        self.slab = self.region.slab(slab)
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        source = ConfigSource("config.toml", text.encode())
        context = WorkerContext(
            generation=GENERATION,
            slot=SCOUT_SLOT,
            worker_count=1,
            cpu=0,
            channel=right,
            source=source,
            region_fd=self.region.fd,
            slab=slab,
            parent_pid=os.getpid(),
            config_hash=source.sha256,
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                left.close()
                code = main(context)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        right.close()
        left.settimeout(10)
        self.channel = Channel(left)
        self.cells = HealthCells(self.region, PeerCells(self.region, slab))
        self.code = None

    def hear(self):
        received = self.channel.receive()
        return None if received is None else received[0]

    def exit_code(self, seconds=10):
        deadline = time.monotonic() + seconds
        while self.code is None and time.monotonic() < deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
            else:
                time.sleep(0.01)
        return self.code

    def directory(self):
        _, blob = self.region.directory(GENERATION).read()
        return json.loads(blob)["names"] if blob else {}

    def close(self):
        if self.exit_code(0) is None:
            os.kill(self.pid, signal.SIGKILL)
            self.exit_code()
        self.channel.close()


@pytest.fixture
def scout(origin):
    text = f"""
    [health_check]
    interval = 0.2
    timeout = 0.1
    [proxy]
    [[proxy.rules]]
    path = "/*"
    upstream = "http://localhost:{origin.server_port}"
    """
    forked = Forked(text)
    yield forked
    forked.close()


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_its_life_over_the_channel(scout, origin):
    address = f"127.0.0.1:{origin.server_port}"
    key = f"localhost:{origin.server_port}|{address}"
    hello = scout.hear()
    assert (hello.pid, hello.generation, hello.slot) == (scout.pid, GENERATION, SCOUT_SLOT)
    assert isinstance(scout.hear(), control.Ready)
    until(lambda: address in scout.directory().get(f"localhost:{origin.server_port}", ()))
    assert origin.asked == 0
    scout.channel.send(control.Go())
    assert isinstance(scout.hear(), control.Accepting)
    until(lambda: scout.cells.read(key) == PROBE_UP)
    origin.status = 500
    until(lambda: scout.cells.read(key) == PROBE_DOWN)
    assert scout.slab.pid == scout.pid
    beat = scout.slab.beat_us
    until(lambda: scout.slab.beat_us > beat)
    scout.channel.send(control.Drain("reload", 60, 600, 5))
    assert isinstance(scout.hear(), control.Drained)
    time.sleep(0.15)
    seen = origin.asked
    time.sleep(0.5)
    assert origin.asked == seen
    scout.channel.send(control.Resume())
    assert isinstance(scout.hear(), control.Accepting)
    until(lambda: origin.asked > seen)
    scout.channel.send(control.Stop())
    assert scout.exit_code() == 0


@pytest.mark.parametrize("ending", ["eof", "SIGTERM", "SIGQUIT"])
def test_it_ends_with_its_master_and_by_a_signal(scout, ending):
    assert isinstance(scout.hear(), control.Hello)
    assert isinstance(scout.hear(), control.Ready)
    if ending == "eof":
        scout.channel.close()
    else:
        os.kill(scout.pid, getattr(signal, ending))
    assert scout.exit_code() == 0


def test_the_masters_signals_mean_nothing_to_it(scout):
    assert isinstance(scout.hear(), control.Hello)
    assert isinstance(scout.hear(), control.Ready)
    for name in ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTTIN", "SIGTTOU"):
        os.kill(scout.pid, getattr(signal, name))
    scout.channel.send(control.Go())
    assert isinstance(scout.hear(), control.Accepting)
    scout.channel.send(control.Stop())
    assert scout.exit_code() == 0


def test_a_failure_is_told_before_the_exit():
    forked = Forked("[proxy]\nno_such_key = 1\n")
    try:
        message = forked.hear()
        assert isinstance(message, control.Fatal)
        assert "no_such_key" in message.message
        assert "Traceback" in message.traceback
        assert forked.exit_code() == 1
    finally:
        forked.close()
