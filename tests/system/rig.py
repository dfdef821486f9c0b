"""The rig: pingpy in one network namespace, real nginx origins in another, as the seed's config.toml expects them.

    edge (pingpy, clients)  192.168.1.1 ── veth ── 192.168.1.100-104  origin (nginx, rig_origin)

The edge's hosts file names `backend` and `secondary`; a certificate lies at the seed's two paths; /run and /var/log are
fresh. Nothing of it is visible outside.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rig_namespace import Namespace

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SEED = ROOT / "tests" / "data" / "seed_config.toml"
ORIGINS = {
    "backend1": ("192.168.1.100", 80),
    "backend2": ("192.168.1.101", 80),
    "backend": ("192.168.1.102", 8080),
    "secondary": ("192.168.1.103", 8080),
}
HOSTS = "127.0.0.1 localhost\n::1 localhost\n192.168.1.102 backend\n192.168.1.103 secondary\n"


def impossible() -> str | None:
    """Why this machine cannot have a rig, or None."""
    if os.geteuid() != 0:
        return "the rig makes network namespaces: it needs root"
    if missing := [
        name for name in ("ip", "unshare", "nsenter", "nginx") if not shutil.which(name)
    ]:
        return f"the rig needs {', '.join(missing)}"
    probe = ["unshare", "--net", "--mount", "ip", "link", "add", "edge0", "type", "veth"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "this machine does not let us make network namespaces with a veth pair"
    return None


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Poll until the condition holds; the deadline is a failure with words.

    `seconds` are those of a quiet machine: somebody else's work may make it three times as long.
    """
    deadline = time.monotonic() + 3 * seconds
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within 3 x {seconds} s: {what}")
        time.sleep(0.02)


@dataclass(frozen=True)
class Reply:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def origin(self) -> str:
        return self.headers.get("x-origin", "")


