"""Where a key stands in the text: tomlkit's parser, made to note positions as it goes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tomlkit.items import Item, Key
from tomlkit.parser import Parser

from pingpy.config.finding import Finding, Path
from pingpy.errors import Complaint


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text, from `start` up to `end`."""

    start: int
    end: int


class _NotingParser(Parser):
    """tomlkit's parser; the three methods below are its private interface (tests/unit/test_config_locate.py)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        self._table: Path = ()  # what the last header named
        self._inside: Path = ()  # the value being parsed, when it is a list or an inline table
        self._named: Path | None = None  # the key whose value comes next
        self._elements = 0  # list elements seen so far in `_inside`
        self._headers: dict[int, Path] = {}
        self._tables_of: dict[Path, int] = {}  # arrays of tables, and how many each has so far

    def _parse_key(self) -> Key:
        start = self._idx
        key: Key = super()._parse_key()
        parts = [part.key for part in key]
        span = Span(start, start + len(self.text[start : self._idx].rstrip()))
        opening = self._before(start)
        if opening.endswith("["):
            brackets = 2 if opening.endswith("[[") else 1
            line_end = self.text.find("]", span.end)
            place = Span(self.text.rfind("[" * brackets, 0, start), line_end + brackets)
            self._open_table(start, parts, place, is_array=brackets == 2)
        else:
            base = self._inside or self._table
            for size in range(1, len(parts) + 1):
                self.keys.setdefault((*base, *parts[:size]), span)
            self._named = (*base, *parts)
        return key

    def _before(self, start: int) -> str:
        """What stands before `start` on its line, without the blanks that touch it."""
        line_start = self.text.rfind("\n", 0, start) + 1
        return self.text[line_start:start].rstrip(" \t")

    def _open_table(self, start: int, parts: list[str], span: Span, *, is_array: bool) -> None:
        """A header; tomlkit peeks at headers, so the same one may come here several times."""
        if start not in self._headers:
            path: Path = ()
            for depth, part in enumerate(parts):
                path = (*path, part)
                self.keys.setdefault(path, span)
                if is_array and depth == len(parts) - 1:
                    self._tables_of[path] = self._tables_of.get(path, 0) + 1
                if path in self._tables_of:
                    path = (*path, self._tables_of[path] - 1)
                self.keys.setdefault(path, span)
            self._headers[start] = path
        self._table = self._headers[start]
        self._inside = ()

    def _parse_value(self) -> Item:
        if self._named is not None:
            path, self._named = self._named, None
        else:
            path = (*self._inside, self._elements)
            self._elements += 1
        outer = self._inside, self._elements
        self._inside, self._elements = path, 0
        start = self._idx
        item: Item = super()._parse_value()
        self._inside, self._elements = outer
        self.values[path] = Span(start, self._idx)
        return item


class Positions:
    """Lines and columns of every key and value of a text that is valid TOML."""

    def __init__(self, text: str) -> None:
        parser = _NotingParser(text)
        parser.parse()
        self._text = text
        self._keys = parser.keys
        self._values = parser.values
        self._line_starts = [0]
        for index, character in enumerate(text):
            if character == "\n":
                self._line_starts.append(index + 1)

    def paths(self) -> set[Path]:
        """Every path that has a position."""
        return self._keys.keys() | self._values.keys()

    def span(self, path: Path, *, on_key: bool) -> Span | None:
        """The key's or value's place; that of the nearest table around it when it is not there."""
        first, second = (self._keys, self._values) if on_key else (self._values, self._keys)
        while path:
            found = first.get(path) or second.get(path)
            if found:
                return found
            path = path[:-1]
        return None

    def line(self, path: Path) -> int:
        """The line of a key that the file sets, or 0."""
        found = self._values.get(path) or self._keys.get(path)
        return self._line_of(found.start) if found else 0

    def place(self, finding: Finding, file: str) -> Complaint:
        """A finding with its line, column, and the line's text."""
        span = self.span(finding.path, on_key=finding.on_key)
        if span is None:
            return _unplaced(finding, file)
        line = self._line_of(span.start)
        start = self._line_starts[line - 1]
        text = self._text[start:].split("\n", 1)[0].rstrip("\r")
        width = max(1, min(span.end, start + len(text)) - span.start)
        return Complaint(
            finding.message, finding.help, finding.severity, file,
            line, span.start - start + 1, text, width, finding.path,
        )  # fmt: skip

    def _line_of(self, index: int) -> int:
        return bisect_right(self._line_starts, index)


def _unplaced(finding: Finding, file: str) -> Complaint:
    return Complaint(finding.message, finding.help, finding.severity, file, path=finding.path)


def place_all(findings: Sequence[Finding], text: str, file: str) -> tuple[Complaint, ...]:
    """All findings with their places, in the order of the file; computing places is slow."""
    if not findings:
        return ()
    positions = Positions(text)
    complaints = [positions.place(finding, file) for finding in findings]
    return tuple(sorted(complaints, key=lambda c: (c.line == 0, c.line, c.column)))
