"""Where a key stands in the text: tomlkit's parser, made to note positions as it goes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from tomlkit.items import Item, Key
from tomlkit.parser import Parser

from pingpy.config.finding import Finding, Path
from pingpy.config.sections import Section, split_sections
from pingpy.errors import Complaint


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the text, from `start` up to `end`."""

    start: int
    end: int


class _NotingParser(Parser):
    """Parses one section's body; what it overrides is private to tomlkit, hence the pinned version."""

    def __init__(self, body: str, table: Path, offset: int) -> None:
        super().__init__(body)
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}
        self._offset = offset
        self._inside = table  # the table, list or inline table whose content is being parsed
        self._named: Path | None = None  # the key whose value comes next
        self._elements = 0  # list elements seen so far in `_inside`

    def _parse_key(self) -> Key:
        start = self._idx
        key: Key = super()._parse_key()
        span = self._span(start, self._idx)
        path = self._inside
        for part in key:
            path = (*path, part.key)
            self.keys.setdefault(path, span)
        self._named = path
        return key

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
        self.values[path] = self._span(start, self._idx)
        return item

    def _span(self, start: int, end: int) -> Span:
        length = len(self._src[start:end].rstrip())
        return Span(self._offset + start, self._offset + start + length)


class Positions:
    """Lines and columns of the keys and values of a text that is valid TOML."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._keys: dict[Path, Span] = {}
        self._values: dict[Path, Span] = {}
        self._line_starts = [0, *(i + 1 for i, c in enumerate(text) if c == "\n")]
        # A table has one section, but a dotted header also stands for the tables around it.
        self._unread: dict[Path, Section] = {}
        for section in split_sections(text):
            self._unread[section.path] = section
            span = Span(section.header_start, section.header_end)
            for size in range(1, len(section.path) + 1):
                self._keys.setdefault(section.path[:size], span)

    def paths(self) -> set[Path]:
        """Every path that has a position; looks into every table."""
        for path in list(self._unread):
            self._read(path)
        return self._keys.keys() | self._values.keys()

    def span(self, path: Path, *, on_key: bool) -> Span | None:
        """The key's or value's place; that of the nearest table around it when it is not there."""
        for size in range(len(path) + 1):
            self._read(path[:size])
        first, second = (self._keys, self._values) if on_key else (self._values, self._keys)
        while path:
            found = first.get(path) or second.get(path)
            if found:
                return found
            path = path[:-1]
        return None

    def _read(self, path: Path) -> None:
        section = self._unread.pop(path, None)
        if section is None:
            return
        body = self._text[section.header_end : section.body_end]
        parser = _NotingParser(body, section.path, section.header_end)
        parser.parse()
        for path_of_key, span in parser.keys.items():
            self._keys.setdefault(path_of_key, span)
        self._values.update(parser.values)

    def line(self, path: Path) -> int:
        """The line of a key that the file sets, or 0."""
        for size in range(len(path) + 1):
            self._read(path[:size])
        found = self._values.get(path) or self._keys.get(path)
        return self._line_of(found.start) if found else 0

    def place(self, finding: Finding, file: str) -> Complaint:
        """A finding with its line, column, and the line's text."""
        span = self.span(finding.path, on_key=finding.on_key)
        if span is None:
            return Complaint(
                finding.message, finding.help, finding.severity, file, path=finding.path
            )
        line = self._line_of(span.start)
        start = self._line_starts[line - 1]
        text = self._text[start : self._line_end(line)].rstrip("\r\n")
        return Complaint(
            message=finding.message,
            help=finding.help,
            severity=finding.severity,
            file=file,
            line=line,
            column=span.start - start + 1,
            source_line=text,
            width=max(1, min(span.end, start + len(text)) - span.start),
            path=finding.path,
        )

    def _line_end(self, line: int) -> int:
        return self._line_starts[line] if line < len(self._line_starts) else len(self._text)

    def _line_of(self, index: int) -> int:
        return bisect_right(self._line_starts, index)


def place_all(findings: Sequence[Finding], text: str, file: str) -> tuple[Complaint, ...]:
    """All findings with their places, in the order of the file."""
    if not findings:
        return ()
    positions = Positions(text)
    complaints = [positions.place(finding, file) for finding in findings]
    return tuple(sorted(complaints, key=lambda c: (c.line == 0, c.line, c.column)))