class Rig:
    """Both namespaces and the nginx that plays all four origins."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.chmod(0o755)
        (directory / "hosts").write_text(HOSTS)
        self.edge = Namespace(
            f"mount --bind {directory}/hosts /etc/hosts\n"
            "mount -t tmpfs tmpfs /etc/ssl && mkdir /etc/ssl/certs /etc/ssl/private\n"
            "mount -t tmpfs tmpfs /run\nmount -t tmpfs tmpfs /var/log\n"
            "ip link add edge0 type veth peer name origin0\nip addr add 192.168.1.1/24 dev edge0"
        )
        self.origin = Namespace()
        self.edge.run("ip", "link", "set", "origin0", "netns", str(self.origin.pid))
        for address in range(100, 105):
            self.origin.run("ip", "addr", "add", f"192.168.1.{address}/24", "dev", "origin0")
        self.origin.run("ip", "link", "set", "origin0", "up")
        self.edge.run("ip", "link", "set", "edge0", "up")
        self.make_certificate()
        self.nginx = self.start_nginx()

    def make_certificate(self) -> None:
        """A certificate at the seed's two paths."""
        key, certificate = self.directory / "pingora.key", self.directory / "pingora.crt"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        files = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*command.split(), *subject, *files], check=True, capture_output=True)
        shutil.copy(certificate, self.edge.path("/etc/ssl/certs/pingora.crt"))
        shutil.copy(key, self.edge.path("/etc/ssl/private/pingora.key"))

    def start_nginx(self) -> subprocess.Popen[str]:
        """Four virtual servers; the file NAME.STATUS makes that one's /healthz answer so."""
        servers = "\n".join(self.server(name, *place) for name, place in ORIGINS.items())
        temporary = "\n".join(
            f"{kind}_temp_path {self.directory}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        path = self.directory / "nginx.conf"
        path.write_text(
            f"user root; daemon off; worker_processes 1; pid {self.directory}/nginx.pid;\n"
            f"error_log {self.directory}/nginx.log;\nevents {{ worker_connections 4096; }}\n"
            f"http {{\n{temporary}\nlog_format rig '$msec $request_method $request_uri';\n"
            f"keepalive_requests 1000000;\n{servers}\n}}\n"
        )
        process = self.origin.start("nginx", "-e", self.directory / "nginx.log", "-c", path)
        until(lambda: self.origin.call(knock, *ORIGINS["secondary"]), 10, "nginx listens")
        return process

    def server(self, name: str, address: str, port: int) -> str:
        """The text of one virtual server."""
        ill = "".join(
            f"if (-f {self.directory}/{name}.{status}) {{ return {status}; }} "
            for status in (302, 500)
        )
        return (
            f"server {{ listen {address}:{port} backlog=1024; access_log {self.directory}/{name}.log"
            f" rig; add_header X-Origin {name} always; location = /healthz {{ {ill} return 204; }}\n"
            'location / { return 200 "$request_method $request_uri\\nhost: $http_host\\n'
            'x-forwarded-for: $http_x_forwarded_for\\n"; } }'
        )

    def requests_seen(self, name: str, target: str = "") -> list[tuple[float, str, str]]:
        """Time, method and target of what an origin was asked."""
        lines = (self.directory / f"{name}.log").read_text().splitlines()
        split = [line.split(" ", 2) for line in lines]
        return [(float(at), method, uri) for at, method, uri in split if target in ("", uri)]

    def make_ill(self, name: str, status: int) -> None:
        """From now on this origin's /healthz answers so."""
        (self.directory / f"{name}.{status}").touch()

    def heal(self) -> None:
        """All well again."""
        for name in ORIGINS:
            for status in (302, 500):
                (self.directory / f"{name}.{status}").unlink(missing_ok=True)

    def own_origin(self, name: str, address: str, *options: str) -> subprocess.Popen[str]:
        """Start a rig_origin at this address; the caller ends it."""
        process = self.origin.start(
            *(sys.executable, "-P", HERE / "rig_origin.py", "--name", name),
            *("--listen", address, *options),
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        return process

    def state_of(self, address: str) -> dict[str, Any]:
        """What a rig_origin has counted, asked directly."""
        host, _, port = address.rpartition(":")
        return dict(json.loads(self.origin.call(fetch, host, int(port), "/__state").body))

    def get(self, path: str, headers: dict[str, str] | None = None, **where: Any) -> Reply:
        """One request to pingpy on a connection of its own."""
        host, port = where.get("host", "127.0.0.1"), where.get("port", 80)
        method = where.get("method", "GET")
        reply = self.edge.call(fetch, host, port, path, headers or {}, method, where.get("body"))
        assert isinstance(reply, Reply)
        return reply

    def get_many(self, path: str, count: int, headers: dict[str, str] | None = None) -> list[Reply]:
        """So many requests on one kept connection, hence to one worker."""
        return list(self.edge.call(fetch_many, "127.0.0.1", 80, path, count, headers or {}))

    def wrk(self, *options: str, path: str = "/", host: str = "127.0.0.1") -> dict[str, int]:
        """Load from wrk; how many requests, and what went wrong."""
        said = self.edge.run("wrk", *options, f"http://{host}{path}").stdout
        found = {"requests": int(re.findall(r"(\d+) requests in", said)[0]), "bad": 0}
        errors = re.findall(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
        found["socket_errors"] = sum(map(int, errors[0])) if errors else 0
        bad = re.findall(r"Non-2xx or 3xx responses: (\d+)", said)
        found["bad"] = int(bad[0]) if bad else 0
        return found

    def exactly(self, requests: int, path: str) -> dict[str, Any]:
        """So many requests and not one more, by the benchmark's load generator."""
        program = self.directory / "loadgen"
        if not program.exists():
            sources = sorted((ROOT / "scripts" / "benchmark" / "load").glob("*.c"))
            wanted = [str(source) for source in sources if source.stem != "relay"]
            subprocess.run(
                ["gcc", "-O2", "-o", str(program), *wanted, "-lssl", "-lcrypto"], check=True
            )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = self.edge.start(program, "9", **pipes)
        assert process.stdin is not None
        assert process.stdout is not None
        order = f"run port=80 connections=64 seconds=50 path={path} requests={requests}\n"
        process.stdin.write(order)
        process.stdin.flush()
        result = json.loads(process.stdout.readline())
        process.kill()
        process.communicate()
        return dict(result)

    def pingpy(self, config: str | Path = SEED, *options: str) -> Pingpy:
        """Pingpy in the edge with this file, or this text."""
        if isinstance(config, str):
            path = self.directory / "config.toml"
            path.write_text(config)
        else:
            path = config
        return Pingpy(self, path, options)

    def close(self) -> None:
        """Take both namespaces away, and all that runs in them."""
        self.edge.close()
        self.origin.close()
        self.nginx.wait(10)


class Pingpy:
    """A running pingpy; as a context manager it answers when entered and is gone when left."""

    def __init__(self, rig: Rig, config: Path, options: tuple[str, ...]) -> None:
        self.rig = rig
        self.log = rig.directory / "pingpy.err"
        with self.log.open("w") as errors:
            self.process = rig.edge.start(
                *(sys.executable, "-P", "-m", "pingpy", "-c", config, *options),
                stdout=errors,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def __enter__(self) -> Pingpy:
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop(signal.SIGINT)  # whoever comes next needs its port
            raise
        return self

    def wait_until_ready(self) -> None:
        """Come back when it serves; AssertionError when it ends before, or takes too long."""
        until(lambda: self.ended() or self.rig.edge.call(knock, "127.0.0.1", 80), 20, "it listens")
        until(lambda: self.ended() or self.is_ready(), 20, f"it serves: {self.said()}")
        assert self.process.poll() is None, self.said()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"pingpy said:\n{self.said()}")
        self.stop()

    def ended(self) -> bool:
        return self.process.poll() is not None

    def is_ready(self) -> bool:
        try:
            return self.rig.get("/readyz").status == 200
        except OSError:
            return False

    def stop(self, number: int = signal.SIGTERM, seconds: float = 15) -> int:
        """End it by a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
            raise AssertionError(f"it did not stop within {seconds} s: {self.said()}") from None

    def said(self) -> str:
        """Its standard error so far."""
        return self.log.read_text()

    def workers(self) -> list[int]:
        """Pids of the workers, without the scout and whoever checks or looks for a moment."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [int(word) for word in path.read_text().split()]
        return [pid for pid in pids if "worker" in title(pid)]


def title(pid: int) -> str:
    """What a process calls itself, by name and by command line."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text()
        return name + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def knock(host: str, port: int) -> bool:
    """Whether something listens."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def read(connection: http.client.HTTPConnection) -> Reply:
    """The answer that is due on a connection."""
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read())


def fetch(
    host: str,
    port: int,
    path: str,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> Reply:
    """One request, one connection; in whatever namespace the calling thread is."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        return read(connection)
    finally:
        connection.close()


def fetch_many(host: str, port: int, path: str, count: int, headers: dict[str, str]) -> list[Reply]:
    """Many requests on one connection."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    replies = []
    for _ in range(count):
        connection.request("GET", path, headers=headers)
        replies.append(read(connection))
    connection.close()
    return replies
