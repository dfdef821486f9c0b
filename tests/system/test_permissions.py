"""What may not be read, reached or bound ends with exit code 77 and says what it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from master_rig import ROOT, free_port

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give rights up")
# Root as everybody else: the modes of files hold, low ports are not its own.
PROGRAM = """
import prctl, sys
from pingpy.cli.main import main
prctl.cap_effective.limit(prctl.CAP_CHOWN)
sys.argv[0] = "pingpy"
main()
"""


def ordinary(*arguments: str, folder: Path) -> tuple[int, str]:
    """Exit code and complaint of the command line without root's privileges."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        check=False,
    )
    return done.returncode, done.stderr


def config(folder: Path, *, port: int = 0, runtime_dir: Path | None = None) -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'[global]\nruntime_dir = "{runtime_dir or folder / "run"}"\naccess_log = "off"\n'
        f'[network]\nlisten = ["127.0.0.1:{port or free_port()}"]\n'
    )
    return path


def closed(path: Path) -> Path:
    """Somebody else's, and nobody may enter."""
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    path.chmod(0o700)
    return path


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = config(tmp_path)
    os.chown(path, NOBODY, NOBODY)
    path.chmod(0o600)
    code, said = ordinary("-c", str(path), folder=tmp_path)
    assert (code, str(path) in said) == (77, True), said


def test_a_control_socket_that_may_not_be_reached(tmp_path: Path) -> None:
    path = config(tmp_path, runtime_dir=closed(tmp_path / "theirs"))
    code, said = ordinary("status", "-c", str(path), folder=tmp_path)
    assert (code, "no permission" in said) == (77, True), said


def test_a_folder_that_may_not_be_used_is_shown_where_the_file_names_it(tmp_path: Path) -> None:
    path = config(tmp_path, runtime_dir=closed(tmp_path / "theirs"))
    code, said = ordinary("-c", str(path), folder=tmp_path)
    assert (code, f"{path}:2:15" in said) == (78, True), said


def test_a_port_that_is_not_for_everybody(tmp_path: Path) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first < 100:
        pytest.skip("here every port is everybody's")
    code, said = ordinary("-c", str(config(tmp_path, port=99)), folder=tmp_path)
    assert (code, "Permission denied" in said) == (77, True), said
