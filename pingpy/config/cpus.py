"""How many CPUs we may use: the affinity mask, bounded by the control group's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path


def quota_cpus(cpu_max: str) -> int | None:
    """The CPUs that a cgroup's cpu.max ("quota period", or "max period") allows, rounded up."""
    parts = cpu_max.split()
    if len(parts) != 2 or parts[0] == "max":
        return None
    return max(1, math.ceil(int(parts[0]) / int(parts[1])))


def allowed_cpus(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The number of CPUs that all limits together leave us."""
    count = len(os.sched_getaffinity(0))
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return count
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder = cgroup / own.lstrip("/")
    while True:
        try:
            quota = quota_cpus((folder / "cpu.max").read_text())
        except (OSError, ValueError):
            quota = None
        if quota is not None:
            count = min(count, quota)
        if folder in (cgroup, folder.parent):
            return count
        folder = folder.parent
