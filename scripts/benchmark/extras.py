"""What one table of costs does not show: memory, idle connections, latency at a fixed rate, growth, reuse."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from benchmark import accounting
from benchmark.generator import Generator, Load
from benchmark.ports import free_port
from benchmark.rounds import Plan, Samples, Slice, interleave, measure, median, ratio
from benchmark.servers import Server, one_rule, pingpy

IDLE_CONNECTIONS, IDLE_TLS_CONNECTIONS = 9000, 3000
WARM_SECONDS = 2.0
MOST_REST_MB = 30.0
MOST_IDLE_BYTES, MOST_IDLE_TLS_BYTES = 1200.0, 15000.0
# Connections to origins by four workers, as a multiple of those by one on the same load.
MOST_OPENED_TIMES = 1.5
REUSE_FLOOR = 10.0  # of 10,000: 99.9 % of the requests went over a connection that was there
# What a request may cost, as a multiple of the same without growth.
MOST_TIMES = {"1,000 rules": 1.1, "10,000 rules": 1.1, "1,000 peers": 1.1, "9000 idle": 1.2}
Finding = tuple[str, str]


def memory(servers: dict[str, Server], generator: Generator) -> list[Finding]:
    """Memory per worker, and what each idle connection adds to it."""
    found = []
    for name, server in servers.items():
        if name == "relay":
            continue
        ours = name.startswith("pingpy")
        rest = sum(map(accounting.pss_bytes, server.carriers()))
        bar = at_most(rest / 1e6, MOST_REST_MB) if ours else ""
        found.append((f"{name}: worker at rest", f"{rest / 1e6:.1f} MB{bar}"))
        for what, port, count, most in (
            ("idle connection", server.port, IDLE_CONNECTIONS, MOST_IDLE_BYTES),
            ("idle TLS connection", server.tls_port, IDLE_TLS_CONNECTIONS, MOST_IDLE_TLS_BYTES),
        ):
            if port:
                each, refused = idle(server, generator, port, count)
                bar = at_most(each, most) if ours else ""
                found.append((f"{name}: per {what}", f"{each:.0f} bytes{refused}{bar}"))
    return found


def idle(server: Server, generator: Generator, port: int, count: int) -> tuple[float, str]:
    """Bytes that each of so many idle connections adds, and a note of those that were refused."""
    pids = server.carriers()
    before = sum(map(accounting.pss_bytes, pids))
    held = generator.hold(port, count, tls=port == server.tls_port)
    time.sleep(1)
    each = (sum(map(accounting.pss_bytes, pids)) - before) / max(1, held["requests"])
    generator.drop()
    time.sleep(1)
    return each, f" ({held['errors']} refused)" if held["errors"] else ""


def at_most(figure: float, limit: float) -> str:
    """The verdict of a bar, to stand behind the figure."""
    return f" (at most {limit:.4g}: {'met' if figure <= limit else 'MISSED'})"


def latency(servers: dict[str, Server], generator: Generator, plan: Plan) -> list[Finding]:
    """The median and the slowest hundredth at a fixed rate, timed from when a request was due."""
    found = []
    for rate in (2000, 6000):

        def take(name: str, rate: int = rate) -> Slice:
            return measure(servers[name], generator, Load(rate=rate), plan)

        samples = interleave(list(servers), plan.rounds, take)
        for name, slices in samples.items():
            p50, p99 = median(slices, "p50_us"), median(slices, "p99_us") / 1000
            bar = ""
            if rate == 6000 and name == "pingpy" and "nginx" in samples:
                bar = at_most(p50, median(samples["nginx"], "p50_us"))
            found.append((f"{name} at {rate}/s", f"p50 {p50:.0f} us{bar}, p99 {p99:.1f} ms"))
    return found


def many_rules(count: int, origin_port: int) -> str:
    """As many rules, of which the last takes the load."""
    rules = [
        f'[[proxy.rules]]\npath = "/service-{number}/*"\nhost = "host-{number}.test"\n'
        f'upstream = "http://127.0.0.1:{origin_port}"\n'
        for number in range(count - 1)
    ]
    return "\n".join([*rules, one_rule(origin_port)])


def many_peers(count: int, origin_port: int) -> str:
    """One rule with as many peers: every address of 127.0.0.0/8 leads to the same origin."""
    addresses = [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(count)]
    listed = ", ".join(f'"http://{address}:{origin_port}"' for address in addresses)
    return f'[[proxy.rules]]\npath = "/*"\nupstream = [{listed}]\n'


class Growth:
    """Several pingpys side by side, of which each has more of something."""

    def __init__(self, directory: Path, generator: Generator, plan: Plan) -> None:
        self.directory = directory
        self.generator = generator
        self.plan = plan

    def run(self, cpu: int | None) -> list[Finding]:
        """Start them, measure, stop them."""
        origin = self.generator.origin_port
        kinds: dict[str, str] = {
            "1 rule": one_rule(origin),
            "1,000 rules": many_rules(1000, origin),
            "10,000 rules": many_rules(10_000, origin),
            "2 peers": many_peers(2, origin),
            "1,000 peers": many_peers(1000, origin),
            f"{IDLE_CONNECTIONS} idle": one_rule(origin),
        }
        servers = {
            kind: pingpy(f"pingpy-{number}", free_port(), self.directory, more)
            for number, (kind, more) in enumerate(kinds.items())
        }
        try:
            for server in servers.values():
                server.start(self.directory, cpu)
            idle = servers[f"{IDLE_CONNECTIONS} idle"]
            self.generator.hold(idle.port, IDLE_CONNECTIONS)
            for (
                server
            ) in servers.values():  # first connections to a thousand peers are not the rule
                self.generator.run(server.port, Load(), WARM_SECONDS)
            samples = interleave(list(servers), self.plan.rounds, self.taker(servers))
            self.generator.drop()
        finally:
            for server in servers.values():
                server.stop()
        return list(describe(samples))

    def taker(self, servers: dict[str, Server]) -> Callable[[str], Slice]:
        """How a slice of one kind is taken."""
        return lambda kind: measure(servers[kind], self.generator, Load(), self.plan)


def describe(samples: Samples) -> list[Finding]:
    """Each kind as a multiple of the one it grew from."""
    found = []
    for kind, slices in samples.items():
        start = "2 peers" if kind == "1,000 peers" else "1 rule"
        times = 1 / (ratio(samples, start, kind) or 1)
        limit = MOST_TIMES.get(kind)
        verdict = "" if limit is None else at_most(times, limit)
        figure = f"{median(slices, 'us'):.1f} us, {times:.2f} x {start}{verdict}"
        found.append((f"with {kind}", figure))
    return found


def reuse(directory: Path, generator: Generator, plan: Plan, cpu: int | None) -> list[Finding]:
    """Upstream connections opened per 10,000 requests, by one worker and by four on the same load."""
    found: list[Finding] = []
    medians: list[float] = []
    for workers in (1, 4):
        name, rule = f"pingpy-reuse-{workers}", one_rule(generator.origin_port)
        server = pingpy(name, free_port(), directory, rule, workers)
        server.start(directory, cpu)
        try:
            generator.run(server.port, Load(), 1.0)
            rates = []
            for _ in range(max(3, plan.rounds // 2)):
                before = generator.stats()["connections"]
                result = generator.run(server.port, Load(), 2.0)
                opened = generator.stats()["connections"] - before
                rates.append(opened * 10_000 / max(1, result["requests"]))
        finally:
            server.stop()
        medians.append(statistics.median(rates))
        figure = f"{medians[-1]:.1f} connections to the origin per 10,000 requests"
        found.append((f"{workers} worker{'s' if workers > 1 else ''}", figure))
    # One worker often opens none at all, and there is no multiple of nothing: below REUSE_FLOOR nobody looks.
    times = max(medians[1], REUSE_FLOOR) / max(medians[0], REUSE_FLOOR)
    found.append(("4 workers, of 1", f"{times:.2f} times{at_most(times, MOST_OPENED_TIMES)}"))
    return found
