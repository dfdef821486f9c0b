"""Who listens on a port already: us, from an earlier start, or another program, by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_LISTEN = "0A"  # TCP_LISTEN in the fourth column of /proc/net/tcp


def listening_inodes(table: str, port: int) -> set[str]:
    """The sockets that listen on a port, from the text of /proc/net/tcp or tcp6."""
    found = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
            found.add(f"socket:[{columns[9]}]")
    return found


def holders(port: int, proc: Path = Path("/proc")) -> list[tuple[int, str]]:
    """The processes that hold such a socket, as far as we may look: pid and name, oldest first."""
    inodes: set[str] = set()
    for name in ("tcp", "tcp6"):
        try:
            inodes |= listening_inodes((proc / "net" / name).read_text(), port)
        except OSError:
            continue
    if not inodes:
        return []
    pids = sorted(int(folder.name) for folder in proc.iterdir() if folder.name.isdecimal())
    return [(pid, _name(proc / str(pid))) for pid in pids if inodes & set(_links(proc / str(pid)))]


def _links(process: Path) -> Iterator[str]:
    """What the process's descriptors lead to."""
    try:
        for descriptor in (process / "fd").iterdir():
            yield str(descriptor.readlink())
    except OSError:  # it ended, or it is another user's
        return


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "?"


def pid_in(file: str) -> int | None:
    """The process that a pid file names."""
    try:
        return int(Path(file).read_text().strip())
    except (OSError, ValueError):
        return None
