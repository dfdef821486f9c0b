"""gRPC-Web with the npm clients, in Node and in Chromium: from another origin, by the sample deploy/grpc_web.toml."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from chromium import SECONDS, needs_chromium, visiting
from free_ports import free_port
from master_rig import ROOT, until
from one_worker import serving

SCRIPTS = Path(__file__).with_name("npm")
NODE = Path(sys.executable).with_name("node")
PACKAGES = Path(sys.prefix) / "node" / "node_modules"
SAMPLE = ROOT / "deploy" / "grpc_web.toml"
# The tools of npm do not know what a sanitizer wants of them.
ENVIRON = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
WANTED = "HELLO abc as they came"
pytestmark = [pytest.mark.system, pytest.mark.row("S22")]


class Cart(grpc.GenericRpcHandler):
    """shop.Cart, whose messages are StringValues: Say, Spell (a letter every half second) and Fail."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, Any]] = []
        self.pause = threading.Event()
        self.methods = {
            "/shop.Cart/Say": grpc.unary_unary_rpc_method_handler(self.say),
            "/shop.Cart/Spell": grpc.unary_stream_rpc_method_handler(self.spell),
            "/shop.Cart/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }

    def service(self, details: Any) -> Any:
        return self.methods.get(details.method)

    def say(self, message: bytes, context: Any) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        return message[:2] + message[2:].upper()

    def spell(self, message: bytes, context: Any) -> Iterator[bytes]:
        for letter in message[2:]:
            yield bytes((10, 1, letter))
            self.pause.wait(0.5)

    def fail(self, message: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        raise AssertionError


class Pages(ThreadingHTTPServer):
    """The origin of the page, which calls elsewhere; keeps what the page says of it."""

    def __init__(self, script: str) -> None:
        page = f'<!doctype html><script type="module">{script}</script>'.encode()
        verdicts = self.verdicts = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/verdict/"):
                    verdicts.append(urllib.parse.unquote(self.path.removeprefix("/verdict/")))
                self.send_response(200 if self.path == "/" else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(page if self.path == "/" else b"")

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Pages:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def cart() -> Iterator[tuple[Cart, int]]:
    """The service and its port."""
    made = Cart()
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(made,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made, port
    server.stop(None)


def config(folder: Path, port: int, origin: int, page: str) -> str:
    """The sample, with places of this test."""
    text = SAMPLE.read_text()
    for ours, mine in {
        "0.0.0.0:80": f"127.0.0.1:{port}",
        "127.0.0.1:50051": f"127.0.0.1:{origin}",
        "https://app.example.com": page,
    }.items():
        assert ours in text
        text = text.replace(ours, mine)
    log = f'access_log = "{folder}/access.log"\n[log]\nformat = "$request_method $status $uri"\n'
    own = f'[global]\nworker_threads = 1\nruntime_dir = "{folder}/run"\npid_file = "{folder}/pid"\n'
    return own + log + text


def bundle(name: str, *options: str) -> str:
    """One script of it and all that it imports."""
    program = PACKAGES / "esbuild" / "bin" / "esbuild"
    command = [NODE, program, SCRIPTS / name, "--bundle", "--format=esm", *options]
    environ = {**ENVIRON, "NODE_PATH": str(PACKAGES)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_connect_web_in_node(tmp_path: Path, cart: tuple[Cart, int]) -> None:
    port = free_port()
    script = tmp_path / "script.mjs"
    script.write_text(bundle("in_node.js", "--platform=node"))
    with serving(tmp_path, config(tmp_path, port, cart[1], "http://page.test")):
        done = subprocess.run(
            [NODE, script, f"http://127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRON,
            timeout=SECONDS,
        )
    assert (done.stdout, done.stderr) == (f"{WANTED} NotFound: no such thing\n", "")
    assert cart[0].metadata[0]["authorization"] == "Bearer x"


@needs_chromium
def test_a_page_of_another_origin(tmp_path: Path, cart: tuple[Cart, int]) -> None:
    """Chromium asks before the first call of each method, is told by the sample's first rule, and calls."""
    port = free_port()
    script = f'globalThis.SERVICE = "http://127.0.0.1:{port}";' + bundle("in_page.js")
    with Pages(script) as pages:
        address = f"http://127.0.0.1:{pages.server_port}"
        with (
            serving(tmp_path, config(tmp_path, port, cart[1], address)),
            visiting(tmp_path, address) as log,
        ):
            until(lambda: pages.verdicts, SECONDS)
    (said,) = pages.verdicts
    assert said.split(" | ")[:3] == [
        f"{WANTED} NotFound: no such thing",
        "HELLO abc at once 5: no such thing",
        f"{WANTED} 5: no such thing",
    ], log.read_text()[-2000:]
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert "OPTIONS 204 /shop.Cart/Say" in lines
    assert {line.split()[1] for line in lines if line.startswith("POST")} == {"200"}


@needs_chromium
def test_a_page_that_the_rules_do_not_name_is_kept_away(
    tmp_path: Path, cart: tuple[Cart, int]
) -> None:
    port = free_port()
    script = f'globalThis.SERVICE = "http://127.0.0.1:{port}";' + bundle("in_page.js")
    with Pages(script) as pages:
        text = config(tmp_path, port, cart[1], "http://other.test")
        with (
            serving(tmp_path, text),
            visiting(tmp_path, f"http://127.0.0.1:{pages.server_port}"),
        ):
            until(lambda: pages.verdicts, SECONDS)
    assert "HELLO" not in pages.verdicts[0]
    assert cart[0].metadata == []
