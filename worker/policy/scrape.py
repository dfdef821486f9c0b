"""Reads all counters of the host at once: the sum over every living slab and those of the dead, never backwards."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable

from pingpy.shared import Region, Slab, layout
from pingpy.shared.layout import ACCUMULATORS, LATEST, VALUES
from pingpy.shared.series import walk
from worker.plane.cells import add_words

_TRIES = 64
_PAUSE_SECONDS = 0.0005


class _Known:
    """What was learned of one slab's records: they are only ever appended, so each is parsed once."""

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.used = 0
        self.places = array("q")  # words to add up, and where their sums are
        self.sums = array("q")
        self.latest: list[tuple[int, int]] = []


class Totals:
    """One reading. `sums` and `present` by word; see Scrape.series for where a series' words are."""

    def __init__(self, size: int) -> None:
        self.sums = array("q", [0]) * size
        self.present = bytearray(size)  # 0: of processes that are gone


class Scrape:
    """One reader with its memory of where every series is."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._numbers: dict[tuple[bytes, int], int] = {}
        self.series: list[tuple[bytes, int, int]] = []  # rendered key, kind, first of its words
        self._size = 0
        self._known: dict[int, _Known] = {}

    def totals(self, pause: Callable[[float], None] = time.sleep) -> Totals:
        """The sums of all series.

        A slab that is being folded counts either by itself or within the accumulator: when the word that says which
        has changed meanwhile, the reading is done again.
        """
        words = self._region.words
        tries = 0
        while True:
            fold = words[layout.H_FOLD]
            found = self._read(fold & 0xFF, fold >> 8 & 0xFFFFFF)
            tries += 1
            if words[layout.H_FOLD] == fold or tries == _TRIES:
                return found
            # What was seen of an accumulator under construction may never come into force.
            for index in ACCUMULATORS:
                self._known.pop(index, None)
            pause(_PAUSE_SECONDS)

    def _read(self, accumulator: int, folded: int) -> Totals:
        """One pass over the table of slabs, the accumulator in force first."""
        region = self._region
        slabs = [region.slab(accumulator)]
        slabs += [slab for slab in region.live_slabs() if slab.index != folded]
        parsed = [(slab.serial, self._parse(slab)) for slab in slabs]
        totals = Totals(self._size)
        youngest: dict[int, int] = {}
        for serial, known in parsed:
            add_words(region.words, known.places, known.sums, totals.sums, totals.present)
            for at, place in known.latest:
                if youngest.get(at, -1) < serial:
                    youngest[at] = serial
                    totals.sums[at] = region.words[place]
                    totals.present[at] = 1
        return totals

    def _parse(self, slab: Slab) -> _Known:
        """Learn the records appended since the last time, or all when the slab has another owner."""
        serial = slab.serial
        known = self._known.get(slab.index)
        if known is None or known.serial != serial:
            known = self._known[slab.index] = _Known(serial)
        base = slab.first_word
        end = base + slab.used_words
        octets, words = self._region.octets, self._region.words
        for series in walk(octets, words, base + known.used, end):
            at = self._place(series.key, series.kind)
            width = VALUES[series.kind]
            if series.kind == LATEST:
                known.latest.append((at, series.at))
            else:
                known.places.extend(range(series.at, series.at + width))
                known.sums.extend(range(at, at + width))
            known.used = series.at + width - base
        return known

    def _place(self, key: bytes, kind: int) -> int:
        """The first of the words of a series."""
        at = self._numbers.get((key, kind))
        if at is None:
            at = self._numbers[key, kind] = self._size
            self.series.append((key, kind, at))
            self._size += VALUES[kind]
        return at
