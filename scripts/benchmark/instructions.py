"""User-space instructions per request, counted by callgrind: exact where a clock is not.

The cost of a request is the difference between a run of many and a run of few, divided by the difference in number: the
start, the end and all that is not per request cancel out. Valgrind before 3.20 does not know pidfd_open, so the worker
runs alone, with this script for a master.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark.generator import Generator, Load
from benchmark.hotspots import hottest
from benchmark.ports import free_port
from benchmark.servers import ROOT, Origins, fill, nginx, one_rule, with_hook
from pingpy.control import (
    Accepting,
    Channel,
    Fatal,
    Go,
    Hello,
    ListenerItem,
    Listeners,
    Logs,
    Message,
    Ready,
    Stop,
)
from pingpy.shared.region import Region

FEW, MANY = 500, 4500
CONNECTIONS = 16
START_SECONDS = 120.0


class CallgrindError(RuntimeError):
    """The program under valgrind did not do what was asked."""


@dataclass(frozen=True)
class Watched:
    """A program that is running under callgrind."""

    process: subprocess.Popen[bytes]
    said: Path

    def instructions(self) -> int:
        """Wait for its end, and read what callgrind counted."""
        self.process.wait(60)
        text = self.said.read_text(errors="replace")
        found = re.search(r"Collected : (\d+)", text)
        if found is None:
            raise CallgrindError(text[-2000:])
        return int(found[1])


def under_callgrind(command: list[str], directory: Path, fds: tuple[int, ...] = ()) -> Watched:
    """Start a command under callgrind; hashing and addresses are the same each time."""
    said = directory / "callgrind.err"
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory}/callgrind.out"]
    with said.open("wb") as output:
        process = subprocess.Popen(
            [*valgrind, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=fds,
            env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)},
        )
    return Watched(process, said)


class LoneMaster:
    """As much of a master as one worker needs: gives it listener and log, tells it to go, tells it to stop."""

    def __init__(self, directory: Path, config: Path, port: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(START_SECONDS)
        self.channel = Channel(ours)
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.listener.setblocking(False)
        self.region = Region.create()
        slab = self.region.claim_slab(1, 0, "worker")
        numbers = [theirs.fileno(), self.region.fd, slab]
        command = [sys.executable, "-P", str(ROOT / "scripts" / "benchmark" / "lone_worker.py")]
        self.watched = under_callgrind(
            [*command, str(config), *map(str, numbers)],
            directory,
            (theirs.fileno(), self.region.fd),
        )
        theirs.close()
        self.access_log = os.open(directory / "access.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def expect(self, kind: type[Message]) -> None:
        """Read messages until this one comes."""
        while True:
            received = self.channel.receive()
            if received is None:
                self.watched.process.wait(60)
                raise CallgrindError(self.watched.said.read_text(errors="replace")[-3000:])
            message, _ = received
            if isinstance(message, Fatal):
                raise CallgrindError(f"{message.message}\n{message.traceback}")
            if isinstance(message, kind):
                return

    def start(self) -> None:
        """From HELLO to ACCEPTING."""
        host, port = self.listener.getsockname()
        self.expect(Hello)
        item = ListenerItem(id="0", address=f"{host}:{port}", kind="tcp4")
        self.channel.send(Listeners((item,)), [self.listener.fileno()])
        self.channel.send(Logs(("access",)), [self.access_log])
        self.expect(Ready)
        self.channel.send(Go())
        self.expect(Accepting)

    def stop(self) -> int:
        """Tell it to stop; what it has cost."""
        self.channel.send(Stop())
        count = self.watched.instructions()
        os.close(self.access_log)
        self.listener.close()
        self.channel.close()
        self.region.close()
        return count


def pingpy_run(
    generator: Generator, load: Load, requests: int, *, hook: bool = False, keep: Path | None = None
) -> int:
    """Instructions of a whole life of a worker that answers so many requests; `keep` gets the profile."""
    with tempfile.TemporaryDirectory(prefix="pingpy-instructions-") as scratch:
        directory = Path(scratch)
        port = free_port()
        more = (with_hook if hook else one_rule)(generator.origin_port)
        places = {"NAME": "pingpy", "PORT": port, "DIR": directory, "WORKERS": 1, "MORE": more}
        config = fill("pingpy.toml", directory / "pingpy.toml", **places)
        master = LoneMaster(directory, config, port)
        try:
            master.start()
            answer(generator, port, load, requests)
        except BaseException:
            master.watched.process.kill()
            raise
        count = master.stop()
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(directory / "callgrind.out", keep)
        return count


def nginx_run(generator: Generator, load: Load, requests: int) -> int:
    """The same of nginx, as a check of the method: 34,480 on the machine where it was worked out."""
    with tempfile.TemporaryDirectory(prefix="pingpy-instructions-") as scratch:
        directory = Path(scratch)
        directory.chmod(0o755)
        server = nginx(
            directory, Origins(generator.origin_port, free_port()), "master_process off;\n"
        )
        watched = under_callgrind(server.command, directory)
        deadline = time.monotonic() + START_SECONDS
        while not knocks(server.port):
            if watched.process.poll() is not None or time.monotonic() > deadline:
                raise CallgrindError(watched.said.read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        answer(generator, server.port, load, requests)
        watched.process.terminate()
        return watched.instructions()


def knocks(port: int) -> bool:
    """Whether something listens."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answer(generator: Generator, port: int, load: Load, requests: int) -> None:
    """Have exactly so many requests answered."""
    result = generator.run(port, load, START_SECONDS, requests)
    if (result["requests"], result["errors"]) != (requests, 0):
        raise CallgrindError(f"wanted {requests} answers: {result}")


def per_request(run: Callable[[int], int]) -> float:
    """The difference of two runs, per request."""
    few, many = run(FEW), run(MANY)
    return (many - few) / (MANY - FEW)


def measure(
    program: Path, load: Load | None = None, *, hook: bool = False, keep: Path | None = None
) -> float:
    """User instructions of pingpy per request; the profiles of both runs go into the folder `keep`."""
    load = load or Load(connections=CONNECTIONS)
    generator = Generator(program, free_port(), None)

    def run(requests: int) -> int:
        profile = keep / f"callgrind.{requests}.out" if keep else None
        return pingpy_run(generator, load, requests, hook=hook, keep=profile)

    try:
        return per_request(run)
    finally:
        generator.stop()


def report(program: Path, output: Path) -> None:
    """Print the figures, and say where the profiles are."""
    for hook, title in ((False, "pingpy, 1 KiB"), (True, "pingpy with a hook")):
        folder = output / ("instructions-hook" if hook else "instructions")
        figure = measure(program, hook=hook, keep=folder)
        print(f"{title:22} {figure:10,.0f} user instructions per request", flush=True)
        few, many = (folder / f"callgrind.{requests}.out" for requests in (FEW, MANY))
        for name, cost in hottest(few, many, MANY - FEW):
            print(f"  {cost:10,.0f}  {name}", flush=True)
    if shutil.which("nginx"):
        generator = Generator(program, free_port(), None)
        load = Load(connections=CONNECTIONS)
        try:
            figure = per_request(lambda requests: nginx_run(generator, load, requests))
        finally:
            generator.stop()
        print(f"{'nginx, 1 KiB':22} {figure:10,.0f}")
