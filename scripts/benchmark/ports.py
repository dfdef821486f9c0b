"""Ports for what a measurement starts: free ones, so that two runs on one machine do not meet."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

LOWEST, BEYOND = 10_000, 32_000  # under those that the kernel gives to outgoing connections
given: set[int] = set()  # to this process; a server may not have opened its own yet


def free_ports(count: int) -> list[int]:
    """So many ports that nobody listens on at any address; the same is never given twice."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            port = random.randrange(LOWEST, BEYOND)
            if port not in given and is_free(port, stack):
                given.add(port)
                found.append(port)
    return found


def is_free(port: int, stack: ExitStack) -> bool:
    """Whether it can be bound; it stays so until the stack ends."""
    held = stack.enter_context(socket.socket())
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("", port))
    except OSError:
        return False
    return True


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]
