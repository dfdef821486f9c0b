"""Hooks on a real loop: awaited, reported, caught in the act of blocking it; reports arriving at a Sentry."""

import asyncio
import contextlib
import http.server
import json
import logging
import threading
import time
import zlib

import pytest
import uvloop

from worker.hook_runner import HookRunner
from worker.lag import LagThread, LagWatch
from worker.policy.sentry import EVENTS_PER_MINUTE, SentryReporter


@pytest.fixture(autouse=True)
def log(caplog):
    logging.getLogger("pingpy").propagate = True
    caplog.set_level(logging.DEBUG, "pingpy")
    return caplog


def run(coroutine):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def test_a_failure_is_one_line_with_the_request_and_the_users_line(log, tmp_path):
    file = tmp_path / "auth.py"
    file.write_text("def check():\n    raise KeyError('user')\n")
    reported = []

    def report(*what):
        reported.append(what)
        raise OSError("no network")

    scope = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)

    async def scenario():
        runner = HookRunner(asyncio.get_running_loop(), report)
        try:
            scope["check"]()
        except KeyError as error:
            runner.failed(error, "request_filter", "abc123")

    run(scenario())
    lines = [record.getMessage() for record in log.records if record.levelno >= logging.WARNING]
    assert lines[0] == f"request abc123: request_filter raised KeyError: 'user' at {file}:2"
    assert "could not be reported" in lines[1]
    assert reported[0][1:] == ("request_filter", "abc123")


def test_a_blocking_hook_is_named_while_it_blocks(log, tmp_path):
    file = tmp_path / "sleepy.py"
    file.write_text("import time\ndef sleepy_filter():\n    time.sleep(0.8)\n")
    scope = {}
    exec(compile(file.read_text(), str(file), "exec"), scope)

    async def scenario():
        watch = LagWatch(0.2)
        thread = LagThread(watch, interval_seconds=0.1)
        thread.start()
        watch.mark(time.monotonic(), time.monotonic())
        due = time.monotonic() + 0.1
        scope["sleepy_filter"]()
        line = watch.mark(time.monotonic(), due)
        thread.stop()
        return line

    line = run(scenario())
    warnings = [r.getMessage() for r in log.records if "has been blocked" in r.getMessage()]
    assert len(warnings) == 1
    assert warnings[0].endswith(f"by sleepy_filter ({file}:3)")
    assert line.endswith(f"blocked by sleepy_filter ({file}:3)")


class FakeSentry(http.server.BaseHTTPRequestHandler):
    """Keeps the events of each envelope."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, wbits=31)
        for line in body.splitlines():
            with contextlib.suppress(ValueError):
                item = json.loads(line)
                if "exception" in item:
                    self.server.events.append(item)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *args):
        return


def test_an_exception_reaches_sentry_with_its_request_and_not_too_often():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeSentry)
    server.events = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        now = [100.0]
        dsn = f"http://key@127.0.0.1:{server.server_port}/1"
        reporter = SentryReporter(dsn, "1.2.3", clock=lambda: now[0])
        for number in range(EVENTS_PER_MINUTE + 5):
            try:
                raise RuntimeError(f"hook broke {number}")
            except RuntimeError as error:
                reporter(error, "response_filter", f"id-{number}")
        assert reporter.dropped == 5
        now[0] += 61
        reporter(RuntimeError("later"), "logging", "id-last")
        assert reporter.dropped == 0
        deadline = time.monotonic() + 20
        while len(server.events) <= EVENTS_PER_MINUTE and time.monotonic() < deadline:
            reporter.close()
        assert len(server.events) == EVENTS_PER_MINUTE + 1
        first = next(e for e in server.events if e["tags"]["request_id"] == "id-0")
        assert first["tags"]["phase"] == "response_filter"
        assert first["release"] == "pingpy@1.2.3"
        assert first["exception"]["values"][0]["value"] == "hook broke 0"
    finally:
        server.shutdown()
        server.server_close()
