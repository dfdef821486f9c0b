"""What long use must not do: errors under 200 connections, memory that grows with a body, idle clients in the way."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import free_port
from master_rig import until

ROOT = Path(__file__).resolve().parents[2]
BODY_BYTES = 2 << 30
PIECE = bytes(range(256)) * 4096  # 1 MiB
IDLE_CLIENTS = 9000
SLACK_KIB = 24 << 10  # pipes, wide slots and allocator; two bodies would be 4 GiB


class Streams:
    """An origin that takes whatever comes and answers GET with a body of 2 GiB, POST with the number of octets."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                taken, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[taken], daemon=True).start()

    def serve(self, taken: socket.socket) -> None:
        with taken:
            while True:
                head, rest = read_head(taken)
                if head.startswith(b"GET /big"):
                    taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES)
                    for _ in range(BODY_BYTES // len(PIECE)):
                        taken.sendall(PIECE)
                elif head.startswith(b"POST /big"):
                    text = b"%d" % (len(rest) + read_on(taken, BODY_BYTES - len(rest)))
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text)
                    taken.sendall(answer + text)
                elif head:
                    taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                else:
                    return


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """A head and what came behind it."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65536)
        if not part:
            return got, b""
        got += part
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def read_on(connection: socket.socket, wanted: int) -> int:
    """Read so many octets and forget them; how many came."""
    room = bytearray(1 << 20)
    count = 0
    while count < wanted:
        got = connection.recv_into(room)
        if got == 0:
            break
        count += got
    return count


class Server:
    """A pingpy with one worker in front of the streams."""

    def __init__(self, folder: Path) -> None:
        self.streams = Streams()
        self.port = free_port()
        path = folder / "config.toml"
        path.write_text(
            f'[global]\nworker_threads = 1\nruntime_dir = "{folder}/run"\n'
            f'pid_file = "{folder}/pid"\naccess_log = "{folder}/access.log"\n'
            f'[network]\nlisten = ["127.0.0.1:{self.port}"]\n'
            f'[[proxy.rules]]\npath = "/*"\nupstream = "http://127.0.0.1:{self.streams.port}"\n'
        )
        self.said = folder / "stderr.log"
        with self.said.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pingpy", "-c", path],
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        until(self.answers, 30)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.said.read_text()
        try:
            with self.connect(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") as end:
                return end.recv(12) == b"HTTP/1.1 200"
        except OSError:
            return False

    def connect(self, data: bytes = b"") -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        made.sendall(data)
        return made

    def worker_kib(self, field: str) -> int:
        """A figure of the worker's memory: VmHWM or Pss."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in children.split():
            if "scout" in Path(f"/proc/{pid}/cmdline").read_text():
                continue
            name = "status" if field.startswith("Vm") else "smaps_rollup"
            for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
                if line.startswith(f"{field}:"):
                    return int(line.split()[1])
        raise AssertionError("no worker")

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.streams.listener.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(180)
def test_a_body_of_2_gib_each_way_and_no_more_memory(server: Server) -> None:
    before = server.worker_kib("VmHWM")
    with server.connect(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n") as client:
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert len(rest) + read_on(client, BODY_BYTES - len(rest)) == BODY_BYTES
    head = b"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % BODY_BYTES
    with server.connect(head) as client:
        for _ in range(BODY_BYTES // len(PIECE)):
            client.sendall(PIECE)
        head, rest = read_head(client)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert rest == b"%d" % BODY_BYTES
    assert server.worker_kib("VmHWM") - before < SLACK_KIB


@pytest.mark.timeout(180)
def test_9_000_idle_clients_and_a_new_one_is_served(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE_CLIENTS + 500:
        pytest.skip(f"this machine allows a process {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE_CLIENTS + 500), hard))
    clients: list[socket.socket] = []
    try:
        for _ in range(IDLE_CLIENTS):
            clients.append(server.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
            assert clients[-1].recv(4096).startswith(b"HTTP/1.1 200 ")
        assert server.answers()
        for client in (clients[0], clients[-1], clients[IDLE_CLIENTS // 2]):
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.answers()


@pytest.mark.timeout(120)
def test_200_connections_for_30_seconds_without_an_error(rig) -> None:
    with rig.pingpy():
        result = rig.wrk("-t2", "-c200", "-d30s", path="/api/x")
    assert result["requests"] > 1000
    assert (result["bad"], result["socket_errors"]) == (0, 0)
