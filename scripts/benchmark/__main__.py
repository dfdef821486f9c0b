"""The command: `scripts/bench` for the table of costs, `scripts/bench reload` for what clients see of reloads."""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from benchmark import accounting, endurance, extras, instructions, reload, report
from benchmark.generator import Generator, build
from benchmark.ports import free_ports
from benchmark.rounds import Plan, Samples, Slice, interleave, measure
from benchmark.rows import ROWS, Row, judge
from benchmark.servers import ROOT, Origins, Server, available, build_pingora, grpc_origin

LONG_COUNTS = (200, 20)
EXTRAS = ("memory", "latency", "growth", "reuse")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("what", nargs="?", default="cost", choices=["cost", "reload"])
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument(
        "--long", action="store_true", help="reload: 200 reloads and 20 upgrades of pingpy alone"
    )
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each slice")
    parser.add_argument("--rows", nargs="*", default=[row.name for row in ROWS])
    parser.add_argument("--servers", nargs="*", help="only these")
    parser.add_argument("--extras", nargs="*", default=list(EXTRAS), choices=EXTRAS)
    parser.add_argument("--quick", action="store_true", help="two short rounds, no extras")
    parser.add_argument("--pingora", action="store_true", help="build the Pingora side first")
    parser.add_argument(
        "--instructions",
        nargs="*",
        metavar="KIND",
        help="count them by callgrind; only of kinds whose name contains one of the words",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "bench-results")
    return parser.parse_args()


def cpus() -> tuple[int | None, int | None]:
    """A CPU for the proxy and one for the load; one CPU alone is shared unpinned."""
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


class Bench:
    """One run: everything started once, rows taken in turn, everything stopped."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self.options = options
        self.directory = directory
        self.proxy_cpu, self.load_cpu = cpus()
        rounds, seconds = (2, 0.5) if options.quick else (options.rounds, options.seconds)
        self.plan = Plan(rounds, seconds, accounting.has_counters(), directory)
        program = ROOT / "build" / "benchmark" / "loadgen"
        self.origins = Origins(*free_ports(2))
        self.generator = Generator(program, self.origins.port, self.load_cpu)
        self.servers: dict[str, Server] = {}
        self.grpc_origin: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start every proxy there is."""
        self.grpc_origin = grpc_origin(self.directory, self.origins, self.load_cpu)
        for name, server in available(self.directory, self.origins).items():
            if self.options.servers is None or name in self.options.servers:
                server.start(self.directory, self.proxy_cpu)
                self.servers[name] = server

    def stop(self) -> None:
        """Stop what was started."""
        for server in self.servers.values():
            server.stop()
        self.generator.stop()
        if self.grpc_origin is not None:
            self.grpc_origin.terminate()
            self.grpc_origin.wait(10)

    def row(self, row: Row) -> Samples:
        """Measure one row with whoever is here."""
        here = [name for name in row.servers if name in self.servers]

        def take(name: str) -> Slice:
            server = self.servers[name]
            port = server.port_for(row.load, row.big_buffers)
            return measure(server, self.generator, row.load, self.plan, port)

        return interleave(here, self.plan.rounds, take)

    def extra(self, name: str) -> list[extras.Finding]:
        """Measure one of the extras."""
        if name == "memory":
            return extras.memory(self.servers, self.generator)
        if name == "latency":
            return extras.latency(self.servers, self.generator, self.plan)
        if name == "growth":
            growth = extras.Growth(self.directory, self.generator, self.plan)
            return growth.run(self.proxy_cpu)
        return extras.reuse(self.directory, self.generator, self.plan, self.proxy_cpu)


def run(bench: Bench, options: argparse.Namespace) -> None:
    """Take the rows and the extras, printing each when it is there."""
    for key, value in report.machine().items():
        print(f"{key:12} {value}")
    taken: list[tuple[Row, Samples]] = []
    verdicts = []
    found: dict[str, list[extras.Finding]] = {}
    bench.start()
    # Memory first: a worker at rest is one that has not yet carried any load.
    wanted = [] if options.quick else sorted(options.extras, key=lambda name: name != "memory")
    for name in wanted[:1] if wanted[:1] == ["memory"] else []:
        found[name] = show(name, bench.extra(name))
    for row in ROWS:
        if row.name in options.rows:
            taken.append((row, bench.row(row)))
            print("\n" + report.table(*taken[-1]), flush=True)
            verdicts += judge(*taken[-1])
    for name in wanted:
        if name not in found:
            found[name] = show(name, bench.extra(name))
    print("\nBars\n" + "\n".join(report.verdict_lines(verdicts)))
    print("\n" + report.markdown(taken))
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"\n{report.save(options.output, taken, found)}")
    if path := report.plot(options.output, taken):
        print(path)


def show(name: str, findings: list[extras.Finding]) -> list[extras.Finding]:
    """Print an extra."""
    print(f"\n{name}")
    for what, figure in findings:
        print(f"  {what:32} {figure}", flush=True)
    return findings


def main() -> None:
    """Do what the command line asks."""
    options = arguments()
    if options.pingora:
        build_pingora()
    build(ROOT / "build" / "benchmark")
    if options.instructions is not None:
        program = ROOT / "build" / "benchmark" / "loadgen"
        instructions.report(program, options.output, options.instructions)
        return
    with tempfile.TemporaryDirectory(prefix="pingpy-bench-") as scratch:
        os.chmod(scratch, 0o755)  # nginx's worker is another user
        if options.what == "reload":
            program = ROOT / "build" / "benchmark" / "loadgen"
            if options.long:
                origin, port = free_ports(2)
                found = endurance.run(program, Path(scratch), (origin, port), LONG_COUNTS, print)
                print("\n".join(found.lines()))
            else:
                reload.run(program, Path(scratch), options.reloads, options.servers)
            return
        bench = Bench(options, Path(scratch))
        try:
            run(bench, options)
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
