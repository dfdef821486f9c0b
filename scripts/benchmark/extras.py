"""What one table of costs does not show: memory, idle connections, latency at a fixed rate, growth, reuse."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
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
REUSE_REQUESTS, REUSE_SECONDS = 10_000, 60.0
# The bar is about kept connections; new ones for every request fall to workers by chance, now more here, now there.
REUSE_LOADS = {"kept": Load(), "a connection each": Load(close_each=True)}
# What a request may cost, as a multiple of the same without growth.
MOST_TIMES = {
    "1,000 rules": 1.1,
    "10,000 rules": 1.1,
    "1,000 peers": 1.1,
    "1,000 peers and clients": 1.1,
    "9000 idle": 1.2,
}
MANY_CONNECTIONS = 1000
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


@dataclass(frozen=True)
class Kind:
    """One configuration, its load, and the kind that it has grown from."""

    more: str
    start: str
    load: Load = field(default_factory=Load)


def kinds_of_growth(origin: int) -> dict[str, Kind]:
    """What is compared. Peers twice: a thousand of them also have more connections than two, which cost something."""
    many = Load(connections=MANY_CONNECTIONS)
    two, thousand = many_peers(2, origin), many_peers(1000, origin)
    return {
        "1 rule": Kind(one_rule(origin), "1 rule"),
        "1,000 rules": Kind(many_rules(1000, origin), "1 rule"),
        "10,000 rules": Kind(many_rules(10_000, origin), "1 rule"),
        "2 peers": Kind(two, "2 peers"),
        "1,000 peers": Kind(thousand, "2 peers"),
        "2 peers, 1,000 clients": Kind(two, "2 peers", many),
        "1,000 peers and clients": Kind(thousand, "2 peers, 1,000 clients", many),
        f"{IDLE_CONNECTIONS} idle": Kind(one_rule(origin), "1 rule"),
    }


class Growth:
    """Several pingpys side by side, of which each has more of something."""

    def __init__(self, directory: Path, generator: Generator, plan: Plan) -> None:
        self.directory = directory
        self.generator = generator
        self.plan = plan

    def run(self, cpu: int | None) -> list[Finding]:
        """Start them, measure, stop them."""
        kinds = kinds_of_growth(self.generator.origin_port)
        servers = {
            kind: pingpy(f"pingpy-{number}", free_port(), self.directory, how.more)
            for number, (kind, how) in enumerate(kinds.items())
        }
        try:
            for server in servers.values():
                server.start(self.directory, cpu)
            idle = servers[f"{IDLE_CONNECTIONS} idle"]
            self.generator.hold(idle.port, IDLE_CONNECTIONS)
            for kind, server in servers.items():
                # First connections to a thousand peers are not the rule.
                self.generator.run(server.port, kinds[kind].load, WARM_SECONDS)
            samples = interleave(list(servers), self.plan.rounds, self.taker(servers, kinds))
            self.generator.drop()
        finally:
            for server in servers.values():
                server.stop()
        return list(describe(samples, kinds))

    def taker(self, servers: dict[str, Server], kinds: dict[str, Kind]) -> Callable[[str], Slice]:
        """How a slice of one kind is taken."""
        return lambda kind: measure(servers[kind], self.generator, kinds[kind].load, self.plan)


def describe(samples: Samples, kinds: dict[str, Kind]) -> list[Finding]:
    """Each kind as a multiple of the one it grew from."""
    found = []
    for kind, slices in samples.items():
        start = kinds[kind].start
        times = 1 / (ratio(samples, start, kind) or 1)
        limit = MOST_TIMES.get(kind)
        verdict = "" if limit is None else at_most(times, limit)
        figure = f"{median(slices, 'us'):.1f} us, {times:.2f} x {start}{verdict}"
        found.append((f"with {kind}", figure))
    return found


def reuse(directory: Path, generator: Generator, plan: Plan, cpu: int | None) -> list[Finding]:
    """Connections that one worker and four open to the origin for the same requests, from a cold start.

    Cold, because a pool that has what it needs opens none for hours, and there is no multiple of nothing.
    """
    found: list[Finding] = []
    for kind, load in REUSE_LOADS.items():
        opened: dict[int, list[int]] = {1: [], 4: []}
        for _ in range(max(3, plan.rounds // 2)):
            for workers in opened:
                name = f"pingpy-reuse-{workers}"
                rule = one_rule(generator.origin_port)
                server = pingpy(name, free_port(), directory, rule, workers)
                opened[workers].append(opened_cold(server, directory, generator, load, cpu))
        pairs = zip(opened[1], opened[4], strict=True)
        times = statistics.median(four / one for one, four in pairs)
        for workers, counts in opened.items():
            what = f"{kind}, {workers} worker{'s' if workers > 1 else ''}"
            figure = f"{statistics.median(counts):.0f} connections for {REUSE_REQUESTS:,} requests"
            found.append((what, figure))
        verdict = at_most(times, MOST_OPENED_TIMES) if kind == "kept" else ""
        found.append((f"{kind}, 4 workers, of 1", f"{times:.2f} times{verdict}"))
    return found


def opened_cold(
    server: Server, directory: Path, generator: Generator, load: Load, cpu: int | None
) -> int:
    """Start, have the requests answered, stop; the connections that the origin saw."""
    server.start(directory, cpu)
    try:
        before = generator.stats()["connections"]
        result = generator.run(server.port, load, REUSE_SECONDS, REUSE_REQUESTS)
        if result["requests"] != REUSE_REQUESTS:
            raise RuntimeError(f"wanted {REUSE_REQUESTS} answers: {result}")
        return int(generator.stats()["connections"] - before)
    finally:
        server.stop()
