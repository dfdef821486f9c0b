"""Writes a config.toml that has every key as a comment: what it is for, and its default."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from pingpy.config.reference import default, opens_section
from pingpy.config.walk import header, keys, tables

_WIDTH = 100
_HEAD = """\
# Every key of pingpy's config.toml, with the default of those that have one. What shall differ needs its # taken
# away, and that of the [header] above it."""


def sample() -> str:
    """The file: an empty configuration as it is, TOML with the # of any key that has a value taken away."""
    parts = [_HEAD]
    for name, table in tables().items():
        known = {key: field for key, field in keys(table).items() if not opens_section(field)}
        if name and known:
            lines = [*_prose(table.__doc__ or ""), f"#{header(name)}"]
            for key, field in known.items():
                lines += _lines(name, key, field)
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _prose(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text.strip(), _WIDTH)]


def _lines(name: str, key: str, field: FieldInfo) -> Iterator[str]:
    yield from _prose(field.description or "")
    yield f"#{key} = {default(name, key, field)}".rstrip()
