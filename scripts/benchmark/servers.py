"""The proxies that are compared: how each is configured, started, found ready, and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from benchmark import accounting
from benchmark.generator import Load
from benchmark.ports import free_port, free_ports

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PINGORA = ROOT / "build" / "pingora" / "release" / "pingora-relay"
START_SECONDS = 60.0


@dataclass(frozen=True)
class Origins:
    """Where the answers come from: the load generator's own origin, and one for gRPC."""

    port: int
    grpc_port: int


@dataclass
class Server:
    """One proxy under test. Its ports: the first for most rows, others where one port cannot do it all."""

    name: str
    command: list[str]
    port: int
    big_port: int = 0
    h2_port: int = 0  # of HTTP/2 by prior knowledge, where it is not the first
    tls_port: int = 0
    big_tls_port: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self.process.pid

    def start(self, directory: Path, cpu: int | None) -> None:
        """Start it on its CPU and wait until it answers."""
        pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
        with (directory / f"{self.name}.out").open("ab") as output:
            self.process = subprocess.Popen(
                [*pin, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = (directory / f"{self.name}.out").read_text(errors="replace")
                raise RuntimeError(f"{self.name} did not start: {said[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it and whatever it started."""
        if self.process is None:
            return
        pids = accounting.tree(self.pid)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait(5)
        self.process = None

    def port_for(self, load: Load, big_buffers: bool = False) -> int:
        """Where this load goes."""
        if load.tls:
            return self.big_tls_port if big_buffers else self.tls_port
        if load.streams or load.messages:
            return self.h2_port or self.port
        return self.big_port if big_buffers else self.port

    def carriers(self) -> list[int]:
        """The processes that carry the traffic: pingpy's workers without master and scout, else all."""
        pids = accounting.tree(self.pid)
        if not self.name.startswith("pingpy"):
            return pids
        return [pid for pid in pids if accounting.name_of(pid).startswith("pingpy:worker")]


def answers(port: int) -> bool:
    """Whether a request comes through to the origin."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/1k", timeout=2) as response:
            return len(response.read()) == 1024
    except OSError:
        return False


def fill(template: str, target: Path, **values: object) -> Path:
    """Write a configuration with its @PLACES@ filled in."""
    text = (HERE / "configs" / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    target.write_text(text)
    return target


def pingpy(
    name: str,
    port: int,
    directory: Path,
    more: str,
    workers: int = 1,
    *,
    tls_port: int = 0,
    source: Path = ROOT,
) -> Server:
    """Pingpy with these routing tables; a `tls_port` needs what `certify` has written."""
    path = pingpy_config(name, directory, more, (port, tls_port), workers)
    command = [sys.executable, "-P", "-m", "pingpy", "-c", str(path)]
    server = Server(name, command, port, port, tls_port=tls_port, big_tls_port=tls_port)
    server.environment["PYTHONPATH"] = str(source)
    return server


def pingpy_config(
    name: str, directory: Path, more: str, ports: tuple[int, int], workers: int = 1
) -> Path:
    """Its file; `ports`: of plain HTTP and of TLS, 0 for none."""
    schemes = zip(("http", "https"), ports, strict=True)
    listen = [f'"{scheme}://127.0.0.1:{port}"' for scheme, port in schemes if port]
    pair = f'ssl_certificate = "{directory}/bench.crt"\nssl_certificate_key = "{directory}/bench.key"\n'
    return fill(
        "pingpy.toml",
        directory / f"{name}.toml",
        NAME=name,
        LISTEN=", ".join(listen),
        CERTIFICATE=pair if ports[1] else "",
        DIR=directory,
        WORKERS=workers,
        MORE=more,
    )


def certify(directory: Path) -> None:
    """A certificate for example.test with a P-256 key: bench.crt, bench.key, both as bench.pem."""
    certificate, key = directory / "bench.crt", directory / "bench.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "30", "-subj", "/CN=example.test"]
    command += ["-addext", "subjectAltName=DNS:example.test"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o644)  # nginx and pingpy read it as root, Caddy and HAProxy as whoever we are
    (directory / "bench.pem").write_text(certificate.read_text() + key.read_text())


def one_rule(origin_port: int) -> str:
    """The usual routing: one origin for everything, WebSocket under one path."""
    upstream = f'upstream = "http://127.0.0.1:{origin_port}"\n'
    return (
        f'[[proxy.rules]]\npath = "/websocket"\nwebsocket = true\n{upstream}'
        f'\n[[proxy.rules]]\npath = "/*"\n{upstream}'
    )


def with_grpc(origins: Origins) -> str:
    """The same, behind a rule for gRPC calls."""
    return (
        '[[proxy.rules]]\npath = "/bench.Echo/*"\ngrpc = true\n'
        f'upstream = "http://127.0.0.1:{origins.grpc_port}"\n'
        '[[proxy.rules]]\npath = "/bench.Talk/*"\ngrpc = true\n'
        f'upstream = "http://127.0.0.1:{origins.port}"\n{one_rule(origins.port)}'
    )


def with_hook(origin_port: int) -> str:
    """The same with a Python filter on every request."""
    module = HERE / "configs" / "hook.py"
    return (
        one_rule(origin_port)
        + 'filters = ["hook"]\n'
        + f'\n[[modules]]\nname = "hook"\npath = "{module}"\nclass = "AddHeader"\n'
    )


def available(directory: Path, origins: Origins) -> dict[str, Server]:
    """Every proxy this machine has, pingpy with and without a hook among them."""
    found: dict[str, Server] = {}
    places = {"DIR": directory, "ORIGIN": origins.port}
    certify(directory)
    relay = str(ROOT / "build" / "benchmark" / "relay")
    port = free_port()
    found["relay"] = Server("relay", [relay, str(port), str(origins.port)], port, port)
    if shutil.which("nginx"):
        found["nginx"] = nginx(directory, origins)
    if haproxy := shutil.which("haproxy"):
        port, tls = free_ports(2)
        path = fill("haproxy.cfg", directory / "haproxy.cfg", PORT=port, TLS_PORT=tls, **places)
        command = [haproxy, "-f", str(path)]
        found["haproxy"] = Server("haproxy", command, port, port, tls_port=tls, big_tls_port=tls)
    if caddy := shutil.which("caddy"):
        port, tls = free_ports(2)
        path = fill("Caddyfile", directory / "Caddyfile", PORT=port, TLS_PORT=tls, **places)
        command = [caddy, "run", "--config", str(path), "--adapter", "caddyfile"]
        found["caddy"] = Server("caddy", command, port, port, tls_port=tls, big_tls_port=tls)
        found["caddy"].environment["GOMAXPROCS"] = "1"
    if PINGORA.exists():
        port = free_port()
        command = [str(PINGORA), str(port), str(origins.port), f"{directory}/pingora.access.log"]
        found["pingora"] = Server("pingora", command, port, port)
    found["pingpy"] = pingpy(
        "pingpy", free_port(), directory, with_grpc(origins), tls_port=free_port()
    )
    hooked = with_hook(origins.port)
    found["pingpy+hook"] = pingpy("pingpy+hook", free_port(), directory, hooked)
    return found


def nginx(directory: Path, origins: Origins, start: str = "") -> Server:
    """nginx with one worker; `start` comes first in its configuration."""
    port, big, h2, tls, big_tls = free_ports(5)
    places = {
        "PORT": port,
        "BIG_PORT": big,
        "H2_PORT": h2,
        "TLS_PORT": tls,
        "BIG_TLS_PORT": big_tls,
    }
    places |= {"DIR": directory, "ORIGIN": origins.port, "GRPC": origins.grpc_port}
    path = fill("nginx.conf", directory / "nginx.conf", **places)
    path.write_text(start + path.read_text())
    program = shutil.which("nginx") or "nginx"
    command = [program, "-p", str(directory), "-e", f"{directory}/nginx.error.log", "-c", str(path)]
    return Server("nginx", command, port, big, h2, tls, big_tls)


def grpc_origin(
    directory: Path, origins: Origins, cpu: int | None
) -> subprocess.Popen[bytes] | None:
    """What gRPC calls are answered by, beside the load; None without nginx."""
    program = shutil.which("nginx")
    if program is None:
        return None
    places = {"DIR": directory, "GRPC": origins.grpc_port}
    path = fill("grpc_origin.conf", directory / "grpc_origin.conf", **places)
    pin = [] if cpu is None else ["taskset", "-c", str(cpu)]
    log = f"{directory}/grpc_origin.error.log"
    command = [*pin, program, "-p", str(directory), "-e", log, "-c", str(path)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def build_pingora() -> None:
    """Compile the Pingora side: about five minutes, once."""
    if not shutil.which("cargo"):
        raise SystemExit("bench: --pingora needs cargo")
    flags = {"RUSTFLAGS": "-C target-cpu=native"}
    subprocess.run(
        [
            "cargo",
            "build",
            "--release",
            "--locked",
            "--target-dir",
            str(ROOT / "build" / "pingora"),
        ],
        cwd=HERE / "pingora",
        env={**os.environ, **flags},
        check=True,
    )
