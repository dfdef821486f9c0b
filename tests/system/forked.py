"""A worker or scout in a child process, as the master starts it, and an origin for it: shared by system tests."""

import http.server
import json
import os
import signal
import socket
import threading
import time
import traceback
from contextlib import contextmanager

from pingpy import log
from pingpy.config.source import ConfigSource
from pingpy.control import Channel, WorkerContext
from pingpy.shared import Region

GENERATION = 7


class Origin(http.server.BaseHTTPRequestHandler):
    """The same status to everything; requests are counted and kept."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked += 1
        self.server.heads.append((self.path, self.headers))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        return


@contextmanager
def origin_server():
    """An origin on a port of its own; `asked` counts, `status` may be changed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    server.asked, server.status, server.heads = 0, 200, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Forked:
    """A scout in a child, as the master starts it: signals blocked, one end of a channel."""

    def __init__(self, entry, slot, text, path="config.toml"):
        self.region = Region.create()
        slab = self.region.claim_slab(GENERATION, slot, "scout" if slot < 0 else "worker")
        self.slab = self.region.slab(slab)
        left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        source = ConfigSource(str(path), text.encode())
        context = WorkerContext(
            generation=GENERATION,
            slot=slot,
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
                log.setup("debug", who=slot, generation=GENERATION)
                code = entry(context)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        right.close()
        left.settimeout(10)
        self.channel = Channel(left)
        self.slab_index = slab
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


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
