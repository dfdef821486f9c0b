"""Series records in a slab: appended by its one writer, walked by everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pingpy.shared.layout import COUNTER, OTHER_WORDS, SERIES_WORDS, VALUES, WORD

_LABEL_VALUE = re.compile(rb'="(?:[^"\\]|\\.)*"')
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

OVERFLOWED = b"pingpy_metric_series_overflowed_total"


class Series(NamedTuple):
    """One record: its rendered name and labels, its kind, and the word where its values begin."""

    key: bytes
    kind: int
    at: int


def render_key(name: str, labels: dict[str, str] | None = None) -> bytes:
    """`name{label="value"}` as Prometheus writes it; bytes that are no UTF-8 arrive as surrogates and leave as such."""
    if not labels:
        return name.encode()
    inner = ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels.items())
    return f"{name}{{{inner}}}".encode("utf-8", "replace")


def other_key(key: bytes) -> bytes:
    """The series that stands in for this one when the slab is full."""
    return _LABEL_VALUE.sub(b'="(other)"', key)


def walk(octets: memoryview, words: memoryview, start: int, end: int) -> Iterator[Series]:
    """The records between two word positions of the region; stops at the first that is not complete."""
    at = start
    while at < end:
        head = words[at]
        size, key_size, kind = head >> 40, head >> 8 & 0xFFFFFFFF, head & 0xFF
        first = at + 1 + -(-key_size // WORD)
        if kind not in VALUES or size != first - at + VALUES[kind] or at + size > end:
            return
        name = (at + 1) * WORD
        yield Series(bytes(octets[name : name + key_size]), kind, first)
        at += size


class SeriesWriter:
    """The one writer of a slab's records: finds the cell of a series, appends it on first use."""

    def __init__(self, octets: memoryview, words: memoryview, first: int, used_word: int) -> None:
        """`first`: the slab's first word; `used_word`: where the number of words in use is published."""
        self._octets = octets
        self._words = words
        self._first = first
        self._used_word = used_word
        self._cells: dict[bytes, int] = {}
        self._seen = 0
        self.refresh()

    def refresh(self) -> None:
        """Learn what another writer has appended since (a master that took over an accumulator)."""
        used = self._words[self._used_word]
        start, end = self._first + self._seen, self._first + used
        for series in walk(self._octets, self._words, start, end):
            self._cells[series.key] = series.at
        self._seen = used

    def cell(self, key: bytes, kind: int) -> int:
        """The word where this series' values begin, or those of its "(other)" series when the slab is full."""
        at = self._cells.get(key)
        if at is not None:
            return at
        at = self._append(key, kind, SERIES_WORDS - OTHER_WORDS)
        if at < 0:
            at = self._overflow(key, kind)
        self._cells[key] = at
        return at

    def _overflow(self, key: bytes, kind: int) -> int:
        """Count the loss and answer with the stand-in; the reserve is sized for every family we have."""
        if OVERFLOWED not in self._cells:
            self._cells[OVERFLOWED] = self._append(OVERFLOWED, COUNTER, SERIES_WORDS)
        self._words[self._cells[OVERFLOWED]] += 1
        stand_in = other_key(key)
        at = self._cells.get(stand_in)
        if at is None:
            at = self._append(stand_in, kind, SERIES_WORDS)
            if at < 0:
                raise MemoryError("slab reserve exhausted: more families than the layout allows")
            self._cells[stand_in] = at
        return at

    def _append(self, key: bytes, kind: int, limit: int) -> int:
        key_words = -(-len(key) // WORD)
        size = 1 + key_words + VALUES[kind]
        used = self._words[self._used_word]
        if used + size > limit:
            return -1
        at = self._first + used
        padded = key.ljust(key_words * WORD, b"\0")
        self._words[at + 1 : at + 1 + key_words] = memoryview(padded).cast("q")
        for word in range(at + 1 + key_words, at + size):
            self._words[word] = 0  # an interrupted fold may have left something here
        self._words[at] = size << 40 | len(key) << 8 | kind
        # Published last: a reader never looks beyond this mark.
        self._words[self._used_word] = used + size
        self._seen = used + size
        return at + 1 + key_words
