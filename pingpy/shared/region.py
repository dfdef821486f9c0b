"""The shared region as the master sees it: made once, inherited by every fork, passed on at an upgrade."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import time
from collections.abc import Callable, Iterator

from pingpy.shared import layout
from pingpy.shared.directory import Directory
from pingpy.shared.layout import ACCUMULATORS, COUNTER, HISTOGRAM, LATEST, VALUES, WORD
from pingpy.shared.series import SeriesWriter, render_key, walk
from pingpy.shared.slab import Role, Slab


class LayoutMismatchError(Exception):
    """The descriptor holds memory of another layout: start with a fresh region."""


class SlabsExhaustedError(Exception):
    """1,024 processes hold a slab already."""


class Region:
    """The whole mapping. Masters claim and retire slabs; every other process writes only its own."""

    def __init__(self, fd: int) -> None:
        """Use create() or attach()."""
        self.fd = fd
        self._map = mmap.mmap(fd, layout.SIZE)
        self.octets = memoryview(self._map)
        self.words = self.octets.cast("q")
        self.ints = self.octets.cast("i")
        self._own: Slab | None = None
        self._writer: SeriesWriter | None = None
        self._accumulated: dict[int, SeriesWriter] = {}

    @classmethod
    def create(cls) -> Region:
        """A fresh region; its descriptor is close-on-exec and sealed against a change of size."""
        fd = os.memfd_create("pingpy-shared", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(fd, layout.SIZE)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            region = cls(fd)
        except BaseException:
            os.close(fd)
            raise
        words = region.words
        words[layout.H_VERSION] = layout.VERSION
        words[layout.H_LAYOUT] = layout.layout_hash()
        words[layout.H_SIZE] = layout.SIZE
        words[layout.H_CREATED_WALL_US] = time.time_ns() // 1000
        words[layout.H_FOLD] = ACCUMULATORS[0]
        for index in ACCUMULATORS:
            region.slab(index).role = "accumulator"
        words[layout.H_MAGIC] = layout.MAGIC
        return region

    @classmethod
    def attach(cls, fd: int) -> Region:
        """Another master's region; takes the descriptor over, except when it raises LayoutMismatchError."""
        head = os.pread(fd, 4 * WORD, 0)
        found = memoryview(head).cast("q") if len(head) == 4 * WORD else None
        wanted = (layout.MAGIC, layout.VERSION, layout.layout_hash(), layout.SIZE)
        if found is None or tuple(found) != wanted or os.fstat(fd).st_size != layout.SIZE:
            raise LayoutMismatchError("shared memory of another version")
        return cls(fd)

    def close(self) -> None:
        """Unmap and close; the memory lives on in whoever else holds it."""
        self.words.release()
        self.ints.release()
        self.octets.release()
        self._map.close()
        os.close(self.fd)

    @property
    def created_wall_us(self) -> int:
        """When the counters began."""
        return int(self.words[layout.H_CREATED_WALL_US])

    def slab(self, index: int) -> Slab:
        """The entry of one slab."""
        return Slab(self.words, index)

    def live_slabs(self) -> list[Slab]:
        """Every slab that a process owns now."""
        first = self.slab(layout.FIRST_SLAB).entry_at + layout.S_STATE
        step = layout.SLAB_ENTRY_BYTES // WORD
        states = self.words[first : layout.PEERS_AT // WORD : step].tolist()
        live = (index for index, state in enumerate(states, layout.FIRST_SLAB) if state)
        return [self.slab(index) for index in live]

    def directory(self, generation: int) -> Directory:
        """What the scout of this generation publishes."""
        return Directory(self.octets, self.words, generation)

    def claim_slab(self, generation: int, slot: int, role: Role) -> int:
        """Give a process a slab of its own, all zero; raises SlabsExhaustedError."""
        with self._lock():
            self._settle()
            for index in range(layout.FIRST_SLAB, layout.SLABS):
                slab = self.slab(index)
                if not slab.live:
                    self._wipe(slab)
                    serial = self.words[layout.H_SERIAL] + 1
                    self.words[layout.H_SERIAL] = serial
                    slab.generation, slab.slot, slab.serial = generation, slot, serial
                    slab.role = role
                    slab.claimed_us = slab.beat_us = time.monotonic_ns() // 1000
                    slab.state = layout.STATE_LIVE
                    return index
        raise SlabsExhaustedError(f"all {layout.SLABS} slabs of the shared memory are in use")

    def retire_slab(self, index: int) -> None:
        """Fold a dead process's counters into the accumulator, take back its in-flight counts, free the slab.

        Counters never go backwards: the new sums are built beside the old ones and put in force together with the
        slab's removal by one store. A master killed half-way leaves either state, and the next one finishes.
        """
        if index in ACCUMULATORS:
            raise ValueError("an accumulator is never retired")
        with self._lock():
            self._settle()
            slab = self.slab(index)
            if not slab.live:
                return
            self._take_back_in_flight(slab)
            fold = self.words[layout.H_FOLD]
            spare, writer = self._accumulate(slab, fold & 0xFF)
            version = (fold >> 32) + 1
            self.words[layout.H_FOLD] = version << 32 | index << 8 | spare
            self._accumulated[spare] = writer
            self._settle()

    def retire_dead(self, alive: Callable[[int], bool]) -> list[int]:
        """Retire the slabs of processes that nobody saw die (a killed master's own, at a take-over)."""
        dead = [slab.index for slab in self.live_slabs() if slab.pid and not alive(slab.pid)]
        for index in dead:
            self.retire_slab(index)
        return dead

    def master_add(self, name: str, labels: dict[str, str] | None = None, amount: int = 1) -> None:
        """Add to a counter of this master."""
        self.words[self._own_writer().cell(render_key(name, labels), COUNTER)] += amount

    def master_set(self, name: str, labels: dict[str, str] | None = None, value: int = 0) -> None:
        """Set a gauge; with two masters alive, what the younger says counts."""
        self.words[self._own_writer().cell(render_key(name, labels), LATEST)] = value

    def series_writer(self, index: int) -> SeriesWriter:
        """The writer of a slab's series: for the process that owns the slab."""
        slab = self.slab(index)
        used_word = slab.entry_at + layout.S_USED
        return SeriesWriter(self.octets, self.words, slab.first_word, used_word)

    def _own_writer(self) -> SeriesWriter:
        if self._own is None or self._writer is None:
            self._own = self.slab(self.claim_slab(0, -1, "master"))
            self._own.pid = os.getpid()
            self._writer = self.series_writer(self._own.index)
        return self._writer

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Only one master at a time, and none for ever: record locks die with their process.

        Not flock(): its owner is the open file, which both masters of an upgrade share.
        """
        fcntl.lockf(self.fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN)

    def _settle(self) -> None:
        """Finish a fold: free the slab whose sums are in force already."""
        fold = self.words[layout.H_FOLD]
        index = fold >> 8 & 0xFFFFFF
        if index:
            slab = self.slab(index)
            slab.state = layout.STATE_FREE
            self._wipe(slab)
            self.words[layout.H_FOLD] = (fold >> 32) + 1 << 32 | fold & 0xFF

    def _wipe(self, slab: Slab) -> None:
        """Zero the entry and give the slab's pages back."""
        self.words[slab.entry_at : slab.entry_at + layout.SLAB_ENTRY_BYTES // WORD] = memoryview(
            bytes(layout.SLAB_ENTRY_BYTES)
        ).cast("q")
        self._map.madvise(mmap.MADV_REMOVE, slab.first_word * WORD, layout.SLAB_BYTES)

    def _accumulate(self, slab: Slab, active: int) -> tuple[int, SeriesWriter]:
        """Build the accumulator not in force as the one in force plus this slab; returns its index and writer."""
        spare = ACCUMULATORS[0] if active == ACCUMULATORS[1] else ACCUMULATORS[1]
        source, target = self.slab(active), self.slab(spare)
        used = source.used_words
        start = source.first_word
        self.words[target.first_word : target.first_word + used] = self.words[start : start + used]
        target.used_words = used
        # Out of the cache until the fold is committed: what an interrupted one appended is no part of it.
        writer = self._accumulated.pop(spare, None) or self.series_writer(spare)
        writer.refresh()
        end = slab.first_word + slab.used_words
        for series in walk(self.octets, self.words, slab.first_word, end):
            if series.kind in (COUNTER, HISTOGRAM):
                at = writer.cell(series.key, series.kind)
                for offset in range(VALUES[series.kind]):
                    self.words[at + offset] += self.words[series.at + offset]
        return spare, writer

    def _take_back_in_flight(self, slab: Slab) -> None:
        """A dead worker's requests are over: note them as left behind, for nobody will count them down."""
        first = slab.first_in_flight
        share = self.ints[first : first + layout.PEERS]
        for peer, count in enumerate(share.tolist()):
            if count:
                cell = (layout.PEERS_AT + peer * layout.PEER_BYTES) // 4
                self.ints[cell + layout.I_LEFT_BEHIND] += count
                self.ints[first + peer] = 0
