"""A TOML text cut at its headers, so that only the tables of interest need to be looked into."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from pingpy.config.finding import Path

# A line that may be a header; inside a multi-line value it is none, which `_is_complete` tells.
_HEADER = re.compile(r"^[ \t]*(\[\[?)[^\n]*?\]\]?(?=[ \t]*(?:#[^\n]*)?\r?$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """A table's header and what follows it; `header_end` is where its body starts."""

    path: Path
    header_start: int
    header_end: int
    body_end: int


def split_sections(text: str) -> list[Section]:
    """The sections of a text that is valid TOML; the first has no header and is the top level."""
    found: list[Section] = []
    counts: dict[Path, int] = {}
    path: Path = ()
    start = end = 0
    for match in _HEADER.finditer(text):
        parts = _header_parts(match[0])
        if parts is None or not _is_complete(text[end : match.start()]):
            continue
        found.append(Section(path, start, end, match.start()))
        path = _numbered(parts, counts, is_array=match[1] == "[[")
        start, end = match.start(1), match.end()
    found.append(Section(path, start, end, len(text)))
    return found


def _header_parts(header: str) -> list[str] | None:
    """The names in a header; None when it is not one after all."""
    try:
        table = tomllib.loads(header)
    except tomllib.TOMLDecodeError:
        return None
    parts: list[str] = []
    while table:
        name, inner = next(iter(table.items()))
        parts.append(name)
        table = inner[0] if isinstance(inner, list) else inner
    return parts


def _is_complete(body: str) -> bool:
    """Whether the text up to a header is whole statements, so that the header is a real one."""
    try:
        tomllib.loads(body)
    except tomllib.TOMLDecodeError:
        return False
    return True


def _numbered(parts: list[str], counts: dict[Path, int], *, is_array: bool) -> Path:
    """The header's path with the index of each array of tables on the way: its last element."""
    path: Path = ()
    for depth, part in enumerate(parts):
        path = (*path, part)
        if is_array and depth == len(parts) - 1:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path
