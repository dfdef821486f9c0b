"""Serves a configuration of one worker while a test looks at it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from master_rig import ROOT, until


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
