"""Whether the form of the access log is one that exists, and names variables that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pingpy.config.finding import Finding
from pingpy.config.patterns import closest
from pingpy.log_format import HEADER_FAMILIES, PRESETS, VARIABLES

_VARIABLE = re.compile(r"\$(?:\{(\w*)\}|(\w*))")


def variables_in(text: str) -> list[str]:
    """The names after $ in a text, in order; an empty one for a $ that stands alone."""
    return [match[1] or match[2] or "" for match in _VARIABLE.finditer(text)]


def check_format(text: str) -> Iterator[Finding]:
    """Whether `[log] format` is a preset, or a single line with variables that exist."""
    path = ("log", "format")
    if text in PRESETS:
        return
    if "$" not in text:
        advice = (
            closest(text, tuple(PRESETS))
            or f"presets: {', '.join(PRESETS)}; or a text with $variables"
        )
        yield Finding(path, f'"{text}" is not a format of the access log', advice)
        return
    if "\n" in text or "\r" in text:
        yield Finding(path, "a format is a single line")
    for name in dict.fromkeys(variables_in(text)):
        # A $ that stands for itself is text; a family needs the header's name behind it.
        if name and name not in VARIABLES and not _is_header(name):
            advice = closest(name, tuple(VARIABLES)).replace('"', '"$', 1)
            yield Finding(path, f"unknown variable ${name}", advice)


def _is_header(name: str) -> bool:
    return any(name.startswith(family) and name != family for family in HEADER_FAMILIES)
