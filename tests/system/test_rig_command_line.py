"""The command line as the seed uses it: --version, --help, -c, log levels, and a configuration that is refused."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys

import pytest
from rig import ROOT, SEED, until

LEVELS = ["debug", "info", "warn", "error"]


def pingpy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "pingpy", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)


@pytest.mark.row("S1")
def test_version_is_printed_at_once_and_needs_no_file():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = pingpy("--version")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # CPU time: the wall clock also tells what else the machine is doing.
    assert after.ru_utime - before.ru_utime < 1 or os.environ.get("PINGPY_SANITIZED")
    assert done.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", done.stdout)


@pytest.mark.row("S2")
def test_help_lists_what_the_seed_and_pingora_have():
    done = pingpy("--help")
    assert done.returncode == 0
    for option in ("-c", "--conf", "-t", "-d", "-u", "--version"):
        assert re.search(rf"(?<![\w-]){option}\b", done.stdout), option


def test_without_file_and_arguments_there_is_a_quick_start():
    done = pingpy()
    assert done.returncode == 2
    assert "pingpy proxy" in done.stdout + done.stderr


@pytest.mark.row("S3")
def test_a_missing_file_is_named(tmp_path):
    done = pingpy("-c", str(tmp_path / "absent.toml"))
    assert done.returncode == 78
    assert "absent.toml" in done.stderr


@pytest.mark.row("S3")
def test_a_file_that_is_not_toml_is_refused_with_its_place(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[global]\nlog_level = "info"\nworker_threads = = 4\n')
    done = pingpy("-c", str(path))
    assert done.returncode == 78
    assert re.search(r"config\.toml:3:\d+", done.stderr)


def test_every_mistake_is_told_at_once(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[global]\nlog_levl = "info"\n[network]\nlisten = 80\n')
    done = pingpy("-t", "-c", str(path))
    assert done.returncode == 78
    assert "config.toml:2:" in done.stderr
    assert "log_level" in done.stderr, "the nearest known key is suggested"
    assert "config.toml:4:" in done.stderr


@pytest.mark.row("S4")
def test_the_seeds_file_passes_the_test(rig):
    done = rig.edge.run(
        "env", f"PYTHONPATH={ROOT}", sys.executable, "-P", "-m", "pingpy", "-t", "-c", SEED
    )
    assert "error" not in done.stderr.replace("error_log", "")


@pytest.mark.row("S5")
def test_an_unknown_level_is_refused_with_the_four_names(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(SEED.read_text().replace('log_level = "info"', 'log_level = "verbose"'))
    done = pingpy("-t", "-c", str(path))
    assert done.returncode == 78
    for level in LEVELS:
        assert level in done.stderr


@pytest.mark.row("S5")
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_shows_itself_and_what_is_graver(rig, level):
    text = SEED.read_text().replace('log_level = "info"', f'log_level = "{level}"')
    text = text.replace("//backend:", "//nowhere.invalid:")
    with rig.pingpy(text) as server:
        assert rig.get("/api/x").status == 502
        until(lambda: "[error]" in server.said(), 3, "a 502 of our own is an error line")
        if level != "warn":  # of which there may be none
            until(lambda: f"[{level}]" in server.said(), 10, f"there is a line of {level}")
        found = set(re.findall(r" \[(\w+)\] ", server.said()))
    allowed = set(LEVELS[LEVELS.index(level) :])
    assert found <= allowed
