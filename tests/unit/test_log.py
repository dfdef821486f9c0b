"""The lines of the error log, in a file and in the journal."""

from __future__ import annotations

import logging
import os

import pytest

from pingpy.log import LineFormatter, is_journal


def line(level: int, message: str, *, for_journal: bool = False) -> str:
    formatter = LineFormatter("2", 7)
    formatter.for_journal = for_journal
    return formatter.format(logging.LogRecord("pingpy", level, "", 0, message, (), None))


def test_a_line_says_when_how_grave_who_and_what() -> None:
    text = line(logging.WARNING, "something")
    assert text.endswith(f" [warn] {os.getpid()}#2 g7: something")


def test_a_line_break_never_begins_a_line_of_its_own() -> None:
    first, second = line(logging.INFO, "one\ntwo\n").split("\n")
    assert first.endswith(": one")
    assert second == "    two"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.CRITICAL, 3)],
)
def test_in_the_journal_every_line_has_its_priority(level: int, priority: int) -> None:
    lines = line(level, "one\ntwo", for_journal=True).split("\n")
    assert [text[:3] for text in lines] == [f"<{priority}>"] * 2


def test_the_journal_is_known_by_its_inode(tmp_path) -> None:
    with (tmp_path / "stream").open("w") as stream, (tmp_path / "other").open("w") as other:
        status = os.fstat(stream.fileno())
        name = f"{status.st_dev}:{status.st_ino}"
        assert is_journal(stream.fileno(), name)
        assert not is_journal(other.fileno(), name)
        assert not is_journal(stream.fileno(), "")
    assert not is_journal(-1, name)
