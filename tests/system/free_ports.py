"""Ports for servers of the tests: none is given twice on this host while the process that asked for it lives."""

from __future__ import annotations

import random
import socket
from pathlib import Path

# Below the ports that the kernel takes for connections, so none of those sits on a port between its being chosen here
# and a server's listening on it. The first thousand below contain 10080, which browsers refuse.
FIRST = 11_000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
CLAIMS: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other run of tests is given."""
    end = int(RANGE.read_text().split()[0])
    candidates = range(FIRST, end) if end > FIRST + 1000 else range(end, 60_000)
    while True:
        port = random.SystemRandom().choice(
            candidates
        )  # the tests' own seed is the same everywhere
        if claim(port) and is_free(port):
            return port


def claim(port: int) -> bool:
    """Make it ours by a name in the abstract namespace, which ends with the process; False when it is somebody's."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0pingpy-tests-port-{port}")
    except OSError:
        name.close()
        return False
    CLAIMS.append(name)
    return True


def is_free(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
