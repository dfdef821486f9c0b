"""The directory: what a generation's scout found out, as one versioned blob that workers poll."""

from __future__ import annotations

import zlib

from pingpy.shared import layout

_GENERATION, _VERSION, _SIZES = 0, 1, 2
_TRIES = 8


class Directory:
    """One generation's bank of two buffers: the scout fills the one not in force, then moves the version on."""

    def __init__(self, octets: memoryview, words: memoryview, generation: int) -> None:
        """`octets` and `words`: the whole region, as bytes and as 64-bit words."""
        bank = generation % layout.BANKS
        self._octets = octets
        self._words = words
        self._generation = generation
        self._head = layout.H_BANKS + bank * layout.BANK_WORDS
        self._data = layout.DIRECTORY_AT + bank * 2 * layout.BUFFER_BYTES

    @property
    def version(self) -> int:
        """0 until this generation's scout has published; then it grows by one each time."""
        if self._words[self._head + _GENERATION] != self._generation:
            return 0
        return int(self._words[self._head + _VERSION])

    def publish(self, blob: bytes) -> int:
        """Put a new state in force; called by one scout only. Returns the new version."""
        if len(blob) > layout.BUFFER_BYTES:
            raise ValueError(f"the directory has {len(blob)} bytes; {layout.BUFFER_BYTES} fit")
        if self._words[self._head + _GENERATION] != self._generation:
            self._words[self._head + _VERSION] = 0
            self._words[self._head + _GENERATION] = self._generation
        version = int(self._words[self._head + _VERSION]) + 1
        start = self._data + (version & 1) * layout.BUFFER_BYTES
        self._octets[start : start + len(blob)] = blob
        size_word = self._head + _SIZES + 2 * (version & 1)
        self._words[size_word] = len(blob)
        self._words[size_word + 1] = zlib.crc32(blob)
        self._words[self._head + _VERSION] = version
        return version

    def read(self) -> tuple[int, bytes]:
        """The version in force and its blob; version 0 and nothing when there is none (yet), or the scout outran us."""
        for _ in range(_TRIES):
            version = self.version
            if not version:
                break
            size_word = self._head + _SIZES + 2 * (version & 1)
            size, crc = self._words[size_word], self._words[size_word + 1]
            start = self._data + (version & 1) * layout.BUFFER_BYTES
            if 0 <= size <= layout.BUFFER_BYTES:
                blob = bytes(self._octets[start : start + size])
                # The buffer in force is not written; should it have moved on meanwhile, the sum tells.
                if zlib.crc32(blob) == crc and self.version == version:
                    return version, blob
        return 0, b""
