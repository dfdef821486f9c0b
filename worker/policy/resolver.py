"""A worker's side of name resolution: which names it needs, and watching the directory for their addresses."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from typing import Protocol

from pingpy.config.resolved import Resolved, ResolvedPeer
from pingpy.log import logger

WATCH_SECONDS = 0.1
# A worker that has no addresses yet may be ready all the same after this long: an outage of DNS stops no start.
FIRST_DIRECTORY_SECONDS = 2.0

Answers = Mapping[str, tuple[str, ...]]


class Directory(Protocol):
    """What the scout publishes: a version that moves on, and a blob."""

    @property
    def version(self) -> int:
        """0: nothing yet."""

    def read(self) -> tuple[int, bytes]:
        """The version in force and its blob."""


def is_name(peer: ResolvedPeer) -> bool:
    """Whether this peer's host has to be looked up."""
    if peer.unix_path:
        return False
    try:
        ipaddress.ip_address(peer.host)
    except ValueError:
        return True
    return False


def needed_names(resolved: Resolved) -> list[str]:
    """Every `host:port` to look up, once."""
    peers = (peer for pool in resolved.pools for peer in pool.peers)
    return list(dict.fromkeys(peer.address for peer in peers if is_name(peer)))


class DirectoryWatch:
    """Notices that the directory has moved on, and hands the addresses of all names to `update`."""

    def __init__(
        self, directory: Directory, names: list[str], update: Callable[[Answers], None]
    ) -> None:
        self._directory = directory
        self._names = frozenset(names)
        self._update = update
        self._version = 0
        self._seen: frozenset[str] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether each name was looked up at least once, with whatever result."""
        return self._names <= self._seen

    def look(self) -> None:
        """Called every WATCH_SECONDS; does nothing while the version stands still."""
        if self._directory.version == self._version:
            return
        version, blob = self._directory.read()
        if version == 0 or version == self._version:
            return
        self._version = version
        answers = parse(blob)
        self._seen = frozenset(answers)
        self._update({name: answers.get(name, ()) for name in self._names})


def parse(blob: bytes) -> dict[str, tuple[str, ...]]:
    """The addresses by name; nothing, and a line in the log, when the blob makes no sense."""
    try:
        names = json.loads(blob)["names"]
        return {str(name): tuple(map(str, addresses)) for name, addresses in names.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        logger.error("the directory cannot be read: %r", error)
        return {}
