"""The pid file: written by rename, removed only while it still names us, stale when pid and start time say so."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PidFile:
    """One path; a master in probation uses it with ".new", a superseded one with ".oldbin"."""

    path: str

    def write(self, suffix: str = "") -> None:
        """Name ourselves; whoever reads sees either the old file or the whole new one. Raises OSError."""
        target = self.path + suffix
        draft = f"{target}.{os.getpid()}.tmp"
        try:
            Path(draft).write_text(f"{os.getpid()}\n")
            os.replace(draft, target)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise

    def read(self, suffix: str = "") -> int | None:
        """The pid in the file, None when there is none."""
        try:
            text = Path(self.path + suffix).read_text()
            return int(text.split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def remove(self, suffix: str = "", pid: int = 0) -> None:
        """Remove it if it still names us, or `pid`: another master, that has gone without doing so."""
        if self.read(suffix) == (pid or os.getpid()):
            with contextlib.suppress(OSError):
                os.unlink(self.path + suffix)

    def living_owner(self) -> int | None:
        """The pid of another master that is alive: same pid, and started before the file was written.

        A pid alone may belong to anybody after a reboot or a wrap-around.
        """
        pid = self.read()
        if pid is None or pid == os.getpid():
            return None
        try:
            written = os.stat(self.path).st_mtime
            started = start_time(pid)
            names = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if started <= written + 1 and b"pingpy" in names else None


def start_time(pid: int) -> float:
    """When a process started, in seconds since the epoch; raises OSError when there is none."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    boot = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime ")
    )
    return boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
