"""HTTP/2 by prior knowledge with what only it has: parallel requests of nghttp, loads of h2load, and GOAWAY."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from master_rig import until
from protocol_rig import World, running

DOOR = "h2c"
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0  # nginx shall read what pytest keeps to its user
    or not (shutil.which("nginx") and shutil.which("curl") and shutil.which("h2load")),
    reason="needs root, nginx, curl and h2load",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("h2"), nginx=True) as made:
        (made.folder / "www" / "8m").write_bytes(bytes(range(256)) * 32768)
        yield made


@pytest.fixture
def site(world: World) -> str:
    """Where the files of nginx are."""
    return f"{world.url(DOOR)}/nginx-h1"


def curl(world: World, url: str, *options: str) -> str:
    command = [*world.curl(DOOR), *options, url]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_curl_gets_and_heads(world: World, site: str) -> None:
    about = ("-w", "%{http_version} %{http_code}", "-o", "/dev/null")
    assert curl(world, f"{site}/1k", *about) == "2 200"
    said = curl(world, f"{site}/1k", "-I").lower()
    assert said.startswith("http/2 200")
    assert "content-length: 1024" in said
    assert "via: 1.1 pingpy" in said
    assert curl(world, f"{site}/none", *about) == "2 404"
    until(lambda: any(" 404 ok HTTP/2.0 /nginx-h1/none" in line for line in world.log()))


def test_curl_downloads_and_uploads_much(world: World, site: str, tmp_path: Path) -> None:
    taken, back = tmp_path / "taken", tmp_path / "back"
    curl(world, f"{site}/8m", "-o", str(taken))
    assert taken.read_bytes() == (world.folder / "www" / "8m").read_bytes()
    echo = f"{world.url(DOOR)}/h1/echo"
    curl(world, echo, "--data-binary", f"@{taken}", "-o", str(back))
    assert back.read_bytes() == taken.read_bytes()


def test_nghttp_asks_for_many_things_at_once(site: str) -> None:
    urls = [f"{site}/1k?{n}" for n in range(300)]
    done = subprocess.run(["nghttp", "-ns", *urls], capture_output=True, text=True, check=True)
    assert len(re.findall(r" 200 +1K", done.stdout)) == 300, done.stdout


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        (("-c16", "-m32"), 20000),
        (("-c100", "-m1"), 5000),
        (("-c2", "-m100"), 5000),
    ],
)
def test_h2load_has_no_failure(site: str, shape: tuple[str, ...], count: int) -> None:
    assert succeeded(f"{site}/1k", count, *shape) == count


def test_h2load_with_large_answers_and_with_bodies(world: World, site: str) -> None:
    assert succeeded(f"{site}/8m", 64, "-c4", "-m8") == 64
    body = ("-d", str(world.folder / "www" / "1k"))
    assert succeeded(f"{world.url(DOOR)}/h1/echo", 64, "-c4", "-m8", *body) == 64


def succeeded(url: str, count: int, *options: str) -> int:
    """How many of so many requests h2load got a 200 for, when nothing else happened."""
    command = ["h2load", "-t1", "-n", str(count), *options, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240).stdout
    found = re.search(r"(\d+) succeeded, 0 failed, 0 errored", said)
    good = re.search(r"status codes: (\d+) 2xx", said)
    assert found is not None, said
    assert good is not None, said
    assert found[1] == good[1], said
    return int(found[1])


def test_a_reload_under_load_loses_no_request(world: World, site: str) -> None:
    """The old generation says GOAWAY, twice, and finishes; h2load takes a refused stream for a failure."""
    load = subprocess.Popen(
        ["nghttp", "-ns", *[f"{site}/8m?{n}" for n in range(20)]],
        stdout=subprocess.PIPE,
        text=True,
    )
    world.process.send_signal(signal.SIGHUP)
    said, _ = load.communicate(timeout=120)
    assert load.returncode == 0
    assert len(re.findall(r" 200 ", said)) == 20, said
    assert curl(world, f"{site}/1k", "-w", "%{http_code}", "-o", "/dev/null") == "200"
