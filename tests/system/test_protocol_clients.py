"""The matrix of protocols with real clients and servers: curl and h2load, through one pingpy, to nginx."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from master_rig import until
from protocol_rig import DOWNSTREAMS, PAIR_NAMES, PAIRS, UPSTREAMS, World, running

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


@dataclass(frozen=True)
class Loaded:
    """What h2load counted."""

    total: int
    started: int
    succeeded: int
    failed: int


def h2load(world: World, down: str, path: str, *options: str) -> subprocess.Popen[str]:
    """A load that is under way."""
    speak = {"h1": ["--h1"], "h1-tls": ["--npn-list=http/1.1"]}
    command = ["h2load", "-t1", *options, *speak.get(down, []), world.url(down) + path]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def counted(load: subprocess.Popen[str]) -> Loaded:
    """What became of it; every answer that is one is a 200."""
    said, _ = load.communicate(timeout=240)
    found = re.search(r"(\d+) total, (\d+) started, \d+ done, (\d+) succeeded, (\d+) failed", said)
    good = re.search(r"status codes: (\d+) 2xx", said)
    assert found is not None, said
    assert good is not None, said
    counts = Loaded(*map(int, found.groups()))
    assert counts.succeeded == int(good.group(1)), said
    return counts


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
    load = h2load(world, down, f"/nginx-{up}/1k", "-n", str(REQUESTS), "-c4", "-m8")
    assert counted(load) == Loaded(REQUESTS, REQUESTS, REQUESTS, 0)


@pytest.mark.parametrize("down", DOWNSTREAMS)
def test_h2load_over_reloads_gets_all_that_it_has_sent(world: World, down: str) -> None:
    """Behind a GOAWAY it sends nothing more, not even what it counts as started; over HTTP/1.1 it connects again."""
    streams = "-m10" if down.startswith("h2") else "-m1"
    path = f"/nginx-h1/1k?reloaded-by-{down}-clients"
    load = h2load(world, down, path, "-n", "20000", "-c8", streams)
    world.reload()
    world.reload()
    counts = counted(load)
    until(lambda: len(lines_about(world, path)) >= counts.succeeded)
    lines = lines_about(world, path)
    assert len(lines) == counts.succeeded > 0
    assert all(" 200 ok " in line for line in lines)
    if down.startswith("h1"):
        assert counts == Loaded(20000, 20000, 20000, 0)


@pytest.mark.parametrize("down", ["h1", "h1-tls", "h2-tls"])
def test_curl_over_reloads_gets_all_it_asks_for(world: World, down: str) -> None:
    """It goes on elsewhere behind a GOAWAY; by prior knowledge curl 7.88 uses no connection twice, whoever serves."""
    url = f"{world.url(down)}/nginx-h1/1k?[1-4000]"
    command = [*world.curl(down), "-Z", "--parallel-max", "40", "-o", "/dev/null"]
    command += ["-w", "%{http_code} %{size_download} %{errormsg}\\n", url]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    world.reload()
    world.reload()
    said, _ = load.communicate(timeout=240)
    assert Counter(said.splitlines()) == {"200 1024 ": 4000}
    assert load.returncode == 0


def test_curl_uploads_and_downloads_much_at_once_on_one_connection(
    world: World, tmp_path: Path
) -> None:
    files = {f"{n}.bin": random.Random(n).randbytes(100_000 + 7777 * n) for n in range(40)}
    urls = {name: f"{world.url('h2-tls')}/nginx-h1/kept/many-{name}" for name in files}
    upload = [*world.curl("h2-tls"), "-Z", "--parallel-max", "40", "-H", "Expect:", "-f"]
    download = [*world.curl("h2-tls"), "-Z", "--parallel-max", "40", "-f"]
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        upload += ["-T", str(tmp_path / name), urls[name]]
        download += ["-o", str(tmp_path / f"{name}.back"), urls[name]]
    for command in (upload, download):
        subprocess.run(command, check=True, capture_output=True)
    for name, content in files.items():
        assert (tmp_path / f"{name}.back").read_bytes() == content
    until(lambda: len(lines_about(world, "/kept/many-")) >= 2 * len(files))
    assert {line.split()[1] for line in lines_about(world, "/kept/many-")} <= {"200", "201"}
    assert len({line.split()[0] for line in lines_about(world, "/kept/many-")}) == 2


def lines_about(world: World, path: str) -> list[str]:
    return [line for line in world.log() if path in line]


@pytest.mark.parametrize("up", UPSTREAMS)
def test_h2c_by_upgrade_is_neither_done_nor_passed_on(world: World, up: str) -> None:
    """RFC 9113 3.1 has no such thing any more; behind it, requests would pass that no rule has seen."""
    url = f"{world.url('h1')}/{up}/fields"
    command = ["curl", "-sS", "--noproxy", "*", "--http2", "-w", "\\n%{http_version}", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    fields, version = said.rsplit("\n", 1)
    assert version == "1.1"
    names = {name.lower() for name, _ in json.loads(fields)}
    assert names.isdisjoint({"upgrade", "http2-settings", "connection"})
