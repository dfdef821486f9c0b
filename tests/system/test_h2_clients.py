"""Real HTTP/2 clients by prior knowledge, curl and h2load, through pingpy to an nginx origin."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from free_ports import free_port
from master_rig import until

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[global]
worker_threads = 1
pid_file = "{dir}/pingpy.pid"
runtime_dir = "{dir}/run"
access_log = "{dir}/access.log"
error_log = "{dir}/error.log"
[network]
listen = ["127.0.0.1:{port}"]
[[proxy.rules]]
path = "/*"
upstream = "http://127.0.0.1:{origin}"
"""
NGINX = """
user root; daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    client_max_body_size 100m;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{origin} backlog=1024;
        root {dir}/www;
        location /length {{ proxy_pass http://127.0.0.1:{origin}/said; }}  # which takes the whole body first
        location /said {{ return 200 "$http_content_length $request_method\n"; }}
    }}
}}
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0  # nginx shall read what pytest keeps to its user
    or not (shutil.which("nginx") and shutil.which("curl") and shutil.which("h2load")),
    reason="needs root, nginx, curl and h2load",
)


@dataclass
class Served:
    """pingpy before an nginx, and where it writes."""

    url: str
    directory: Path
    process: subprocess.Popen[bytes]

    def curl(self, path: str, *options: str, given: bytes = b"") -> str:
        command = ["curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", *options]
        done = subprocess.run(
            [*command, self.url + path], input=given, capture_output=True, check=True
        )
        return done.stdout.decode()

    def log(self) -> list[str]:
        return (self.directory / "access.log").read_text().splitlines()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("h2")
    port, origin = free_port(), free_port()
    (directory / "www").mkdir()
    (directory / "www" / "1k").write_bytes(b"x" * 1024)
    (directory / "www" / "8m").write_bytes(bytes(range(256)) * 32768)
    (directory / "nginx.conf").write_text(NGINX.format(dir=directory, origin=origin))
    (directory / "pingpy.toml").write_text(CONFIG.format(dir=directory, origin=origin, port=port))
    nginx = subprocess.Popen(
        ["nginx", "-p", directory, "-e", directory / "nginx.log", "-c", directory / "nginx.conf"]
    )
    pingpy = subprocess.Popen(
        [sys.executable, "-P", "-m", "pingpy", "-c", str(directory / "pingpy.toml")], cwd=ROOT
    )
    running = Served(f"http://127.0.0.1:{port}", directory, pingpy)

    def answers() -> bool:
        probe = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{running.url}/1k"]
        return subprocess.run(probe, capture_output=True, check=False).stdout == b"200"

    try:
        until(answers, 20)
        yield running
    finally:
        for process in (pingpy, nginx):
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def test_curl_gets_and_heads(served: Served) -> None:
    assert served.curl("/1k", "-w", "%{http_version} %{http_code}", "-o", "/dev/null") == "2 200"
    said = served.curl("/1k", "-I").lower()
    assert said.startswith("http/2 200")
    assert "content-length: 1024" in said
    assert "via: 1.1 pingpy" in said
    assert served.curl("/none", "-w", "%{http_code}", "-o", "/dev/null") == "404"
    until(lambda: any('"GET /none HTTP/2.0" 404' in line for line in served.log()), 10)


def test_curl_downloads_and_uploads_much(served: Served, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    served.curl("/8m", "-o", str(taken))
    assert taken.read_bytes() == (served.directory / "www" / "8m").read_bytes()
    assert served.curl("/length", "--data-binary", f"@{taken}") == f"{8 << 20} POST\n"
    # without a length it goes to the origin in chunks
    assert served.curl("/length", "-T", "-", given=b"abc") == "3 PUT\n"


def test_nghttp_asks_for_many_things_at_once(served: Served) -> None:
    urls = [f"{served.url}/1k?{n}" for n in range(300)]
    done = subprocess.run(["nghttp", "-ns", *urls], capture_output=True, text=True, check=True)
    assert len(re.findall(r" 200 +1K", done.stdout)) == 300, done.stdout


@pytest.mark.parametrize(
    ("what", "count"),
    [(("-c16", "-m32"), 20000), (("-c100", "-m1"), 5000), (("-c2", "-m100"), 5000)],
)
def test_h2load_has_no_failure(served: Served, what: tuple[str, str], count: int) -> None:
    command = ["h2load", "-t1", "-n", str(count), *what, f"{served.url}/1k"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout
    found = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", said)
    assert found is not None, said
    assert [int(figure) for figure in found.groups()] == [count, count, 0, 0], said
    assert f"status codes: {count} 2xx" in said


def test_h2load_with_large_answers_and_with_bodies(served: Served) -> None:
    for options in (["/8m"], ["/length", "-d", str(served.directory / "www" / "1k")]):
        command = ["h2load", "-n", "64", "-c4", "-m8", f"{served.url}{options[0]}", *options[1:]]
        said = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=240
        ).stdout
        assert "64 succeeded, 0 failed, 0 errored" in said, said


def test_a_reload_under_load_loses_no_request(served: Served) -> None:
    """The old generation says GOAWAY, twice, and finishes; h2load takes a refused stream for a failure."""
    load = subprocess.Popen(
        ["nghttp", "-n", *[f"{served.url}/8m?{n}" for n in range(20)], "-s"],
        stdout=subprocess.PIPE,
        text=True,
    )
    served.process.send_signal(signal.SIGHUP)
    said, _ = load.communicate(timeout=120)
    assert load.returncode == 0
    assert len(re.findall(r" 200 ", said)) == 20, said
    assert served.curl("/1k", "-w", "%{http_code}", "-o", "/dev/null") == "200"
