"""What a pattern with * means: as a regular expression, and as a template that takes the stars up again."""

from __future__ import annotations

import re


def glob_regex(pattern: str) -> str:
    """The pattern as a regular expression for the whole text, one group per *."""
    return "(?s:" + "(.*)".join(re.escape(part) for part in pattern.split("*")) + r")\Z"


def star_template(text: str) -> str:
    """A text whose n-th * stands for what the n-th * of the pattern was, as a template of re.sub."""
    first, *rest = text.replace("\\", r"\\").split("*")
    return first + "".join(rf"\g<{number}>{part}" for number, part in enumerate(rest, 1))


def covers(wide: str, narrow: str) -> bool:
    """Whether each text that `narrow` matches is matched by `wide`: a * of `narrow` needs one in `wide`."""
    return re.match(glob_regex(wide), narrow) is not None
