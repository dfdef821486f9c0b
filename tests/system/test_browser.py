"""A real browser before pingpy: a page with fifty resources and a WebSocket, over HTTP/1.1, and over HTTP/2 and TLS."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from browser_origin import RESOURCES, BrowserOrigin
from chromium import SECONDS, needs_chromium, visiting
from free_ports import free_port
from master_rig import until
from one_worker import serving
from protocol_rig import write_identity


@pytest.fixture
def origin():
    with BrowserOrigin() as made:
        yield made


def config(folder: Path, port: int, origin: BrowserOrigin, network: str = "") -> str:
    return (
        f'[global]\nworker_threads = 1\nruntime_dir = "{folder}/run"\npid_file = "{folder}/pid"\n'
        f'access_log = "{folder}/access.log"\n'
        f'[network]\nlisten = ["127.0.0.1:{port}"]\n{network}\n'
        '[log]\nformat = "$connection $server_protocol $status $request_uri"\n'
        f'[[proxy.rules]]\npath = "/ws"\nwebsocket = true\nupstream = "http://127.0.0.1:{origin.sockets_port}"\n'
        f'[[proxy.rules]]\npath = "/*"\nupstream = "http://127.0.0.1:{origin.pages_port}"\n'
    )


def verdict(folder: Path, address: str, origin: BrowserOrigin, *options: str) -> str:
    """What the page says once a browser is there."""
    with visiting(folder, address, *options):
        until(lambda: origin.verdicts, SECONDS)
        return origin.verdicts[0]


@needs_chromium
def test_a_page_and_a_websocket_over_http_1(tmp_path, origin):
    port = free_port()
    with serving(tmp_path, config(tmp_path, port, origin)):
        said = verdict(tmp_path, f"http://127.0.0.1:{port}/", origin)
    assert said == (
        f"protocols=http/1.1 resources={RESOURCES} whole=true heard=one,two,three page=http/1.1"
    )


def pin(certificate: Path) -> str:
    """What a browser shall accept, though nobody vouches for it: the hash of the certificate's public key."""
    command = ["openssl", "x509", "-in", certificate, "-pubkey", "-noout"]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    key = base64.b64decode("".join(said.splitlines()[1:-1]))
    return base64.b64encode(hashlib.sha256(key).digest()).decode()


@pytest.mark.row("S29", "S23")
@needs_chromium
def test_a_page_and_a_websocket_over_one_connection_of_http_2(tmp_path, origin):
    """The browser knows RFC 8441, and finds in our SETTINGS that it may open the WebSocket on the same connection."""
    port = free_port()
    write_identity(tmp_path)
    tls = (
        f'ssl_certificate = "{tmp_path}/server.pem"\nssl_certificate_key = "{tmp_path}/server.key"'
    )
    with serving(tmp_path, config(tmp_path, port, origin, tls)):
        trust = f"--ignore-certificate-errors-spki-list={pin(tmp_path / 'server.pem')}"
        said = verdict(tmp_path, f"https://127.0.0.1:{port}/", origin, trust)
    assert said == f"protocols=h2 resources={RESOURCES} whole=true heard=one,two,three page=h2"
    lines = [line.split() for line in (tmp_path / "access.log").read_text().splitlines()]
    asked = [line for line in lines if line[3].startswith(("/resource/", "/ws", "/verdict"))]
    assert len(asked) == RESOURCES + 2
    assert {line[1] for line in asked} == {"HTTP/2.0"}
    assert len({line[0] for line in asked}) == 1
