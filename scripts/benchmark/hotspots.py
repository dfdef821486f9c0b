"""Which functions a request's instructions go to: the difference of two callgrind profiles, per request."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

LINE = re.compile(r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+\S*:([^\s\[]+)")
PREFIX = re.compile(r"^__pyx_\w*?worker_5plane_\d+")  # Cython's mangling, up to the module's name


def functions(profile: Path) -> Counter[str]:
    """Instructions by function, callees left out."""
    done = subprocess.run(
        ["callgrind_annotate", "--auto=no", "--threshold=100", str(profile)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        if match := LINE.match(line):
            found[PREFIX.sub("", match[2])] += int(match[1].replace(",", ""))
    return found


def hottest(few: Path, many: Path, requests: int, count: int = 25) -> list[tuple[str, float]]:
    """The functions that cost most per request."""
    difference = functions(many)
    difference.subtract(functions(few))
    return [(name, cost / requests) for name, cost in difference.most_common(count)]
