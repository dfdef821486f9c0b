"""`scripts/bench reload`: what clients see while a server is reloaded again and again, side by side."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark import report
from benchmark.generator import Generator
from benchmark.ports import free_port, free_ports
from benchmark.reload_clients import Clients, percentile_ms
from benchmark.servers import HERE, Server, fill, one_rule, pingpy

FRESH, KEPT, SLOW = 24, 24, 4
GAP_SECONDS = 1.5  # between two reloads
DURING_SECONDS = 0.5  # what counts as "during" after each


@dataclass(frozen=True)
class Contender:
    """A server and how it is told to reload."""

    title: str
    server: Server
    reload: Callable[[Server], None]


def by_signal(number: int) -> Callable[[Server], None]:
    """Reload by a signal to the first process."""
    return lambda server: os.kill(server.pid, number)


def caddy_reload(config: Path, admin_port: int) -> Callable[[Server], None]:
    """Reload through Caddy's own command."""
    command = ["caddy", "reload", "--force", "--config", str(config), "--adapter", "caddyfile"]
    command += ["--address", f"127.0.0.1:{admin_port}"]
    return lambda server: subprocess.run(command, check=True, capture_output=True) and None


def contenders(directory: Path, origin_port: int) -> list[Contender]:
    """Whoever is on this machine."""
    found = []
    places = {"DIR": directory, "ORIGIN": origin_port}
    if nginx := shutil.which("nginx"):
        for name, option in (("nginx", ""), ("nginx-reuseport", "reuseport")):
            port = free_port()
            mine = {**places, "NAME": name, "PORT": port, "OPTION": option}
            path = fill("reload_nginx.conf", directory / f"{name}.conf", **mine)
            command = [nginx, "-e", f"{directory}/{name}.error.log", "-c", str(path)]
            server = Server(name, command, port)
            found.append(Contender(f"{name}, HUP", server, by_signal(signal.SIGHUP)))
    if haproxy := shutil.which("haproxy"):
        kinds = (("haproxy", ""), ("haproxy-idle-close", "option idle-close-on-response"))
        for name, option in kinds:
            port = free_port()
            mine = {**places, "NAME": name, "PORT": port, "OPTION": option}
            path = fill("reload_haproxy.cfg", directory / f"{name}.cfg", **mine)
            server = Server(name, [haproxy, "-W", "-f", str(path)], port)
            found.append(Contender(f"{name}, USR2", server, by_signal(signal.SIGUSR2)))
    if importlib.util.find_spec("gunicorn"):
        for name, option in (("gunicorn", []), ("gunicorn-reuseport", ["--reuse-port"])):
            port = free_port()
            command = [sys.executable, "-m", "gunicorn", "-k", "gthread", "-w", "2", "--threads"]
            command += ["32", "-b", f"127.0.0.1:{port}", "--chdir", str(HERE / "configs"), *option]
            server = Server(name, [*command, "reload_app:app"], port)
            found.append(Contender(f"{name}, HUP", server, by_signal(signal.SIGHUP)))
    if caddy := shutil.which("caddy"):
        port, admin = free_ports(2)
        mine = {**places, "PORT": port, "OPTION": admin}
        path = fill("reload_Caddyfile", directory / "reload_Caddyfile", **mine)
        command = [caddy, "run", "--config", str(path), "--adapter", "caddyfile"]
        server = Server("caddy", command, port)
        found.append(Contender("caddy, reload --force", server, caddy_reload(path, admin)))
    server = pingpy("pingpy", free_port(), directory, one_rule(origin_port), workers=4)
    found.append(Contender("pingpy, HUP", server, by_signal(signal.SIGHUP)))
    return found


async def watch(contender: Contender, reloads: int) -> tuple[Clients, list[float]]:
    """Reload so many times under the clients' eyes; them, and when the reloads were."""
    clients = Clients(contender.server.port)
    tasks = [asyncio.create_task(clients.fresh()) for _ in range(FRESH)]
    tasks += [asyncio.create_task(clients.kept()) for _ in range(KEPT)]
    tasks += [asyncio.create_task(clients.slow()) for _ in range(SLOW)]
    loop = asyncio.get_running_loop()
    moments = []
    await asyncio.sleep(GAP_SECONDS)
    for _ in range(reloads):
        moments.append(loop.time())
        await loop.run_in_executor(None, contender.reload, contender.server)
        await asyncio.sleep(GAP_SECONDS)
    clients.stopping = True
    await asyncio.wait(tasks, timeout=10)
    return clients, moments


def line(contender: Contender, clients: Clients, moments: list[float]) -> str:
    """One line of the table."""
    tally = clients.tally
    during, outside = [], []
    for began, took in tally.times:
        near = any(0 <= began - moment < DURING_SECONDS for moment in moments)
        (during if near else outside).append(took)
    cells = [
        f"{contender.title} x {len(moments)}",
        *map(str, (tally.answered, tally.lost, tally.raced, tally.truncated)),
        str(tally.closed_cleanly),
        *(f"{percentile_ms(times, 0.99):.1f}" for times in (outside, during)),
    ]
    return "| " + " | ".join(cells) + " |"


def surroundings() -> dict[str, str]:
    """What else the machine does: a time means little without."""
    return {
        "cpus": str(len(os.sched_getaffinity(0))),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def run(program: Path, directory: Path, reloads: int, only: list[str] | None) -> None:
    """Print where and when, and the table, a line for each server as it is known."""
    for key, value in {**report.machine(), **surroundings()}.items():
        print(f"{key:12} {value}")
    print(
        "| server, action | answered | lost | races | truncated | closed cleanly"
        " | p99 ms outside | p99 ms during |\n| --- |" + " ---: |" * 7
    )
    generator = Generator(program, free_port(), None)
    try:
        for contender in contenders(directory, generator.origin_port):
            if only is not None and contender.server.name not in only:
                continue
            contender.server.start(directory, None)
            try:
                clients, moments = asyncio.run(watch(contender, reloads))
            finally:
                contender.server.stop()
            print(line(contender, clients, moments), flush=True)
    finally:
        generator.stop()
