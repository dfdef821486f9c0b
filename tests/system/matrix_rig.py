"""What the fault matrix shares: the real pingpy with an origin, mixed load from two processes, and the invariants."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import trustme
from free_ports import free_port
from master_rig import ROOT, Rig, cmdline, until

HERE = Path(__file__).parent
QUICK = {"short": 2, "kept": 4, "poll": 2}
SLOW = {"upload": 2, "download": 2, "sse": 2, "websocket": 3}
MISHAPS = ("refused", "reset", "lost", "raced", "truncated", "failed")


class Real(Rig):
    """The program itself with two workers in front of the matrix's origin; `body` is what the file says besides."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.origin_port = free_port()
        self.origin: subprocess.Popen[str] | None = None
        defaults = {"upgrade_timeout": 20, "drain_linger": 1, "orphan_timeout": 8}
        super().__init__(folder, **{**defaults, **settings})

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "pingpy", "-c", str(self.path), *arguments]

    def write(self, *, body: str = "", **changes: Any) -> None:
        super().write(**changes)
        upstream = f'upstream = "http://127.0.0.1:{self.origin_port}"\n'
        rules = "".join(
            f'[[proxy.rules]]\npath = "{path}"\n{option}{upstream}'
            for path, option in (("/ws", "websocket = true\n"), ("/*", ""))
        )
        log = '[log]\nformat = "$generation $status $request_uri"\n'
        with self.path.open("a") as file:
            file.write(f"{log}{body}{rules}")

    def start_origin(self) -> None:
        if self.origin is None:
            self.origin = subprocess.Popen(
                [sys.executable, str(HERE / "matrix_origin.py"), str(self.origin_port)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self.origin.stdout is not None
            assert self.origin.stdout.readline() == "listening\n"

    def start(self, *arguments: str, wait: bool = True) -> Real:
        self.start_origin()
        super().start(*arguments, wait=wait)
        return self

    def stop(self) -> None:
        super().stop()
        if self.origin is not None:
            self.origin.kill()
            self.origin.wait()

    def module(self, text: str) -> str:
        """A filter of the user's as part of the file; its class is called Gate."""
        (self.folder / "gate.py").write_text(text)
        return '[[modules]]\npath = "gate.py"\nclass = "Gate"\n[proxy]\nfilters = ["gate"]\n'

    def certificate(self) -> str:
        """A certificate for localhost as part of the file; on the same port, the first byte tells TLS from plain."""
        made = trustme.CA().issue_cert("localhost")
        made.private_key_pem.write_to_path(self.folder / "key.pem")
        for number, blob in enumerate(made.cert_chain_pems):
            blob.write_to_path(self.folder / "cert.pem", append=bool(number))
        files = f'certificate = "{self.folder}/cert.pem"\nkey = "{self.folder}/key.pem"\n'
        return f"[[network.tls]]\n{files}"

    def serves(self, generation: int) -> bool:
        """Whether this is the generation in force, all of it accepting; older ones may still drain."""
        crews = {c["generation"]: c for c in self.tell("workers").get("generations", [])}
        crew = crews.get(generation)
        states = [w["state"] for w in crew["workers"] if w["slot"] >= 0] if crew else []
        return bool(crew) and crew["state"] == "serving" and set(states) == {"accepting"}

    def settled_on(self, generation: int) -> bool:
        """Only this generation is left, all of it accepting."""
        crews = self.tell("workers").get("generations", [])
        return len(crews) == 1 and self.serves(generation)

    def worker_pids(self, generation: int | None = None) -> set[int]:
        crews = self.tell("workers").get("generations", [])
        return {
            w["pid"]
            for c in crews
            if generation in (None, c["generation"])
            for w in c["workers"]
            if w["slot"] >= 0
        }

    def current(self) -> int:
        return int(self.tell("status")["generation"])

    def owner(self) -> int:
        """I5: the pid file names a live master that answers under this pid."""
        pid = self.pid_in_file()
        assert self.tell("status").get("pid") == pid, (pid, self.tell("status"))
        assert b"pingpy" in cmdline(pid)
        return pid

    def scrape(self) -> dict[str, float]:
        """The page of counters, as it is now."""
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/metrics", headers={"Connection": "close"})
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        found = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def log_lines(self, pattern: str) -> int:
        """Lines of the access log (of every file it has had) that match."""
        texts = [path.read_text() for path in self.folder.glob("access.log*")]
        return sum(len(re.findall(pattern, text, re.MULTILINE)) for text in texts)


def decreased(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """I6: the counters that went backwards or vanished."""
    counters = [n for n in before if re.search(r"_(total|count|sum|bucket)(\{|$)", n)]
    return [n for n in counters if after.get(n, -1.0) < before[n]]


def descriptors(pid: int) -> int:
    """I7."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class Mixed:
    """Mixed load from two processes while the body of the `with` runs; afterwards `answered` and `mishaps`."""

    def __init__(self, rig: Rig, *kinds: dict[str, int], secure: bool = False) -> None:
        self.rig = rig
        self.how = ["tls"] if secure else []
        self.kinds = kinds or (QUICK, SLOW)
        self.processes: list[subprocess.Popen[str]] = []
        self.answered: Counter[str] = Counter()
        self.mishaps: Counter[str] = Counter()
        self.notes: list[str] = []

    def __enter__(self) -> Mixed:
        for kinds in self.kinds:
            command = [sys.executable, str(HERE / "matrix_load.py"), str(self.rig.port)]
            process = subprocess.Popen(
                [*command, json.dumps(kinds), *self.how],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            self.processes.append(process)
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
        time.sleep(0.4)  # every client is in the middle of something
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self.processes:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline() or "{}")
            self.answered.update(said.get("answered", {}))
            self.mishaps.update(said.get("mishaps", {"lost": 1000}))
            self.notes += said.get("notes", [])
            process.stdout.close()
            process.wait(60)

    def nothing_lost(self, **allowed: int) -> None:
        """I1, I2, I3, but for so many mishaps of a kind that the injected fault explains."""
        found = {k: self.mishaps[k] for k in MISHAPS if self.mishaps[k] > allowed.get(k, 0)}
        assert not found, (found, self.notes, self.rig.log()[-6000:])
        assert sum(self.answered[kind] for kind in ("short", "kept", "h2")) > 20, self.answered


def kill(pid: int, name: str = "KILL") -> None:
    os.kill(pid, getattr(signal, f"SIG{name}"))


__all__ = ["Mixed", "Real", "decreased", "descriptors", "kill", "until"]
