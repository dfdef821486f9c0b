"""worker_threads = 4: four pinned processes, one of which may die under load without anybody else noticing."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig import until


@pytest.mark.row("S7")
def test_four_workers_each_on_one_cpu_spread_evenly(rig):
    with rig.pingpy() as server:
        workers = server.workers()
        assert len(workers) == 4
        pinned = [os.sched_getaffinity(pid) for pid in workers]
    assert all(len(cpus) == 1 for cpus in pinned)
    counts = Counter(next(iter(cpus)) for cpus in pinned)
    available = len(os.sched_getaffinity(0))
    assert len(counts) == min(4, available)
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.row("S7")
def test_a_killed_worker_is_replaced_in_a_second_and_only_its_requests_are_lost(rig):
    connections = 32
    with rig.pingpy() as server, ThreadPoolExecutor(1) as pool:
        load = pool.submit(rig.wrk, "-t1", f"-c{connections}", "-d4s", path="/api/x")
        until(lambda: len(rig.requests_seen("backend", "/api/x")) > 500, 4, "load arrives")
        before = set(server.workers())
        victim = min(before)
        os.kill(victim, signal.SIGKILL)

        def replaced() -> bool:
            now = set(server.workers())
            return len(now) == 4 and victim not in now

        until(replaced, 1, "four workers again")
        result = load.result(30)
        assert before - {victim} <= set(server.workers()), "the others went on"
    assert result["requests"] > 1000
    assert result["bad"] == 0
    # wrk counts a read error for each connection that the dead one held, at most all of them.
    assert result["socket_errors"] <= connections


def test_all_four_share_the_traffic(rig):
    with rig.pingpy() as server:
        before = {pid: cpu_ticks(pid) for pid in server.workers()}
        rig.wrk("-t1", "-c64", "-d2s", path="/api/x")
        spent = [cpu_ticks(pid) - ticks for pid, ticks in before.items()]
    assert min(spent) > 0


def cpu_ticks(pid: int) -> int:
    with open(f"/proc/{pid}/schedstat") as handle:
        return int(handle.read().split()[0]) // 1_000_000
