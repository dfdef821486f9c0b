"""Interleaved slices: every proxy gets its turn in every round, and ratios are taken within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import accounting
from benchmark.generator import Generator, Load
from benchmark.servers import Server

Samples = dict[str, list["Slice"]]


@dataclass(frozen=True)
class Slice:
    """What one proxy cost in one slice."""

    us: float  # CPU per request: the whole tree, of pingpy the worker alone
    tree_us: float
    requests_per_second: float
    errors: int
    p50_us: float
    p99_us: float
    load_share: float  # of its CPU that the generator used: near 1, the proxy was not saturated
    others_share: float  # of the machine that neither used
    user_kilo_instructions: float = 0
    kernel_kilo_instructions: float = 0


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    rounds: int = 6
    seconds: float = 1.5
    count_instructions: bool = False
    directory: Path = Path("/tmp")


def measure(
    server: Server, generator: Generator, load: Load, plan: Plan, port: int | None = None
) -> Slice:
    """Run one slice against one proxy."""
    pids, counted = accounting.tree(server.pid), server.carriers()
    perf = None
    if plan.count_instructions:
        perf = accounting.Instructions(counted, plan.directory / "perf.out")
        time.sleep(0.15)  # until it is attached
    wall, busy = time.monotonic(), accounting.busy_us()
    before = accounting.cpu_us(counted), accounting.cpu_us(pids), accounting.cpu_us([generator.pid])
    result = generator.run(port or server.port, load, plan.seconds)
    after = accounting.cpu_us(counted), accounting.cpu_us(pids), accounting.cpu_us([generator.pid])
    wall_us = (time.monotonic() - wall) * 1e6
    own, all_of_it, of_load = (late - early for early, late in zip(before, after, strict=True))
    of_load += result.get("cpu_us", 0)  # of a generator that came and went
    user, kernel = perf.stop() if perf else (0, 0)
    good = max(1, result["requests"])
    return Slice(
        us=own / good,
        tree_us=all_of_it / good,
        requests_per_second=result["requests"] / result["seconds"],
        errors=result["errors"],
        p50_us=result["p50_us"],
        p99_us=result["p99_us"],
        load_share=of_load / wall_us,
        others_share=max(0.0, accounting.busy_us() - busy - all_of_it - of_load) / wall_us,
        user_kilo_instructions=user / good / 1000,
        kernel_kilo_instructions=kernel / good / 1000,
    )


def interleave(names: Sequence[str], rounds: int, take: Callable[[str], Slice]) -> Samples:
    """Take a slice of each in every round, the order reversed every other round."""
    samples: Samples = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            samples[name].append(take(name))
    return samples


def ratio(samples: Samples, costly: str, cheap: str) -> float | None:
    """How many times cheaper the second is: the median over rounds of the quotient within each round."""
    if costly not in samples or cheap not in samples:
        return None
    pairs = zip(samples[costly], samples[cheap], strict=True)
    return statistics.median(one.us / other.us for one, other in pairs)


def median(slices: list[Slice], figure: str) -> float:
    """The median of one figure."""
    return float(statistics.median(getattr(one, figure) for one in slices))
