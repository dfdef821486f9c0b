"""The matrix of protocols with real clients and servers: curl and h2load, through one pingpy, to nginx."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from protocol_rig import PAIR_NAMES, PAIRS, World, running

MUCH = random.Random(29).randbytes(3 << 20)
REQUESTS = 400

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0  # nginx shall read what pytest keeps to its user
    or not (shutil.which("nginx") and shutil.which("curl") and shutil.which("h2load")),
    reason="needs root, nginx, curl and h2load",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("clients"), nginx=True) as made:
        yield made


def loaded(url: str, *options: str) -> tuple[int, int]:
    """How many of h2load's requests were well answered, and how many were not."""
    done = subprocess.run(
        ["h2load", "-t1", *options, url], capture_output=True, text=True, check=True, timeout=240
    )
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
    good = re.search(r"status codes: (\d+) 2xx", done.stdout)
    assert found is not None, done.stdout
    assert good is not None, done.stdout
    succeeded, failed, errored = map(int, found.groups())
    assert succeeded == int(good.group(1)), done.stdout
    return succeeded, failed + errored


@pytest.mark.row("S29")
@pytest.mark.parametrize(("down", "up"), PAIRS, ids=PAIR_NAMES)
def test_curl_uploads_and_downloads_the_same(
    world: World, down: str, up: str, tmp_path: Path
) -> None:
    (tmp_path / "sent").write_bytes(MUCH)
    base = f"{world.url(down)}/nginx-{up}"
    for name, source in (("sized", str(tmp_path / "sent")), ("unsized", "-")):
        url = f"{base}/kept/{down}-{up}-{name}"
        said = subprocess.run(
            # nginx answers no Expect over HTTP/2, which curl would wait for
            [
                *world.curl(down),
                "-H",
                "Expect:",
                "-T",
                source,
                "-w",
                "%{http_version} %{http_code}",
                url,
            ],
            input=MUCH if source == "-" else None,
            capture_output=True,
            check=True,
        ).stdout
        assert said.decode().endswith(f"{'2' if down.startswith('h2') else '1.1'} 201")
        taken = subprocess.run([*world.curl(down), url], capture_output=True, check=True).stdout
        assert taken == MUCH
    command = [*world.curl(down), f"{base}/protocol"]
    protocol = subprocess.run(command, capture_output=True, check=True).stdout
    assert protocol == (b"HTTP/2.0" if up.startswith("h2") else b"HTTP/1.1")


@pytest.mark.row("S29")
@pytest.mark.parametrize(("down", "up"), PAIRS, ids=PAIR_NAMES)
def test_h2load_has_no_failure(world: World, down: str, up: str) -> None:
    options = ["-n", str(REQUESTS), "-c4", "-m8"]
    if down == "h1":
        options.append("--h1")
    if down == "h1-tls":
        options.append("--npn-list=http/1.1")
    assert loaded(f"{world.url(down)}/nginx-{up}/1k", *options) == (REQUESTS, 0)
