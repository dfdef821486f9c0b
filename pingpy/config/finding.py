"""Something wrong with a configuration, known by the path of its key and not yet by its line."""

from __future__ import annotations

from dataclasses import dataclass

from pingpy.errors import Severity

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong at `path`; `on_key` points at the key's name instead of at its value."""

    path: Path
    message: str
    help: str = ""
    severity: Severity = Severity.ERROR
    on_key: bool = False


def warning(path: Path, message: str, advice: str = "", *, on_key: bool = False) -> Finding:
    """A finding that stops a start only under --strict."""
    return Finding(path, message, advice, Severity.WARNING, on_key)
