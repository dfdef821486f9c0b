"""Decides when files that changed on disk mean a reload: once they have settled, and once for each change."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

# A certificate and its key are written one after the other: one reload takes both.
SETTLE_SECONDS: Final = 2.0

# What is in each file, by its name in the configuration: a digest, or why there is none.
Contents = Mapping[str, str]


class Watch:
    """Compares contents, never times: a file that was written anew with the same bytes has not changed."""

    def __init__(self) -> None:
        self._tried: Contents = {}
        self._seen: Contents = {}
        self._since = inf

    def looked(self, loaded: Contents, seen: Contents, now: float) -> tuple[str, ...]:
        """The names of what changed when the moment to reload has come, else none.

        `loaded`: what the generation that serves was born with; `seen`: what is on disk. A state that was tried
        is not tried again, whatever came of it, until something else has been seen.
        """
        if seen == loaded:
            self._tried, self._seen = {}, {}
            return ()
        if seen == self._tried:
            self._seen = {}
            return ()
        if seen != self._seen:
            self._seen, self._since = seen, now
            return ()
        if now - self._since < SETTLE_SECONDS:
            return ()
        self._tried, self._seen = seen, {}
        return tuple(name for name, content in seen.items() if content != loaded.get(name))
