"""What the scout counts, in its own slab of the shared memory: look-ups and probes by result, the age of answers."""

from __future__ import annotations

from pingpy.shared import Region
from pingpy.shared.layout import COUNTER, LATEST
from pingpy.shared.series import render_key

LOOKUPS = "pingpy_dns_resolutions_total"
AGE = "pingpy_dns_age_seconds"
PROBES = "pingpy_probes_total"


class ScoutCounters:
    """Adds to the scout's series; the slab has no other writer."""

    def __init__(self, region: Region, slab: int) -> None:
        self._words = region.words
        self._writer = region.series_writer(slab)

    def looked_up(self, *, ok: bool) -> None:
        """A look-up ended."""
        self._add(LOOKUPS, ok)

    def probed(self, *, ok: bool) -> None:
        """A probe ended."""
        self._add(PROBES, ok)

    def ages(self, seconds: dict[str, float]) -> None:
        """How old the answer in force is, by name."""
        for name, age in seconds.items():
            self._words[self._writer.cell(render_key(AGE, {"name": name}), LATEST)] = int(age)

    def _add(self, name: str, ok: bool) -> None:
        key = render_key(name, {"result": "ok" if ok else "failed"})
        self._words[self._writer.cell(key, COUNTER)] += 1
