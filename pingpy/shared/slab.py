"""One process's entry in the slab table: who it is, when it was last alive, what it holds."""

from __future__ import annotations

from typing import Literal

from pingpy.shared import layout

Role = Literal["free", "worker", "scout", "master", "accumulator"]
ROLES: tuple[Role, ...] = ("free", "worker", "scout", "master", "accumulator")


class _Word:
    """An attribute that is a 64-bit word of the slab's entry."""

    def __init__(self, index: int) -> None:
        self._index = index

    def __get__(self, slab: Slab, owner: type[Slab] | None = None) -> int:
        return int(slab.words[slab.entry_at + self._index])

    def __set__(self, slab: Slab, value: int) -> None:
        slab.words[slab.entry_at + self._index] = value


class Slab:
    """A window on one entry; reading it costs one word, nothing is cached."""

    __slots__ = ("entry_at", "index", "words")

    state = _Word(layout.S_STATE)
    generation = _Word(layout.S_GENERATION)
    slot = _Word(layout.S_SLOT)
    serial = _Word(layout.S_SERIAL)
    claimed_us = _Word(layout.S_CLAIMED_US)
    draining = _Word(layout.S_DRAINING)
    pid = _Word(layout.S_PID)
    beat_us = _Word(layout.S_BEAT_US)
    connections = _Word(layout.S_CONNECTIONS)
    active = _Word(layout.S_ACTIVE)
    idle_upstream = _Word(layout.S_IDLE_UPSTREAM)
    used_words = _Word(layout.S_USED)
    rss_bytes = _Word(layout.S_RSS)
    loop_lag_us = _Word(layout.S_LAG_US)

    def __init__(self, words: memoryview, index: int) -> None:
        """`words`: the whole region as 64-bit words."""
        if not 0 <= index < layout.SLABS:
            raise IndexError(f"no slab {index}")
        self.words = words
        self.index = index
        self.entry_at = (layout.SLAB_TABLE_AT + index * layout.SLAB_ENTRY_BYTES) // layout.WORD

    @property
    def role(self) -> Role:
        """What kind of process owns it."""
        return ROLES[self.words[self.entry_at + layout.S_ROLE]]

    @role.setter
    def role(self, role: Role) -> None:
        self.words[self.entry_at + layout.S_ROLE] = ROLES.index(role)

    @property
    def live(self) -> bool:
        """Whether somebody owns it."""
        return self.state == layout.STATE_LIVE

    @property
    def first_word(self) -> int:
        """Where its series begin."""
        return (layout.SLABS_AT + self.index * layout.SLAB_BYTES) // layout.WORD

    @property
    def first_in_flight(self) -> int:
        """Where its share of the in-flight counts begins, in ints."""
        return self.first_word * 2 + layout.SERIES_WORDS * 2
