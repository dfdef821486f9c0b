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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.generator import Generator, Load
from benchmark.hotspots import hottest
from benchmark.ports import free_port
from benchmark.servers import (
    ROOT,
    Origins,
    certify,
    nginx,
    one_rule,
    pingpy_config,
    with_hook,
)
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
PLAIN = Load(connections=CONNECTIONS)
KINDS = {
    "1 KiB": PLAIN,
    "connection per request": Load(connections=CONNECTIONS, close_each=True),
    "TLS, 1 KiB": Load(connections=CONNECTIONS, tls=True),
    "TLS handshake per request": Load(connections=CONNECTIONS, tls=True, close_each=True),
    "WebSocket message": Load("/websocket", connections=CONNECTIONS, websocket=True),
}
START_SECONDS = 360.0  # of a machine that has much else to do


class CallgrindError(RuntimeError):
    """The program under valgrind did not do what was asked."""


@dataclass(frozen=True)
class Watched:
    """A program that is running under callgrind."""

    process: subprocess.Popen[bytes]
    said: Path

    def instructions(self) -> int:
        """Wait for its end, and read what callgrind counted."""
        self.process.wait(START_SECONDS)
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

    def __init__(
        self, directory: Path, config: Path, port: int, secret_files: Sequence[Path] = ()
    ) -> None:
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
            [*command, str(config), *map(str, [*numbers, *secret_files])],
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
        secret_files: tuple[Path, ...] = ()
        if load.tls:
            certify(directory)
            secret_files = (directory / "bench.crt", directory / "bench.key")
        config = pingpy_config("pingpy", directory, more, (0, port) if load.tls else (port, 0))
        master = LoneMaster(directory, config, port, secret_files)
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
        certify(directory)
        server = nginx(
            directory, Origins(generator.origin_port, free_port()), "master_process off;\n"
        )
        watched = under_callgrind(server.command, directory)
        deadline = time.monotonic() + START_SECONDS
        while not knocks(server.port):
            if watched.process.poll() is not None or time.monotonic() > deadline:
                raise CallgrindError(watched.said.read_text(errors="replace")[-2000:])
            time.sleep(0.1)
        answer(generator, server.port_for(load), load, requests)
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


def counts(load: Load) -> tuple[int, int]:
    """How many requests the two runs answer; a handshake is worth a hundred."""
    tenth = 10 if load.tls and load.close_each else 1
    return FEW // tenth, MANY // tenth


def per_request(load: Load, run: Callable[[int], int]) -> float:
    """The difference of two runs, per request."""
    fewer, more = counts(load)
    few, many = run(fewer), run(more)
    return (many - few) / (more - fewer)


def measure(
    program: Path, load: Load = PLAIN, *, hook: bool = False, keep: Path | None = None
) -> float:
    """User instructions of pingpy per request; the profiles of both runs go into the folder `keep`."""
    generator = Generator(program, free_port(), None)

    def run(requests: int) -> int:
        profile = keep / f"callgrind.{requests}.out" if keep else None
        return pingpy_run(generator, load, requests, hook=hook, keep=profile)

    try:
        return per_request(load, run)
    finally:
        generator.stop()


def measure_nginx(program: Path, load: Load) -> float:
    """The same of nginx."""
    generator = Generator(program, free_port(), None)
    try:
        return per_request(load, lambda requests: nginx_run(generator, load, requests))
    finally:
        generator.stop()


def report(program: Path, output: Path, only: list[str] | None = None) -> None:
    """Print the figures with the costliest functions behind each; `only` kinds whose name contains one of these."""
    for title, load in KINDS.items():
        if only and not any(word in title for word in only):
            continue
        show(program, output, title, load)
        if shutil.which("nginx"):
            print(f"{f'nginx, {title}':34} {measure_nginx(program, load):10,.0f}", flush=True)
    if not only or "hook" in only:
        show(program, output, "with a hook", PLAIN, hook=True)


def show(program: Path, output: Path, title: str, load: Load, *, hook: bool = False) -> None:
    """One figure of pingpy; its profiles stay in a folder of the output."""
    folder = output / f"instructions-{title.replace(' ', '-').replace(',', '')}"
    figure = measure(program, load, hook=hook, keep=folder)
    print(f"{f'pingpy, {title}':34} {figure:10,.0f} user instructions per request", flush=True)
    fewer, more = counts(load)
    profiles = [folder / f"callgrind.{requests}.out" for requests in (fewer, more)]
    for name, cost in hottest(profiles[0], profiles[1], more - fewer):
        print(f"  {cost:10,.0f}  {name}", flush=True)
