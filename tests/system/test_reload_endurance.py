"""Reloads and upgrades by the dozen under load: nobody notices, the counters add up, nothing grows.

PINGPY_RELOADS=200 PINGPY_UPGRADES=20 makes it the long run, which `scripts/bench reload --long` is as well.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from free_ports import free_port

ROOT = Path(__file__).resolve().parents[2]
RELOADS = int(os.environ.get("PINGPY_RELOADS", "40"))
UPGRADES = int(os.environ.get("PINGPY_UPGRADES", "5"))
SLACK_KIB = 8 << 10  # what the allocators of a master, a scout and two workers may differ by
SLACK_DESCRIPTORS = 64  # connections that happen to be open; a leak is one or more for each reload


@pytest.mark.timeout(1800)
def test_reloads_and_upgrades_under_load_lose_nothing_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from benchmark import endurance
    from benchmark.generator import build

    build(tmp_path)
    ports = (free_port(), free_port())
    found = endurance.run(tmp_path / "loadgen", tmp_path, ports, (RELOADS, UPGRADES), print)
    print("\n".join(found.lines()), file=sys.stderr)
    assert (found.reloads, found.upgrades, found.refused) == (RELOADS, UPGRADES, [])
    seen = found.tally
    assert (seen.lost, seen.raced, seen.truncated) == (0, 0, 0)
    assert seen.closed_cleanly > 0
    assert (found.counted, found.falls) == (seen.answered, 0)
    first, last = found.footprints[0], found.footprints[-1]
    assert last.processes == first.processes
    assert last.master_descriptors <= first.master_descriptors + 3
    assert last.tree_descriptors <= first.tree_descriptors + SLACK_DESCRIPTORS
    if os.environ.get("PINGPY_SANITIZED"):
        return  # the sanitizers keep what was freed
    assert last.master_kib <= first.master_kib + SLACK_KIB
    assert last.tree_kib <= first.tree_kib + SLACK_KIB
