"""A real master with fake workers, a client that never stops connecting, and patience with a deadline."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from free_ports import free_port
from without_pause import WithoutPause

from pingpy.cli.control import exchange

ROOT = Path(__file__).resolve().parents[2]
SERVICE = Path(__file__).with_name("fake_service.py")
T = TypeVar("T")


def until(condition: Callable[[], T], seconds: float = 30.0) -> T:
    """The first true value of the condition; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {condition}"
        time.sleep(0.02)


class Rig:
    """One instance; `config` is written before `start`, and again by `write`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.path = folder / "config.toml"
        self.runtime_dir = folder / "run"
        self.log_path = folder / "stderr.log"
        self.settings: dict[str, Any] = {
            "worker_threads": 2,
            "probation": 0.5,
            "upgrade_timeout": 3,
            "heartbeat_timeout": 2,
            "graceful_timeout": 3,
            "orphan_timeout": 1,
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.environ: dict[str, str] = {}
        self.masters: set[int] = set()
        self.write()

    def write(self, *, fault: str = "", listen: list[str] | None = None, **changes: Any) -> None:
        lines = ["[global]"]
        lines += [
            f"{key} = {value}" if not isinstance(value, str) else f'{key} = "{value}"'
            for key, value in {**self.settings, **changes}.items()
        ]
        lines += [
            f'runtime_dir = "{self.runtime_dir}"',
            f'access_log = "{self.folder}/access.log"',
            f'pid_file = "{self.folder}/pid"',
            "[network]",
            f"listen = {listen or [f'127.0.0.1:{self.port}']}",
        ]
        if fault:
            lines.append(f"# fault: {fault}")
        self.path.write_text("\n".join(lines) + "\n")

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, str(SERVICE), str(self.path), *arguments]

    def start(self, *arguments: str, wait: bool = True) -> Rig:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), **self.environ}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.command(*arguments),
                stderr=log,
                stdout=log,
                env=environ,
                start_new_session=True,
            )
        if wait:
            until(lambda: self.pid_in_file() == self.process.pid or self.process.poll() is not None)
            assert self.process.poll() is None, self.log()
            self.masters.add(self.process.pid)
        return self

    def pid_in_file(self, suffix: str = "") -> int:
        try:
            return int((self.folder / f"pid{suffix}").read_text())
        except (OSError, ValueError):
            return 0

    def log(self) -> str:
        return self.log_path.read_text()

    def tell(self, verb: str, timeout: float = 20, **options: Any) -> dict[str, Any]:
        request = {"type": "COMMAND", "verb": verb, "options": options}
        return exchange(str(self.runtime_dir), request, timeout)

    def signal(self, name: str, pid: int | None = None) -> None:
        os.kill(pid or self.pid_in_file(), getattr(signal, f"SIG{name}"))

    def ask(self) -> list[int]:
        """Generation, slot, pid and master's pid of whoever answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.settimeout(5)
            return [int(part) for part in sock.recv(100).split()]

    def generation(self) -> int:
        return self.ask()[0]

    def workers(self) -> list[dict[str, Any]]:
        answer = self.tell("workers")
        return [w for crew in answer["generations"] for w in crew["workers"]]

    def pids(self) -> set[int]:
        return {w["pid"] for w in self.workers()}

    def settled(self, generation: int, count: int = 2) -> bool:
        """Only this generation is there, all of it accepting."""
        crews = self.tell("workers").get("generations", [])
        return (
            len(crews) == 1
            and crews[0]["generation"] == generation
            and [w["state"] for w in crews[0]["workers"]] == ["accepting"] * count
        )

    def stop(self) -> None:
        """Whatever is left of it; only what this rig started."""
        pid = self.pid_in_file()
        known = set()
        if self.process is not None and (pid or self.process.poll() is None):
            answer = self.tell("workers", timeout=2)
            known = {w["pid"] for c in answer.get("generations", []) for w in c["workers"]}
            self.tell("stop", timeout=6, fast=True)
        for leftover in (known | {pid}) - {0}:
            if str(self.path).encode() in cmdline(leftover):
                os.kill(leftover, signal.SIGKILL)
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(10)


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Load(WithoutPause):
    """Connects without pause; whoever is refused, reset or left without an answer is lost."""

    def __init__(self, rig: Rig) -> None:
        super().__init__(pause_seconds=0.002)
        self.rig = rig
        self.answers: Counter[int] = Counter()
        self.lost: list[str] = []

    def turn(self) -> None:
        try:
            answer = self.rig.ask()
        except OSError as error:
            self.lost.append(repr(error))
            return
        if answer:
            self.answers[answer[0]] += 1
        else:
            self.lost.append("no answer")
