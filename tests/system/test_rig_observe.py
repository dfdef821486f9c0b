"""What is remembered of requests: exact counters on /metrics, whole lines in the access log, a log that rotates."""

from __future__ import annotations

import re
import signal

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rig import until

LINE = re.compile(
    r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /api/\S* HTTP/1\.1" 200 '
    r'\d+ "[^"]*" "[^"]*"'
)


def answered(rig) -> float:
    """Requests counted so far, the scrapes themselves left out."""
    families = list(text_string_to_metric_families(rig.get("/metrics").body.decode()))
    (family,) = [one for one in families if one.name == "pingpy_requests"]
    return sum(
        sample.value
        for sample in family.samples
        if sample.name == "pingpy_requests_total"
        and sample.labels.get("route", "").find("api") >= 0
    )


@pytest.mark.row("S24")
def test_a_thousand_requests_are_a_thousand_whichever_worker_is_asked(rig):
    with rig.pingpy() as server:
        for _ in range(20):
            rig.get_many("/api/count", 50)
        until(lambda: answered(rig) == 1000, 3, "all are counted")
        # Each scrape is a connection of its own, so different workers answer.
        assert {answered(rig) for _ in range(12)} == {1000}
        before = set(server.workers())
        server.process.send_signal(signal.SIGHUP)
        until(lambda: not before & set(server.workers()), 20, "a new generation, and it alone")
        assert {answered(rig) for _ in range(12)} == {1000}


def test_metrics_are_for_loopback_and_not_for_what_was_forwarded(rig):
    with rig.pingpy():
        assert b"# TYPE" in rig.get("/metrics").body
        assert b"# TYPE" not in rig.get("/metrics", {"X-Forwarded-For": "127.0.0.1"}).body
        assert b"# TYPE" not in rig.get("/metrics", host="192.168.1.1").body


@pytest.mark.row("S25")
def test_forty_thousand_requests_over_four_workers_are_as_many_whole_lines(rig):
    path = rig.edge.path("/var/log/pingpy/access.log")
    with rig.pingpy() as server:
        result = rig.exactly(40_000, "/api/forty-thousand")
        server.stop()
    assert (result["requests"], result["errors"]) == (40_000, 0)
    lines = [line for line in path.read_text().splitlines() if "/api/forty-thousand" in line]
    assert len(lines) == 40_000
    assert [line for line in lines if not LINE.fullmatch(line)] == []


@pytest.mark.row("S25")
def test_the_log_is_reopened_after_it_was_moved_away(rig):
    path = rig.edge.path("/var/log/pingpy/access.log")
    with rig.pingpy() as server:
        rig.get("/api/before")
        until(lambda: "/api/before" in path.read_text(), 3, "the first line")
        moved = path.rename(path.with_name("access.log.1"))
        server.process.send_signal(signal.SIGUSR1)
        until(path.exists, 3, "a new file")

        def all_have_it() -> bool:
            rig.get("/api/after")
            return path.read_text().count("/api/after") >= 8

        until(all_have_it, 10, "every worker writes to the new file")
        late = moved.read_text().count("/api/after")
        rig.get("/api/last")
        until(lambda: "/api/last" in path.read_text(), 3, "the last line")
        assert moved.read_text().count("/api/after") == late
