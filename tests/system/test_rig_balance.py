"""How requests are shared among peers: round robin, least_conn over all workers, single names, a class of one's own."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig import fetch

HEAD = """
[global]
worker_threads = {workers}
[network]
listen = ["127.0.0.1:80"]
"""
THREE = '["http://192.168.1.100:80", "http://192.168.1.101:80", "http://192.168.1.102:8080"]'
BACKENDS = """
[[load_balancing.backends]]
name = "backend1"
address = "192.168.1.100:80"
[[load_balancing.backends]]
name = "backend2"
address = "192.168.1.101:80"
"""


def with_rules(workers: int, *rules: str) -> str:
    return HEAD.format(workers=workers) + "".join(f"[[proxy.rules]]\n{rule}\n" for rule in rules)


@pytest.mark.row("S13")
def test_round_robin_of_three_is_exact_in_one_worker(rig):
    with rig.pingpy(with_rules(1, f"upstream = {THREE}")):
        found = Counter(reply.origin for reply in rig.get_many("/", 300))
    assert found == {"backend1": 100, "backend2": 100, "backend": 100}


@pytest.mark.row("S13")
def test_round_robin_of_three_holds_over_four_workers(rig):
    with rig.pingpy(with_rules(4, f"upstream = {THREE}")):
        found = Counter(rig.get("/").origin for _ in range(300))
    assert all(abs(count - 100) <= 5 for count in found.values()), found


@pytest.mark.row("S16")
def test_a_rule_may_name_one_backend_and_only_that_is_used(rig):
    text = with_rules(1, 'path = "/one"\nupstream = "backend1"') + BACKENDS
    with rig.pingpy(text):
        assert {reply.origin for reply in rig.get_many("/one", 20)} == {"backend1"}
        assert {reply.origin for reply in rig.get_many("/", 20)} == {"backend1", "backend2"}


def test_a_backend_of_weight_0_gets_nothing_and_all_of_0_is_503(rig):
    drained = BACKENDS.replace('"192.168.1.101:80"', '"192.168.1.101:80"\nweight = 0')
    with rig.pingpy(HEAD.format(workers=1) + drained):
        assert {reply.origin for reply in rig.get_many("/", 20)} == {"backend1"}
    with rig.pingpy(HEAD.format(workers=1) + drained.replace(':80"\n[', ':80"\nweight = 0\n[')):
        assert {reply.status for reply in rig.get_many("/", 3)} == {503}


@pytest.mark.row("S17")
def test_a_balancer_of_ones_own_decides(rig):
    (rig.directory / "mine.py").write_text(
        '"""A balancer that reads the target."""\n\n\n'
        "class ByTarget:\n"
        "    def pick(self, session, peers):\n"
        "        wanted = b'.101:' if session.request.target.startswith('/second') else b'.100:'\n"
        "        return next(peer for peer in peers if wanted in peer.text)\n"
    )
    rule = f'upstream = {THREE}\nload_balancing = "mine:ByTarget"'
    with rig.pingpy(with_rules(1, rule)):
        assert {reply.origin for reply in rig.get_many("/first", 10)} == {"backend1"}
        assert {reply.origin for reply in rig.get_many("/second", 10)} == {"backend2"}


@pytest.fixture
def fast_and_slow(rig):
    """Two origins of which one takes 2 s; addresses by name."""
    places = {"fast": "192.168.1.104:8001", "slow": "192.168.1.104:8002"}
    started = [
        rig.own_origin("fast", places["fast"], "--delay", "0.02", "--jitter", "0.04"),
        rig.own_origin("slow", places["slow"], "--delay", "2"),
    ]
    yield places
    for process in started:
        process.kill()
        process.wait(5)


def in_flight(place: str) -> int:
    """What an origin has under way; asked in a thread of the origins' namespace."""
    host, _, port = place.rpartition(":")
    return int(json.loads(fetch(host, int(port), "/__state").body)["in_flight"])


def watch(rig, places, algorithm: str) -> tuple[float, float]:
    """Under 40 at once: the share of samples in which slow had not more than its due, and fast's share."""
    listed = ", ".join(f'"http://{place}"' for place in places.values())
    workers = 4
    rule = f'upstream = [{listed}]\nload_balancing = "{algorithm}"'
    fair = []
    with rig.pingpy(with_rules(workers, rule)), ThreadPoolExecutor(1) as pool:
        load = pool.submit(rig.wrk, "-t1", "-c40", "-d5s", "--timeout", "10s")
        while not load.done():
            asked = [
                rig.origin.threads.submit(in_flight, places[name]) for name in ("slow", "fast")
            ]
            slow, fast = (answer.result(10) for answer in asked)
            if slow + fast > 20:
                fair.append(slow <= fast + workers)
            time.sleep(0.05)
        load.result()
        served = {name: rig.state_of(place)["served"] for name, place in places.items()}
    assert len(fair) > 20
    return sum(fair) / len(fair), served["fast"] / sum(served.values())


@pytest.mark.row("S14")
def test_least_conn_counts_over_all_workers(rig, fast_and_slow):
    fair, fast_share = watch(rig, fast_and_slow, "least_conn")
    # Two origins cannot be asked in the same moment: a stray sample is the asking, not the counting.
    assert fair > 0.9
    assert fast_share > 0.9


@pytest.mark.row("S14")
def test_round_robin_is_the_control_that_fails_both(rig, fast_and_slow):
    fair, fast_share = watch(rig, fast_and_slow, "round_robin")
    assert fair < 0.5
    assert fast_share < 0.9
