"""A real browser in front of pingpy: a page with fifty resources, and a WebSocket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser_origin import RESOURCES, BrowserOrigin
from master_rig import ROOT, free_port, until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def origin():
    with BrowserOrigin() as made:
        yield made


def config(folder: Path, port: int, origin: BrowserOrigin, network: str = "") -> str:
    return (
        f'[global]\nworker_threads = 1\nruntime_dir = "{folder}/run"\npid_file = "{folder}/pid"\n'
        f'access_log = "{folder}/access.log"\n'
        f'[network]\nlisten = ["127.0.0.1:{port}"]\n{network}\n'
        f'[[proxy.rules]]\npath = "/ws"\nwebsocket = true\nupstream = "http://127.0.0.1:{origin.sockets_port}"\n'
        f'[[proxy.rules]]\npath = "/*"\nupstream = "http://127.0.0.1:{origin.pages_port}"\n'
    )


@contextmanager
def serving(folder: Path, text: str) -> Iterator[None]:
    """Pingpy with this configuration."""
    (folder / "config.toml").write_text(text)
    said = folder / "stderr.log"
    with said.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pingpy", "-c", folder / "config.toml"],
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        until(lambda: process.poll() is not None or "started: 1 of 1" in said.read_text())
        assert process.poll() is None, said.read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def verdict(folder: Path, address: str, origin: BrowserOrigin) -> str:
    """What the page says once a browser is there."""
    log = folder / "browser.log"
    with log.open("w") as said:
        browser = subprocess.Popen(
            [
                *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--disable-dev-shm-usage", f"--user-data-dir={folder}/profile"),
                *("--ignore-certificate-errors", "--no-proxy-server", address),
            ],
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        until(lambda: origin.verdicts or browser.poll() is not None, 120)
        assert origin.verdicts, log.read_text()[-2000:]
        return origin.verdicts[0]
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait(20)


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_page_and_a_websocket_over_http_1(tmp_path, origin):
    port = free_port()
    with serving(tmp_path, config(tmp_path, port, origin)):
        said = verdict(tmp_path, f"http://127.0.0.1:{port}/", origin)
    assert said == (
        f"protocols=http/1.1 resources={RESOURCES} whole=true heard=one,two,three page=http/1.1"
    )
