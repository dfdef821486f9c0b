"""One pingpy between clients of four kinds and origins of four kinds: plain and TLS, HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme
from free_ports import free_port
from master_rig import ROOT, until
from protocol_client import Door

HERE = Path(__file__).parent
DOWNSTREAMS = ("h1", "h2c", "h1-tls", "h2-tls")
UPSTREAMS = DOWNSTREAMS
PAIRS = [(down, up) for down in DOWNSTREAMS for up in UPSTREAMS]
PAIR_NAMES = [" to ".join(pair) for pair in PAIRS]
CONFIG = """
[global]
worker_threads = 1
pid_file = "{folder}/pid"
runtime_dir = "{folder}/run"
access_log = "{folder}/access.log"
tunnel_drain_timeout = 1
graceful_timeout = 5
[network]
listen = ["127.0.0.1:{plain}", "https://127.0.0.1:{secure}"]
ssl_certificate = "{folder}/server.pem"
ssl_certificate_key = "{folder}/server.key"
[limits]
header_bytes = "256KiB"
[log]
format = "$connection $status $termination $server_protocol $request_uri"
[proxy]
tls = {{ ca = "{folder}/ca.pem" }}
"""
NGINX = """
user root; daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 100m; keepalive_requests 1000000;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    {servers}
}}
"""
SERVER = """
    server {{
        listen 127.0.0.1:{port}{speaks} backlog=1024; root {folder}/www;
        location /kept/ {{ dav_methods PUT; create_full_put_path on; }}
        location = /protocol {{ return 200 $server_protocol; }}
    }}
"""
ACCEPTS = "accepts, on probation"
SPEAKS = {"h1": "", "h2c": " http2", "h1-tls": " ssl", "h2-tls": " ssl http2"}


def rule(prefix: str, up: str, port: int, more: str = "") -> str:
    """What begins with this goes there, without it."""
    scheme = "https" if up.endswith("tls") else "http"
    protocol = "h2" if up.startswith("h2") else "http1"
    return (
        f'[[proxy.rules]]\npath = "/{prefix}/*"\nrewrite = "/*"\n{more}'
        f'upstream = "{scheme}://127.0.0.1:{port}"\nupstream_protocol = "{protocol}"\n'
    )


@dataclass
class World:
    """The running pingpy, and how one reaches it."""

    folder: Path
    ports: dict[str, int]
    process: subprocess.Popen[bytes]
    authority: trustme.CA

    def door(self, down: str) -> Door:
        """The way in of one kind of client."""
        tls = None
        http2 = down.startswith("h2")
        if down.endswith("tls"):
            tls = ssl.create_default_context()
            self.authority.configure_trust(tls)
            tls.set_alpn_protocols(["h2"] if http2 else ["http/1.1"])
        return Door(self.ports["secure" if tls else "plain"], http2, tls)

    def url(self, down: str) -> str:
        secure = down.endswith("tls")
        port = self.ports["secure" if secure else "plain"]
        return f"https://localhost:{port}" if secure else f"http://127.0.0.1:{port}"

    def curl(self, down: str) -> list[str]:
        """A curl that speaks so, and no other way."""
        protocol = {"h1": "--http1.1", "h1-tls": "--http1.1", "h2-tls": "--http2"}
        return [
            *("curl", "-sS", "--max-time", "60", "--noproxy", "*", "--ipv4"),
            *("--cacert", f"{self.folder}/ca.pem", protocol.get(down, "--http2-prior-knowledge")),
        ]

    def log(self) -> list[str]:
        path = self.folder / "access.log"
        return path.read_text().splitlines() if path.exists() else []

    def reload(self) -> None:
        """Have a new generation, and come back when it accepts."""
        before = self.said().count(ACCEPTS)
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.said().count(ACCEPTS) > before, 90)

    def said(self) -> str:
        """Its standard error."""
        return (self.folder / "stderr.log").read_text()

    def metric(self, name: str) -> int:
        """One figure of /metrics."""
        command = ["curl", "-sS", "--noproxy", "*", f"{self.url('h1')}/metrics"]
        page = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        return int(re.findall(rf"^{re.escape(name)} (\d+)$", page, re.MULTILINE)[0])


def write_identity(folder: Path) -> trustme.CA:
    """A certificate for both ends of pingpy, and who vouches for it."""
    authority = trustme.CA()
    shown = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    shown.private_key_pem.write_to_path(str(folder / "server.key"))
    chain = b"".join(blob.bytes() for blob in shown.cert_chain_pems)
    (folder / "server.pem").write_bytes(chain)
    return authority


def start_nginx(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, int]]:
    """A server of each kind; what is PUT below /kept/ can be fetched again."""
    (folder / "www").mkdir()
    (folder / "www" / "1k").write_bytes(b"x" * 1024)
    ports = {up: free_port() for up in UPSTREAMS}
    servers = "".join(
        SERVER.format(port=port, speaks=SPEAKS[up], folder=folder) for up, port in ports.items()
    )
    path = folder / "nginx.conf"
    path.write_text(NGINX.format(folder=folder, servers=servers))
    command = ["nginx", "-p", folder, "-e", folder / "nginx.log", "-c", path]
    return subprocess.Popen(command), ports


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(folder: Path, *, nginx: bool = False, more: str = "") -> Iterator[World]:
    """The whole of it, until it is left; `more` is what the file says besides."""
    authority = write_identity(folder)
    origin = subprocess.Popen(
        [sys.executable, HERE / "protocol_origin.py", folder / "server.pem", folder / "server.key"],
        stdout=subprocess.PIPE,
    )
    started: list[subprocess.Popen[bytes]] = [origin]
    assert origin.stdout is not None
    plain, secure = map(int, origin.stdout.readline().split())
    rules = more + "".join(
        rule(up, up, secure if up.endswith("tls") else plain) for up in UPSTREAMS
    )
    if nginx:
        process, nginx_ports = start_nginx(folder)
        started.append(process)
        until(lambda: all(map(listens, nginx_ports.values())))
        rules += "".join(rule(f"nginx-{up}", up, port) for up, port in nginx_ports.items())
    ports = {"plain": free_port(), "secure": free_port()}
    (folder / "config.toml").write_text(CONFIG.format(folder=folder, **ports) + rules)
    with (folder / "stderr.log").open("w") as said:
        pingpy = subprocess.Popen(
            [sys.executable, "-P", "-m", "pingpy", "-c", folder / "config.toml"],
            stderr=said,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    started.append(pingpy)
    try:
        log = folder / "stderr.log"
        until(lambda: pingpy.poll() is not None or "started: 1 of 1" in log.read_text(), 60)
        assert pingpy.poll() is None, log.read_text()
        yield World(folder, ports, pingpy, authority)
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            process.wait(30)
