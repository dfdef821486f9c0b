"""A peer that refuses costs no client anything; one that is killed costs only what it had begun; no POST runs twice."""

from __future__ import annotations

import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig import fetch

PLACES = ["192.168.1.104:8011", "192.168.1.104:8012", "192.168.1.104:8013"]
LISTED = ", ".join(f'"http://{place}"' for place in PLACES)
CONFIG = f"""
[global]
worker_threads = 2
[network]
listen = ["127.0.0.1:80"]
[[proxy.rules]]
upstream = [{LISTED}]
"""


@pytest.fixture
def three(rig):
    """Three origins of our own at PLACES."""
    processes = [
        rig.own_origin(f"origin{number}", place, "--delay", "0.005")
        for number, place in enumerate(PLACES)
    ]
    yield processes
    for process in processes:
        process.kill()
        process.wait(5)


@pytest.mark.row("S35")
def test_a_peer_that_begins_to_refuse_is_not_noticed_by_any_client(rig, three):
    with rig.pingpy(CONFIG), ThreadPoolExecutor(1) as pool:
        load = pool.submit(rig.wrk, "-t1", "-c16", "-d4s", path="/get")
        time.sleep(1)  # into the middle of the load
        three[0].send_signal(signal.SIGUSR1)
        result = load.result(30)
        assert {rig.get("/later").status for _ in range(30)} == {200}
    assert result["requests"] > 200
    assert (result["bad"], result["socket_errors"]) == (0, 0)


@pytest.mark.row("S35")
def test_a_killed_peer_costs_at_most_what_it_had_begun(rig, three):
    with rig.pingpy(CONFIG), ThreadPoolExecutor(1) as pool:
        load = pool.submit(rig.wrk, "-t1", "-c16", "-d4s", path="/get")
        time.sleep(1)
        three[0].kill()
        result = load.result(30)
        assert {rig.get("/later").status for _ in range(30)} == {200}
    assert result["requests"] > 200
    assert result["bad"] + result["socket_errors"] <= 16


def post(number: int) -> int:
    return int(fetch("127.0.0.1", 80, f"/post/{number}", {}, "POST", b"x" * 100).status)


@pytest.mark.row("S35")
def test_no_post_is_seen_twice_by_the_origins(rig, three):
    with rig.pingpy(CONFIG):
        jobs = [rig.edge.threads.submit(post, number) for number in range(400)]
        while sum(job.done() for job in jobs) < 100:
            time.sleep(0.01)
        three[1].send_signal(signal.SIGUSR1)
        statuses = Counter(job.result(60) for job in jobs)
        seen: Counter[str] = Counter()
        for place in (PLACES[0], PLACES[2]):
            seen.update(rig.state_of(place)["seen"])
    # Those that the second origin served are not asked for: it refuses us as well.
    assert statuses[200] + statuses[502] == 400
    assert statuses[200] >= 390
    assert max(seen.values()) == 1
