"""What a run found, as a table to read, as JSON to keep, as a plot to show."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.rounds import Samples, median, ratio
from benchmark.rows import Row, Verdict
from benchmark.servers import ROOT

VERSIONS = {
    "nginx": ["nginx", "-v"],
    "haproxy": ["haproxy", "-v"],
    "caddy": ["caddy", "version"],
    "gunicorn": [sys.executable, "-m", "gunicorn", "--version"],
    "pingpy": [sys.executable, "-m", "pingpy", "--version"],
}


def first_line(command: list[str]) -> str:
    """What a program says of itself."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    except OSError:
        return "absent"
    return (done.stdout + done.stderr).strip().split("\n")[0]


def machine() -> dict[str, str]:
    """Where and when: figures mean nothing without."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    found.update({name: first_line(command) for name, command in VERSIONS.items()})
    if (ROOT / "build" / "pingora").exists():
        found["pingora"] = "0.9.1, release, fat LTO, one codegen unit, jemalloc, native CPU"
    return found


def table(row: Row, samples: Samples) -> str:
    """One row of the comparison, a line for each proxy."""
    head = f"{'':14}{'us/req':>9}{'min':>8}{'max':>8}{'req/s':>9}{'x ' + row.reference:>9}"
    lines = [f"{row.title}", f"{head}{'x relay':>9}{'load':>6}{'other':>6}{'kIu':>7}{'kIk':>7}"]
    for name, slices in samples.items():
        costs = [one.us for one in slices]
        line = f"  {name:12}{median(slices, 'us'):9.1f}{min(costs):8.1f}{max(costs):8.1f}"
        line += f"{median(slices, 'requests_per_second'):9.0f}"
        for reference in (row.reference, "relay"):
            times = ratio(samples, reference, name)
            line += f"{'-' if times is None else format(times, '.2f'):>9}"
        line += f"{median(slices, 'load_share'):6.2f}{median(slices, 'others_share'):6.2f}"
        line += f"{median(slices, 'user_kilo_instructions'):7.1f}"
        line += f"{median(slices, 'kernel_kilo_instructions'):7.1f}"
        errors = sum(one.errors for one in slices)
        lines.append(line + (f"  {errors} errors" if errors else ""))
        if name.startswith("pingpy"):
            lines.append(f"  {'  whole tree':12}{median(slices, 'tree_us'):9.1f}")
    return "\n".join(lines)


def verdict_lines(verdicts: list[Verdict]) -> list[str]:
    """The bars, met or missed."""
    lines = []
    for one in verdicts:
        word = "aim reached" if one.aimed else "met" if one.met else "MISSED"
        lines.append(
            f"  {one.row}: {one.bar.who} is {one.found:.2f} times as cheap as {one.bar.against}"
            f" (must {one.bar.must:.2f}, aim {one.bar.aim:.2f}): {word}"
        )
    return lines


def markdown(rows: list[tuple[Row, Samples]]) -> str:
    """The short table for the README: CPU per request in us, and how many times as cheap as the reference."""
    names = list(dict.fromkeys(name for _, samples in rows for name in samples))
    lines = ["| us of CPU per request | " + " | ".join(names) + " |"]
    lines.append("| --- |" + " ---: |" * len(names))
    for row, samples in rows:
        cells = [f"{median(samples[n], 'us'):.1f}" if n in samples else "" for n in names]
        lines.append(f"| {row.title} | " + " | ".join(cells) + " |")
        if row.reference not in samples:
            continue
        times = [ratio(samples, row.reference, name) for name in names]
        cells = ["" if found is None else f"{found:.2f}" for found in times]
        lines.append(f"| ... times as cheap as {row.reference} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def save(directory: Path, rows: list[tuple[Row, Samples]], found: dict[str, Any]) -> Path:
    """Everything that was measured, slice by slice."""
    content = {
        "machine": machine(),
        "rows": {
            row.name: {
                "title": row.title,
                "load": asdict(row.load),
                "slices": {name: [asdict(one) for one in s] for name, s in samples.items()},
            }
            for row, samples in rows
        },
        **found,
    }
    path = directory / "results.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def plot(directory: Path, rows: list[tuple[Row, Samples]]) -> Path | None:
    """Bars per row, pingpy's cost as the unit; nothing where matplotlib is absent."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return None
    figure, axes = pyplot.subplots(1, len(rows), figsize=(3 * len(rows), 4), squeeze=False)
    for axis, (row, samples) in zip(axes[0], rows, strict=True):
        names = list(samples)
        axis.bar(names, [median(samples[name], "us") for name in names])
        axis.set_title(row.title, fontsize=8)
        axis.set_ylabel("us of CPU per request")
        axis.tick_params(axis="x", labelrotation=60, labelsize=7)
    figure.tight_layout()
    path = directory / "results.png"
    figure.savefig(path, dpi=120)
    return path
