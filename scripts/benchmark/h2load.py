"""HTTP/2 load by h2load (package nghttp2-client), with the answers of the generator of our own."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

# What a browser sends beside the target, as in the loads of HTTP/1.1.
FIELDS = (
    "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language: en-US,en;q=0.5",
    "accept-encoding: gzip, deflate, br",
    "referer: http://example.test/",
    "cookie: session=0123456789abcdef; theme=light",
)

GRPC_FIELDS = (
    "user-agent: grpc-python/1.60.0 grpc-c/37.0.0 (linux; chttp2)",
    "content-type: application/grpc",
    "te: trailers",
    "grpc-accept-encoding: identity, deflate, gzip",
    "grpc-timeout: 10S",
)


def run(
    port: int,
    path: str,
    connections: int,
    streams: int,
    seconds: float,
    cpu: int | None,
    message: bytes | None = None,
    tls: bool = False,
) -> dict[str, Any]:
    """Ask for `path` over so many connections with so many streams each; `message`: as calls of gRPC that carry it.

    Raises RuntimeError when h2load fails.
    """
    pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
    with tempfile.TemporaryDirectory(prefix="pingpy-h2load-") as scratch:
        log = Path(scratch) / "requests"
        command = [*pin, "h2load", "-t1", f"-c{connections}", f"-m{streams}"]
        command += [f"--duration={round(seconds * 1000)}ms", f"--log-file={log}"]
        command += [f"-H{field}" for field in (FIELDS if message is None else GRPC_FIELDS)]
        if message is not None:
            body = Path(scratch) / "message"
            body.write_bytes(message)
            command.append(f"-d{body}")
        if tls:
            command += ["--tls13-ciphers=TLS_AES_128_GCM_SHA256", f"--connect-to=127.0.0.1:{port}"]
        before = os.times()
        done = subprocess.run([*command, url_of(port, path, tls)], capture_output=True, text=True)
        after = os.times()
        found = re.search(
            r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout
        )
        moved = re.search(r"\((\d+)\) data", done.stdout)
        if found is None or moved is None or found[1] == "0":
            raise RuntimeError(f"h2load said: {done.stdout}{done.stderr}")
        times = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())
    used = after.children_user + after.children_system
    return {
        "requests": int(found[1]),
        "errors": sum(int(figure) for figure in found.groups()[1:]),
        "seconds": seconds,
        "bytes": int(moved[1]),
        "p50_us": times[len(times) // 2] if times else 0,
        "p99_us": times[len(times) * 99 // 100] if times else 0,
        "cpu_us": (used - before.children_user - before.children_system) * 1e6,
    }


def url_of(port: int, path: str, tls: bool) -> str:
    """The certificate is that of example.test, whatever the address."""
    return f"https://example.test:{port}{path}" if tls else f"http://127.0.0.1:{port}{path}"
