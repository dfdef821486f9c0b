"""The one assertion about speed: user instructions per request, which callgrind counts the same on every machine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
BUDGET = 20_000  # half of what nginx spends on the same request


@pytest.mark.timeout(1000)
@pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind")
@pytest.mark.skipif(
    bool(os.environ.get("PINGPY_SANITIZED")), reason="a sanitized plane costs several times as much"
)
def test_a_request_of_1_kib_without_a_hook_costs_at_most_20_000_user_instructions(
    tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benchmark import generator, instructions

    generator.build(tmp_path)
    assert instructions.measure(tmp_path / "loadgen") <= BUDGET
