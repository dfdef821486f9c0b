"""The load generator as Python sees it: builds the C program, gives it orders, takes its answers."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import h2load

SOURCES = Path(__file__).parent / "load"


@dataclass(frozen=True)
class Load:
    """One kind of load."""

    path: str = "/1k"
    tls: bool = False  # 1.3, TLS_AES_128_GCM_SHA256, no session is ever resumed
    connections: int = 64
    close_each: bool = False
    body_bytes: int = 0
    rate: float = 0
    streams: int = 0  # HTTP/2, so many at once on each connection; by h2load
    grpc: bool = False  # the same as calls of gRPC, with a message of body_bytes
    websocket: bool = (
        False  # one connection each for good; a message of 64 bytes and its echo are one request
    )

    # calls of gRPC, so many messages of 64 bytes in each; a message and its echo are one request
    messages: int = 0

    @property
    def answer_bytes(self) -> int:
        """What each answer's body must have."""
        if self.websocket:
            return 66
        if self.messages:
            return 5 + 64
        return {"/1k": 1024, "/10k": 10240, "/1m": 1 << 20, "/chunked": 10240}.get(self.path, 12)


def build(into: Path) -> None:
    """Compile generator and relay."""
    into.mkdir(parents=True, exist_ok=True)
    for program, sources in {
        "loadgen": ["loadgen.c", "client.c", "call.c", "origin.c", "loop.c", "tls.c"],
        "relay": ["relay.c", "loop.c", "tls.c"],
    }.items():
        paths = [str(SOURCES / name) for name in sources]
        command = ["gcc", "-O2", "-Wall", "-o", str(into / program), *paths, "-lssl", "-lcrypto"]
        subprocess.run(command, check=True)


class Generator:
    """The running program: origin and clients."""

    def __init__(self, program: Path, origin_port: int, cpu: int | None) -> None:
        pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
        self.cpu = cpu
        self.origin_port = origin_port
        self.process = subprocess.Popen(
            [*pin, str(program), str(origin_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def order(self, line: str) -> dict[str, Any]:
        """Give an order, wait for its answer."""
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the generator was started without pipes")
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the load generator died at: {line}")
        return dict(json.loads(answer))

    def run(self, port: int, load: Load, seconds: float, requests: int = 0) -> dict[str, Any]:
        """Put this load on a port, and check that what came back was whole."""
        if load.streams:
            message = bytes(1) + load.body_bytes.to_bytes(4, "big") + bytes(load.body_bytes)
            return h2load.run(
                port,
                load.path,
                load.connections,
                load.streams,
                seconds,
                self.cpu,
                message if load.grpc else None,
                load.tls,
            )
        result = self.order(
            f"run port={port} connections={load.connections} seconds={seconds} path={load.path}"
            f" close={int(load.close_each)} body={load.body_bytes} rate={load.rate}"
            f" requests={requests} websocket={int(load.websocket)} tls={int(load.tls)}"
            f" messages={load.messages}"
        )
        if load.messages and result["errors"]:
            raise RuntimeError(f"messages on port {port} were lost or changed: {result}")
        if result["bytes"] < result["requests"] * load.answer_bytes:
            raise RuntimeError(f"answers on port {port} were too short: {result}")
        return result

    def hold(self, port: int, connections: int, tls: bool = False) -> dict[str, Any]:
        """Open connections, ask once on each, and keep them idle."""
        return self.order(
            f"hold port={port} connections={connections} seconds=60 path=/1k tls={int(tls)}"
        )

    def drop(self) -> None:
        """Close what is held."""
        self.order("drop")

    def stats(self) -> dict[str, Any]:
        """What the origin has counted."""
        return self.order("stats")

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)
