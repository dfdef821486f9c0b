"""A throw-away network and mount namespace: a holder process keeps it, commands and sockets are made inside."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """Network and mounts of its own, private in both directions."""

    def __init__(self, setup: str = "") -> None:
        script = f"set -e\nip link set lo up\n{setup}\necho ready\nexec sleep infinity"
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.holder.stdout is not None
        if self.holder.stdout.readline() != "ready\n":
            assert self.holder.stderr is not None
            raise OSError(self.holder.stderr.read())
        self.threads = ThreadPoolExecutor(64, initializer=self.enter_network)

    @property
    def pid(self) -> int:
        return self.holder.pid

    def enter_network(self) -> None:
        """Move the calling thread, and it alone, into the network namespace."""
        with open(f"/proc/{self.pid}/ns/net") as handle:
            if LIBC.setns(handle.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        assert threading.current_thread() is not threading.main_thread()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function in a thread that lives in the namespace; its sockets are the namespace's."""
        return self.threads.submit(function, *arguments).result(60)

    def inside(self, *command: str | Path) -> list[str]:
        """The command line that runs a command in there."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", *map(str, command)]

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        done = subprocess.run(
            self.inside(*command), capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"{command} exited {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def start(self, *command: str | Path, **options: Any) -> subprocess.Popen[str]:
        """Start a command; nsenter becomes it, so the pid is the command's own."""
        return subprocess.Popen(self.inside(*command), text=True, **options)

    def path(self, name: str) -> Path:
        """A file as the namespace sees it."""
        return Path(f"/proc/{self.pid}/root{name}")

    def close(self) -> None:
        """End everything that was started in there, then the namespace itself."""
        self.threads.shutdown(cancel_futures=True)
        ours = os.readlink(f"/proc/{self.pid}/ns/net")
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "ns" / "net") == ours:
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue
        self.holder.wait(10)
        for pipe in (self.holder.stdout, self.holder.stderr):
            if pipe is not None:
                pipe.close()
