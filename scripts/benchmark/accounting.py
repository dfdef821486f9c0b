"""What a process has cost so far: CPU time in nanoseconds from the scheduler, memory by proportional share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """Direct children, of every thread."""
    found: list[int] = []
    try:
        for task in (PROC / str(pid) / "task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    except OSError:
        pass
    return found


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


def name_of(pid: int) -> str:
    """What the process calls itself."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def cpu_us(pids: list[int]) -> float:
    """Run time so far; the scheduler counts nanoseconds, the system's share included."""
    total = 0
    for pid in pids:
        try:
            for task in (PROC / str(pid) / "task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            continue
    return total / 1000


def pss_bytes(pid: int) -> int:
    """Memory with every shared page divided among those who share it."""
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def busy_us() -> float:
    """CPU time of the whole machine that was not idle."""
    words = [int(word) for word in (PROC / "stat").read_text().splitlines()[0].split()[1:]]
    ticks = sum(words[:3]) + sum(words[5:8])
    return ticks / os.sysconf("SC_CLK_TCK") * 1e6


def has_counters() -> bool:
    """Whether perf can count instructions here: virtual machines often hide the counters."""
    try:
        done = subprocess.run(
            ["perf", "stat", "-x,", "-e", "instructions:u", "true"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0 and done.stderr.split(",")[0].strip().isdigit()


class Instructions:
    """perf stat attached to processes while a slice runs."""

    def __init__(self, pids: list[int], output: Path) -> None:
        self.output = output
        what = ["-e", "instructions:u,instructions:k", "-p", ",".join(map(str, pids))]
        self.perf = subprocess.Popen(
            ["perf", "stat", "-x,", "-o", str(output), *what],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> tuple[int, int]:
        """User and kernel instructions since it was attached."""
        self.perf.send_signal(2)
        self.perf.wait()
        counted = {"instructions:u": 0, "instructions:k": 0}
        for line in self.output.read_text().splitlines():
            words = line.split(",")
            if len(words) > 3 and words[0].isdigit():
                counted[words[2]] = int(words[0])
        return counted["instructions:u"], counted["instructions:k"]
