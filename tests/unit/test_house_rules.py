"""The rules of the house that a machine can check: sizes, opening sentences, names, words that must not stay."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("pingpy", "master", "worker", "tests", "scripts", "deploy", ".ci")
TOP_LEVEL = (
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "deploy",
    "master",
    "pingpy",
    "pyproject.toml",
    "scripts",
    "tests",
    "worker",
)
FILE_LINES = 400
FUNCTION_LINES = 50
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "tools", "stuff"}
GENERATED = {".so", ".c", ".html", ".pyc", ".built-with"}
# Spelled apart so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:wo" r"rk|ro" r"ot|ho" r"me/\w+)/")

pytestmark = pytest.mark.skipif(
    bool(os.environ.get("PINGPY_SANITIZED")), reason="the plain run has checked the sources already"
)


def texts(*suffixes: str) -> Iterator[Path]:
    """Every source file of these kinds; what a build leaves beside the sources is not ours."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts or "target" in path.parts:
                continue
            plane = path.parent.name == "plane"
            if path.suffix == ".so" or path.name.startswith(".built") or "corpus" in path.parts:
                continue
            if plane and path.suffix in GENERATED:
                continue
            if not suffixes or path.suffix in suffixes:
                yield path


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


PYTHON = list(texts(".py"))
WRITTEN = list(texts(".py", ".pyi", ".pxd", ".c", ".h", ".rs", ""))


def test_there_is_something_to_check():
    assert len(PYTHON) > 10
    assert {label(path).split("/")[0] for path in PYTHON} >= {"pingpy", "master", "worker", "tests"}


@pytest.mark.parametrize("path", WRITTEN, ids=label)
def test_a_file_is_at_most_400_lines_long(path):
    assert len(path.read_text().splitlines()) <= FILE_LINES


@pytest.mark.parametrize("path", PYTHON, ids=label)
def test_a_function_is_at_most_50_lines_long(path):
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}


@pytest.mark.parametrize("path", PYTHON, ids=label)
def test_a_file_opens_with_one_sentence(path):
    opening = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = opening.split("\n\n")[0]
    assert len(first) > 15
    assert first.rstrip().endswith((".", ":", "?"))


@pytest.mark.parametrize("path", list(texts()), ids=label)
def test_no_note_to_self_stays_in_a_file(path):
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    assert LEFTOVERS.findall(text) == []


@pytest.mark.parametrize("path", list(texts()), ids=label)
def test_no_file_knows_the_machine_it_was_written_on(path):
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    assert MACHINE_PATHS.findall(text) == []


@pytest.mark.parametrize("path", PYTHON, ids=label)
def test_a_file_is_named_after_what_it_does(path):
    assert path.stem not in VAGUE_NAMES


def test_test_files_have_unique_names():
    # Without packages under tests/, two files of one name would hide each other.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_top_level_is_what_was_decided():
    allowed = {line.strip("/\n") for line in (ROOT / ".gitignore").read_text().splitlines()}
    found = {path.name for path in ROOT.iterdir()} - allowed - {".git"}
    assert found <= set(TOP_LEVEL)


@pytest.mark.parametrize("package", ["pingpy", "master", "worker"])
def test_no_comment_switches_a_check_off_for_a_whole_file(package):
    for path in (ROOT / package).rglob("*.py"):
        text = path.read_text()
        assert not re.search(
            r"^# (ruff|flake8): noqa|^# mypy: ignore-errors", text, re.MULTILINE
        ), path
