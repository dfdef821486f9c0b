"""Half handshakes by the thousand: bounded memory, a deadline that ends them, and others who are served meanwhile."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
from pathlib import Path
from typing import Any

from rig import until
from tls_edge import Authority, curl

EACH = 500
# On average: 48 KB of libssl's where the hello is whole, what was sent where it is not.
MOST_BYTES_EACH = 28 << 10
SANITIZED = bool(os.environ.get("PINGPY_SANITIZED"))  # its allocator keeps what is freed
CONFIG = """
[global]
worker_threads = 1
access_log = "off"
[network]
listen = ["127.0.0.1:80", "127.0.0.1:443"]
[[network.tls]]
{pair}
[timeouts]
handshake = 5
[[proxy.rules]]
upstream = "http://backend:8080"
"""


def hello() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="crowd.test")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def crowd() -> list[socket.socket]:
    """Who sends one byte, half a hello, a whole one, and nothing more; in this order."""
    said, socks = hello(), []
    for number in range(3 * EACH):
        sock = socket.create_connection(("127.0.0.1", 443), timeout=60)
        sock.sendall(said[: (1, 200, len(said))[number % 3]])
        socks.append(sock)
    return socks


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def timed_out(rig: Any) -> float:
    """Handshakes whose time was up, so far."""
    page = rig.get("/metrics").body.decode().splitlines()
    counter = 'pingpy_tls_handshake_failures_total{reason="timeout"}'
    (line,) = [x for x in page if x.startswith(counter)]
    return float(line.split()[-1])


def test_half_handshakes_by_the_thousand_are_bounded_ended_and_in_nobodys_way(rig: Any) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    config = CONFIG.format(pair=Authority(rig.directory).issue("crowd", "crowd.test"))
    with rig.pingpy(config) as server:
        (worker,) = server.workers()
        assert curl(rig, "crowd.test").status == 200
        before, peaks = resident_bytes(worker), []
        for wave in (1, 2):
            socks = rig.edge.call(crowd)
            for _ in range(5):
                assert curl(rig, "crowd.test").status == 200
                assert rig.get("/plain").status == 200
            peaks.append(resident_bytes(worker))
            count = 3 * EACH * wave
            until(lambda n=count: timed_out(rig) >= n, 20, "their time is up")
            for sock in socks:
                while sock.recv(65536):  # what it was answered, then the end
                    pass
                sock.close()
            assert timed_out(rig) == count
        grown = [peak - before for peak in peaks]
        assert grown[0] < 3 * EACH * MOST_BYTES_EACH or SANITIZED, grown
        assert grown[1] < 1.3 * grown[0] or SANITIZED, grown  # it lives where the first one did
