"""Hundreds of reloads and upgrades under load: what clients saw and counters say, how memory and descriptors went."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark import accounting
from benchmark.generator import Generator
from benchmark.reload_clients import Clients, Tally, percentile_ms
from benchmark.servers import Server, one_rule, pingpy
from pingpy.cli.control import exchange

FRESH, KEPT, SLOW = 6, 8, 2
WORKERS = 2
ANSWER_SECONDS = 120.0  # until a verdict, on a machine that does other things as well
SETTLE_SECONDS = 60.0
QUICK = "probation = 0.2\ndrain_linger = 0.3\n"  # else the run would be waiting for those alone
PATHS = re.compile(r'^pingpy_requests_total\{.*route="/\*".*\} (\d+)$', re.MULTILINE)


@dataclass(frozen=True)
class Footprint:
    """One master and its generation at rest, after a cycle."""

    master_kib: int
    master_descriptors: int
    tree_kib: int
    tree_descriptors: int
    processes: int


@dataclass
class Findings:
    """What a run has seen."""

    reloads: int = 0
    upgrades: int = 0
    seconds: float = 0.0
    refused: list[str] = field(default_factory=list)  # verdicts other than "done"
    tally: Tally = field(default_factory=Tally)
    counted: int = 0  # by the server, for the same time
    falls: int = 0  # scrapes that showed less than the one before
    footprints: list[Footprint] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        seen, first, last = self.tally, self.footprints[0], self.footprints[-1]
        return [
            f"{self.reloads} reloads and {self.upgrades} upgrades in {self.seconds:.0f} s,"
            f" {len(self.refused)} of them refused",
            f"answered {seen.answered}, counted by the server {self.counted}, counters fell {self.falls} times",
            f"lost {seen.lost}, races {seen.raced}, truncated {seen.truncated},"
            f" closed cleanly {seen.closed_cleanly}",
            f"p99 {percentile_ms([took for _, took in seen.times], 0.99):.1f} ms",
            f"master: {first.master_kib} -> {last.master_kib} KiB,"
            f" {first.master_descriptors} -> {last.master_descriptors} descriptors",
            f"with its workers: {first.tree_kib} -> {last.tree_kib} KiB,"
            f" {first.tree_descriptors} -> {last.tree_descriptors} descriptors,"
            f" {first.processes} -> {last.processes} processes",
        ]


class Instance:
    """A pingpy that outlives its first master."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server = server
        self.runtime_dir = str(directory / f"{server.name}.run")
        self.pid_file = directory / f"{server.name}.pid"

    def tell(self, verb: str, **options: object) -> dict[str, Any]:
        request = {"type": "COMMAND", "verb": verb, "options": options}
        return exchange(self.runtime_dir, request, ANSWER_SECONDS)

    def master(self) -> int:
        return int(self.pid_file.read_text())

    def is_at_rest(self) -> bool:
        """One generation, under the master that the pid file names, with all of its workers accepting."""
        crews = self.tell("workers").get("generations", [])
        everybody = [worker for crew in crews for worker in crew["workers"]]
        states = [one["state"] for one in everybody if one["slot"] >= 0]  # the scout has no slot
        return len(crews) == 1 and states == ["accepting"] * WORKERS and self.follows()

    def follows(self) -> bool:
        """Whether no superseded master is left; the first was our child, and waits for us to look."""
        if self.server.process is not None:
            self.server.process.poll()
        return not self.pid_file.with_name(f"{self.pid_file.name}.oldbin").exists()

    def settle(self) -> None:
        """Wait until the old generation is gone; TimeoutError when it stays."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while not self.is_at_rest():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not at rest: {self.tell('workers')}")
            time.sleep(0.05)

    def footprint(self) -> Footprint:
        master = self.master()
        pids = accounting.tree(master)
        return Footprint(
            kib(master),
            descriptors(master),
            sum(map(kib, pids)),
            sum(map(descriptors, pids)),
            len(pids),
        )

    def counted(self) -> int:
        """Requests that the server has counted for the rule that the clients ask."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/metrics") as page:
            return sum(map(int, PATHS.findall(page.read().decode())))

    def stop(self) -> None:
        """End it, whoever its master is now."""
        self.tell("stop", fast=True)
        self.server.stop()


def kib(pid: int) -> int:
    """Resident memory, pages that are shared with others divided among them."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss: +(\d+)", text, re.MULTILINE)[0])


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def in_cycles(
    instance: Instance, reloads: int, upgrades: int, say: Callable[[str], None]
) -> Findings:
    """As many cycles as there are upgrades: reloads, an upgrade, rest, a look."""
    found = Findings()
    counted_before = last = instance.counted()
    clients = Clients(instance.server.port)
    found.tally = clients.tally
    tasks = [asyncio.create_task(clients.fresh()) for _ in range(FRESH)]
    tasks += [asyncio.create_task(clients.kept()) for _ in range(KEPT)]
    tasks += [asyncio.create_task(clients.slow()) for _ in range(SLOW)]
    began = time.monotonic()
    for cycle in range(upgrades):
        share = reloads * (cycle + 1) // upgrades - reloads * cycle // upgrades
        for verb in ["reload"] * share + ["upgrade"]:
            answer = await asyncio.to_thread(instance.tell, verb)
            found.reloads += verb == "reload"
            found.upgrades += verb == "upgrade"
            if answer["code"]:
                found.refused.append(f"{verb}: {answer['text']}")
            now = await asyncio.to_thread(instance.counted)
            found.falls += now < last
            last = now
        await asyncio.to_thread(instance.settle)
        found.footprints.append(await asyncio.to_thread(instance.footprint))
        say(f"{found.reloads} reloads, {found.upgrades} upgrades: {found.footprints[-1]}")
    clients.stopping = True
    await asyncio.wait(tasks, timeout=60)
    found.seconds = time.monotonic() - began
    found.counted = await asyncio.to_thread(final_count, instance, counted_before, clients.tally)
    return found


def final_count(instance: Instance, before: int, tally: Tally) -> int:
    """What the server has counted since; the last requests are counted a moment after their answers."""
    deadline = time.monotonic() + 10
    while (counted := instance.counted() - before) < tally.answered:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return counted


def run(
    program: Path,
    directory: Path,
    ports: tuple[int, int],
    counts: tuple[int, int],
    say: Callable[[str], None],
) -> Findings:
    """Start an origin and a pingpy at `ports`, reload and upgrade it `counts` times, stop both."""
    generator = Generator(program, ports[0], None)
    server = pingpy("endurance", ports[1], directory, one_rule(ports[0]), workers=WORKERS)
    path = Path(server.command[-1])
    path.write_text(path.read_text().replace("[global]\n", f"[global]\n{QUICK}"))
    instance = Instance(server, directory)
    try:
        server.start(directory, None)
        try:
            return asyncio.run(in_cycles(instance, *counts, say))
        finally:
            instance.stop()
    finally:
        generator.stop()
