"""The tools that keep the house: ruff, mypy, the import contracts, and what the wheel is made of."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("PINGPY_SANITIZED")), reason="the plain run has checked the sources already"
)


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_has_nothing_to_say():
    run(sys.executable, "-m", "ruff", "check", ".")


def test_every_file_is_formatted():
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


@pytest.mark.timeout(300)
def test_mypy_is_content():
    run(sys.executable, "-m", "mypy")


def test_nobody_imports_what_the_architecture_forbids():
    run(str(SCRIPTS / "lint-imports"))


def test_shell_scripts_parse():
    scripts = [ROOT / ".ci" / "run", *(ROOT / "scripts").iterdir()]
    shell = [path for path in scripts if path.is_file() and b"bash" in path.read_bytes()[:24]]
    assert len(shell) >= 4
    for path in shell:
        run("bash", "-n", str(path))
        assert os.access(path, os.X_OK), path


@pytest.mark.timeout(300)
def test_the_wheel_holds_three_packages_and_the_compiled_plane(tmp_path):
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "pingpy",
        "master",
        "worker",
    }
    sources = {path.stem for path in (ROOT / "worker" / "plane").glob("*.py")} - {"__init__"}
    sources.add("cyutility")  # what Cython shares between modules
    compiled = {name.split("/")[-1].split(".")[0] for name in names if name.endswith(".so")}
    assert compiled == sources
    assert "any" not in wheel.stem.split("-")[-1], "a compiled wheel is for one platform"
