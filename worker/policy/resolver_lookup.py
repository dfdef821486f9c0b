"""Looks one name up with the system's resolver, hosts file and all."""

from __future__ import annotations

import asyncio
import socket

TIMEOUT_SECONDS = 10.0


class LookupFailedError(Exception):
    """The name has no answer now; the text says why."""


async def look_up(name: str) -> list[str]:
    """The addresses of `host:port`, each as `address:port`. Raises LookupFailedError."""
    host, _, port = name.rpartition(":")
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            # No AI_ADDRCONFIG: on a host with nothing but loopback it hides what the hosts file says.
            found = await loop.getaddrinfo(
                host, int(port), type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
    except TimeoutError:
        raise LookupFailedError(f"no answer within {TIMEOUT_SECONDS:g} s") from None
    except (OSError, UnicodeError) as error:
        raise LookupFailedError(getattr(error, "strerror", None) or str(error)) from error
    return [
        f"[{sockaddr[0]!s}]:{port}" if family == socket.AF_INET6 else f"{sockaddr[0]!s}:{port}"
        for family, _, _, _, sockaddr in found
    ]
