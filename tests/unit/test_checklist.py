"""Every row of the seed's checklist that is built names the tests that prove it, by @pytest.mark.row("S4")."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

SYSTEM = Path(__file__).resolve().parents[1] / "system"

ROWS = {
    "S1": "--version",
    "S2": "--help",
    "S3": "-c FILE, and what is wrong with it",
    "S4": "the seed's file unchanged",
    "S5": "log_level",
    "S6": "pid_file",
    "S7": "worker_threads",
    "S8": "listen on both families",
    "S9": "certificate and key, TLS and plain on one port",
    "S10": "rule: path",
    "S11": "rule: header",
    "S12": "rule: upstream",
    "S13": "round_robin",
    "S14": "least_conn over all workers",
    "S15": "weights, smooth",
    "S16": "backends by name",
    "S17": "a balancer of one's own",
    "S18": "health: interval, once per host",
    "S19": "health: timeout",
    "S20": "health: path",
    "S21": "health: expected_status",
    "S22": "gRPC",
    "S23": "websocket",
    "S24": "/metrics, exact over workers and reloads",
    "S25": "access log: whole lines, reopened",
    "S29": "every protocol to every protocol",
    "S35": "failover",
    "S40": "FIPS, post-quantum",
}


def marked() -> dict[str, list[str]]:
    """Row -> the tests in tests/system that carry its mark."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SYSTEM.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
                    for row in mark.args:
                        found[ast.literal_eval(row)].append(f"{path.name}::{node.name}")
    return found


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_its_tests(row):
    assert marked()[row], f"no test proves row {row}: {ROWS[row]}"


def test_only_rows_of_the_checklist_are_named():
    known = {f"S{number}" for number in range(1, 46)}
    assert set(marked()) <= known
