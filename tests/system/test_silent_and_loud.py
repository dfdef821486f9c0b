"""Real processes: drains with silent clients, floods that the operator hears of, an origin that stands still."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from master_rig import free_port, until
from secure_service import SECONDS, Service, chain, key

pytestmark = pytest.mark.system
HERE = Path(__file__).parent
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)
CALL = """[[proxy.rules]]
path = "/test.Echo/*"
upstream = "http://127.0.0.1:{port}"
grpc = true
"""
PING = b"\0\0\x08\6" + bytes(13)


class Loud(Service):
    """One that speaks both plain and TLS, waits at most two seconds for a first word, and drains at once."""

    def __init__(self, folder: Path, *, timeouts: str = "", proxy: str = "") -> None:
        issued = trustme.CA().issue_cert("localhost")
        (folder / "web.pem").write_bytes(chain(issued) + key(issued))
        super().__init__(folder, '[[network.tls]]\ncertificate = "web.pem"\nkey = "web.pem"\n')
        self.path.write_text(
            self.path.read_text()
            .replace('"https://127.0.0.1', '"127.0.0.1')
            .replace(
                "[network]", f"drain_linger = 0.2\n[timeouts]\nheader = 2\n{timeouts}[network]"
            )
            .replace("[[proxy.rules]]", f"{proxy}[[proxy.rules]]")
        )

    def connect(self, *protocols: str, tls: bool = True) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        if not tls:
            return plain
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(list(protocols) or ["http/1.1"])
        return context.wrap_socket(plain, server_hostname="localhost")

    def metric(self, name: str) -> float:
        with self.connect(tls=False) as sock:
            sock.sendall(
                GET.replace(b"GET /", b"GET /metrics").replace(
                    b"\n\r", b"\nConnection: close\r\n\r"
                )
            )
            page = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        return float(re.findall(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)[0])


@pytest.fixture
def loud(tmp_path: Path) -> Iterator[Loud]:
    with Loud(tmp_path) as service:
        yield service


def all_of(sock: socket.socket) -> bytes:
    """To a good end: over TLS, one that was announced."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize("name", ["TERM", "QUIT"])
def test_silent_clients_hold_no_stop_and_a_request_at_its_beginning_is_answered(
    loud: Loud, name: str
) -> None:
    assert loud.process is not None
    silent = [loud.connect(), loud.connect(tls=False), loud.connect("h2")]
    half = loud.connect(tls=False)
    half.sendall(b"\x16\x03\x01\x02\x00\x01")
    speakers = [loud.connect(), loud.connect(tls=False)]
    loud.process.send_signal(getattr(signal, f"SIG{name}"))
    for sock in speakers:
        sock.sendall(GET)
    for sock in speakers:
        answer = all_of(sock)
        assert answer.startswith(b"HTTP/1.1 204 ")
    for sock in silent[:2]:
        assert all_of(sock) == b""
    said = all_of(silent[2])
    assert said.count(b"\0\0\x08\x07\0\0\0\0\0") == 2  # GOAWAY twice
    # `idle` is 60 s: the whole of it would be longer than this, even on a machine that is three times as slow.
    loud.process.wait(40)
    half.close()


def test_a_reload_lets_the_old_generation_go_soon(loud: Loud) -> None:
    assert loud.process is not None
    silent = [loud.connect(), loud.connect(tls=False)]
    late = loud.connect()
    loud.process.send_signal(signal.SIGHUP)
    until(lambda: loud.lines("draining ("), SECONDS)
    late.sendall(GET)
    assert all_of(late).startswith(b"HTTP/1.1 204 ")
    started = time.monotonic()
    for sock in silent:
        assert all_of(sock) == b""
    assert time.monotonic() - started < 40
    with loud.connect() as sock:
        sock.sendall(GET)
        assert sock.recv(65536).startswith(b"HTTP/1.1 204 ")


def flood(loud: Loud, tls: bool) -> None:
    """PINGs until the connection is ended."""
    with loud.connect("h2", tls=tls) as sock:
        try:
            sock.sendall(PREFACE)
            for _ in range(5000):
                sock.sendall(PING * 100)
        except OSError:
            return
        raise AssertionError("500,000 PINGs were borne")


def test_floods_are_told_and_counted_and_do_not_fill_the_log(loud: Loud) -> None:
    for number in range(30):
        flood(loud, number % 2 == 0)
    counter = 'pingpy_violations_total{side="client",protocol="h2",reason="flood"}'
    assert loud.metric(counter) == 30
    lines = loud.lines("closed: HTTP/2: too many frames")
    assert 5 <= len(lines) <= 8
    assert all("[warn]" in line and "from 127.0.0.1 to 127.0.0.1:" in line for line in lines)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", loud.port), timeout=30) as sock:
            sock.sendall(b"\x16\x03\x01\x00\x04\x01\x01\xff\xff")
            assert sock.recv(10) == b""
    failed = 'pingpy_tls_handshake_failures_total{reason="client_hello"}'
    assert loud.metric(failed) == 20
    assert 5 <= len(loud.lines("closed: TLS handshake: its ClientHello is too long")) <= 8


# ---- an origin that stands still


@pytest.fixture
def origin() -> Iterator[Any]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(HERE / "grpc_service.py"), "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    try:
        yield process, port
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


def test_a_call_whose_client_has_nothing_to_say_lives_on(tmp_path: Path, origin: Any) -> None:
    """`body` bounds the time between two pieces of any other body."""
    _, port = origin

    def messages() -> Iterator[bytes]:
        yield b"one"
        time.sleep(5)
        yield b"two"

    with (
        Loud(tmp_path, timeouts="body = 1\n", proxy=CALL.format(port=port)) as loud,
        grpc.insecure_channel(f"127.0.0.1:{loud.port}") as channel,
    ):
        echo = channel.stream_stream("/test.Echo/Bidi")
        assert list(echo(messages(), timeout=300)) == [b"one", b"two"], loud.log()


def test_a_long_call_to_an_origin_that_stands_still_is_ended(tmp_path: Path, origin: Any) -> None:
    process, port = origin
    proxy = CALL.format(port=port)
    with Loud(tmp_path, timeouts="upstream_ping = 1\n", proxy=proxy) as loud:
        options = [("grpc.enable_retries", 0)]
        with grpc.insecure_channel(f"127.0.0.1:{loud.port}", options=options) as channel:
            more, over = threading.Event(), threading.Event()

            def messages() -> Iterator[bytes]:
                yield b"one"
                more.wait(SECONDS)
                yield b"two"
                over.wait(SECONDS)

            stream = channel.stream_stream("/test.Echo/Bidi")(messages(), timeout=300)
            assert next(stream) == b"one"
            time.sleep(6)  # silence ends nothing; nor do PINGs, as too many would
            assert stream.is_active()
            more.set()
            assert next(stream) == b"two"
            os.kill(process.pid, signal.SIGSTOP)
            with pytest.raises(grpc.RpcError) as ended:
                next(stream)
            over.set()
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE, loud.log()
        assert loud.lines(f"connection to 127.0.0.1:{port} closed: HTTP/2: no answer to a PING")
        counter = 'pingpy_violations_total{side="upstream",protocol="h2",reason="silent"}'
        assert loud.metric(counter) == 1
