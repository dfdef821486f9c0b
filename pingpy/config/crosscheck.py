"""What no single key can know: names that must exist, things that exclude each other, dead rules."""

from __future__ import annotations

from pingpy.config.finding import Finding
from pingpy.config.schema import Config


def cross_check(config: Config) -> list[Finding]:
    """Everything wrong or odd between keys that are each fine by themselves."""
    return []
