"""Looks at the files that the serving generation was loaded from, each time in a throw-away child.

The master itself may not touch them again: a network file system that hangs would hang it. Looking at times
alone would do on a local disk (inotify would, too, but sees neither another host's writes nor what a symbolic
link far up the path now means); what changed is compared by content.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from master.children import fork_watched
from master.events import Looked
from master.process import ChildSpec
from master.secret_files import LARGEST_BYTES, digest
from master.supervisor import Phase
from pingpy import log

if TYPE_CHECKING:
    from master.loop import Loop

LOOK_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 60.0  # until it is asked again whether there is something to look at
# A file that was written this short ago may be written again without a new time: it is read at every look.
YOUNG_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Mark:
    """What a file was when it was read; no two files have the same stamp, and an empty one is never the same."""

    stamp: tuple[int, ...]
    content: str


class Look:
    """One look under way; readable when bytes of its answer wait."""

    def __init__(
        self, names: Iterable[str], folder: Path, known: Mapping[str, Mark], log_fd: int
    ) -> None:
        self._text = bytearray()
        self.deadline = time.monotonic() + LOOK_SECONDS
        self._reader, writer = os.pipe2(os.O_CLOEXEC)
        keep = frozenset({log_fd, writer})
        spec = ChildSpec("lookout", "lookout", 0, None, None, keep, log_fd, "error")
        try:
            self.pid, self._pidfd = fork_watched(
                spec, lambda: _look_in_child(names, folder, known, writer)
            )
        except OSError:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)

    def fileno(self) -> int:
        """The pipe."""
        return self._reader

    def read(self) -> dict[str, Mark] | None:
        """The answer when it is complete (empty: it has none), else None."""
        data = os.read(self._reader, 1 << 16)
        if data:
            self._text += data
            return None
        os.close(self._reader)
        os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)  # its end of the pipe closes when it ends
        os.close(self._pidfd)
        try:
            body = json.loads(bytes(self._text))
        except ValueError:
            return {}
        return {name: Mark(tuple(stamp), content) for name, (stamp, content) in body.items()}

    def kill(self) -> None:
        """It hangs; should it hang where no signal reaches it, there is no further look until it ends."""
        self.deadline = inf
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)


def _look_in_child(
    names: Iterable[str], folder: Path, known: Mapping[str, Mark], writer: int
) -> int:
    marks = look(names, folder, known, time.time())
    text = json.dumps({name: (mark.stamp, mark.content) for name, mark in marks.items()}).encode()
    data = memoryview(text)
    while data:
        data = data[os.write(writer, data) :]
    return 0


def look(
    names: Iterable[str], folder: Path, known: Mapping[str, Mark], wall_seconds: float
) -> dict[str, Mark]:
    """What is there now; a file with the stamp that is known already is not read again."""
    return {name: _mark(folder / name, known.get(name), wall_seconds) for name in names}


def _mark(path: Path, known: Mark | None, wall_seconds: float) -> Mark:
    try:
        status = os.stat(path)
        stamp: tuple[int, ...] = (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        if known is not None and known.stamp == stamp:
            return known
        with path.open("rb") as file:
            content = digest(file.read(LARGEST_BYTES))
    except OSError as error:
        return Mark((), error.strerror or type(error).__name__)
    changed = max(status.st_mtime, status.st_ctime)
    return Mark(() if wall_seconds - changed < YOUNG_SECONDS else stamp, content)


class Lookout:
    """Has somebody look in time, and reports what was seen."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._estate = loop.estate
        self._look: Look | None = None
        self._marks: dict[str, Mark] = {}
        self._generation = 0  # whose files the marks are of
        self._next = 0.0
        self._warned = False

    def deadline(self) -> float:
        """When `clock` wants to be called."""
        return self._next if self._look is None else self._look.deadline

    def pids(self) -> set[int]:
        """Of the child that looks, if there is one."""
        return set() if self._look is None else {self._look.pid}

    def clock(self, now: float) -> None:
        """Begin the look that is due; end one that takes too long."""
        if now < self.deadline():
            return
        if self._look is not None:
            self._warn("their disk hangs")
            self._look.kill()
            return
        generation = self._estate.generations.get(self._estate.current)
        seconds = 0.0 if generation is None else generation.plan.watch_seconds
        self._next = now + (seconds or IDLE_SECONDS)
        if not seconds or generation is None or not generation.contents:
            return
        if self._loop.supervisor.phase is not Phase.RUNNING:
            return
        if self._generation != self._estate.current:
            self._generation, self._marks = self._estate.current, {}
        try:
            look_ = Look(
                generation.contents, generation.source.folder, self._marks, generation.log_fd
            )
        except OSError as error:
            self._warn(str(error))
            return
        self._look = look_
        self._loop.watch(look_.fileno(), self._read)

    def _warn(self, why: str) -> None:
        """Once, until it can be done again."""
        if not self._warned:
            log.logger.warning("the files of certificates cannot be looked at: %s", why)
        self._warned = True

    def _read(self) -> None:
        look_ = self._look
        assert look_ is not None
        fd = look_.fileno()
        marks = look_.read()
        if marks is None:
            return
        self._loop.unwatch(fd)
        self._look = None
        generation = self._estate.generations.get(self._generation)
        if marks and generation is not None:
            self._marks, self._warned = marks, False
            seen = {name: mark.content for name, mark in marks.items()}
            self._loop.post(Looked(self._generation, generation.contents, seen))
