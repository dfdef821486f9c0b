"""A headless Chromium that is on a page while a test looks at it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
SECONDS = 120.0  # for what a page does, on a busy machine


@contextmanager
def visiting(folder: Path, address: str, *options: str) -> Iterator[Path]:
    """The browser with a profile of its own in `folder`; yields the file with what it says."""
    log = folder / "browser.log"
    with log.open("w") as said:
        browser = subprocess.Popen(
            [
                *(str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--disable-dev-shm-usage", f"--user-data-dir={folder}/profile"),
                *("--no-proxy-server", *options, address),
            ],
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait(20)
