"""`pingpy demo`: the three things it prints to try are run as printed, and do what it says."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

from free_ports import free_port
from master_rig import until

ROOT = Path(__file__).resolve().parents[2]
PINGPY = [sys.executable, "-P", "-m", "pingpy"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def shell(line: str) -> str:
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, timeout=30, check=True
    ).stdout


def spoken(line: str) -> Counter[str]:
    """Which origins answered."""
    return Counter(re.findall(r"X-Origin: (\S+)", shell(line)))


def test_the_three_things_to_try_are_true(tmp_path):
    port = free_port()
    said = tmp_path / "said"
    with said.open("w") as output:
        demo = subprocess.Popen(
            [*PINGPY, "demo", f"127.0.0.1:{port}"], stdout=output, stderr=output, env=ENVIRONMENT
        )
    try:
        until(lambda: "started: 2 of 2 workers" in said.read_text(), 30)
        tries = [
            line.split("#")[0].strip()
            for line in said.read_text().splitlines()
            if line.startswith("  ")
        ]
        ask, kill, scrape = tries
        assert ask.startswith("for i in 1 2 3 4 5 6;")
        found = Counter[str]()
        for _ in range(5):
            found += spoken(ask)
        assert found.keys() == {"the-hare", "the-tortoise"}
        # Each connection begins somewhere in the circle of its worker: two thirds, not exactly.
        assert 15 <= found["the-hare"] <= 25
        shell(kill)
        assert spoken(ask) == {"the-tortoise": 6}
        until(lambda: re.search(r'upstream_up{.*"} 0', shell(scrape)), 10)
        assert "pingpy_requests_total{" in shell(scrape)
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0


def test_an_address_that_is_taken_is_told_before_anything_is_promised():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*PINGPY, "demo", place],
            capture_output=True, text=True, timeout=30, env=ENVIRONMENT, check=False,
        )  # fmt: skip
    assert done.returncode == 78
    assert f"{place} is in use" in done.stderr
    assert done.stdout == ""
