"""What the plane asks of Python and tells it: runs hooks, makes their peers, writes the error log's lines."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Protocol

from pingpy.client import split_address
from pingpy.log import logger
from pingpy.peer import Peer
from pingpy.session import Address
from worker.hook_runner import HookRunner
from worker.sparing import Sparing

# The pool that peers chosen by `upstream_peer` are counted under.
HOOK_POOL = b"upstream_peer"
# accept() fails on each tick while descriptors are short; one line a second says enough.
TROUBLE_SECONDS = 1.0

MakePeer = Callable[..., Any]


class ClaimsCells(Protocol):
    """The part of the cells that names a new peer."""

    def claim_peer(self, pool: bytes, address: bytes) -> int:
        """The cell of a peer, or -1."""

    def name_peer(self, peer: int, pool: str, target: str) -> None:
        """The labels of its metrics."""


class WorkerEvents:
    """The plane's events, for one worker. `make_plane_peer` is the plane's own class, `make_origin` makes what a peer
    of that name needs for TLS."""

    def __init__(
        self,
        runner: HookRunner,
        cells: ClaimsCells,
        make_plane_peer: MakePeer,
        clock: Callable[[], float],
        make_origin: Callable[[str], Any] = lambda host: None,
    ) -> None:
        self._runner = runner
        self.run = runner.start
        self._cells = cells
        self._make_plane_peer = make_plane_peer
        self._clock = clock
        self._make_origin = make_origin
        self._troubled_until = 0.0
        self._sparing = Sparing(clock)

    def fault(self, error: Exception, where: str) -> None:
        """The plane's own code raised: that connection has ended, and this is a defect."""
        logger.error("internal error at %s: %r", where, error, exc_info=error)

    def refused(self, status: int, cause: str, session: Any, peer: str) -> None:
        """One line for each 5xx of ours, with its cause."""
        request = session.request
        if request.method:
            what = f"request {session.id}: {request.method} {request.target}"
        else:  # what came was no request: it has no id either
            what = f"a head from {session.client.host}:{session.client.port}"
        at = f" at {peer}" if peer else ""
        logger.error("%s answered with %d: %s%s", what, status, cause, at)

    def hook_raised(self, session: Any, phase: str, error: BaseException) -> None:
        """A method of the user's raised."""
        self._runner.failed(error, phase, session.id)

    def trouble(self, errno: int) -> None:
        """No descriptor or memory to accept with; who is in is served on."""
        now = self._clock()
        if now >= self._troubled_until:
            self._troubled_until = now + TROUBLE_SECONDS
            logger.error("cannot accept: %s; trying again", os.strerror(errno))

    def unwelcome(self, listener: str, client: str, cause: str, kind: int) -> None:
        """A client's connection was closed by its own fault; who means harm, or is set up wrong, makes many of them."""
        also = self._sparing.allow(kind)
        if also is not None:
            logger.warning("connection from %s to %s closed: %s%s", client, listener, cause, also)

    def broken(self, peer: str, cause: str, kind: int) -> None:
        """A connection to a peer was closed by the peer's fault; its requests tell of themselves."""
        also = self._sparing.allow(kind)
        if also is not None:
            logger.warning("connection to %s closed: %s%s", peer, cause, also)

    def make_peer(self, text: str) -> Peer:
        """The peer of an attempt, for hooks to see."""
        if text.startswith("unix:"):
            return Peer(text)
        host, port = split_address(text)
        return Peer(host, port)

    def plane_peer(self, chosen: Peer) -> Any:
        """The plane's peer for one that `upstream_peer` returned. Raises ValueError for a host that is a name."""
        family, raw = packed_sockaddr(chosen)
        text = chosen.address.encode()
        cell = self._cells.claim_peer(HOOK_POOL, text)
        self._cells.name_peer(cell, HOOK_POOL.decode(), chosen.address)
        host = "" if chosen.host.startswith("unix:") else chosen.host
        tls = self._make_origin(chosen.sni or host) if chosen.tls else None
        return self._make_plane_peer(
            cell=cell, text=text, name=text, sockaddr=raw, family=family, tls=tls
        )

    def make_address(self, host: str, port: int) -> Address:
        """One end of a connection, for hooks to see."""
        return Address(host, port)


def packed_sockaddr(peer: Peer) -> tuple[int, bytes]:
    """Address family and `struct sockaddr_in`, `_in6` or `_un` (ip(7), ipv6(7), unix(7))."""
    family: int
    if peer.host.startswith("unix:"):
        family = socket.AF_UNIX
        path = os.fsencode(peer.host.removeprefix("unix:"))
        if not 0 < len(path) < 108:
            raise ValueError(f"the path of a Unix socket has 1 to 107 bytes: {peer.host!r}")
        return family, family.to_bytes(2, sys.byteorder) + path + b"\0"
    try:
        address = ipaddress.ip_address(peer.host)
    except ValueError:
        raise ValueError(f"a peer's host is an address, not a name: {peer.host!r}") from None
    port = struct.pack("!H", peer.port)
    if address.version == 4:
        family = socket.AF_INET
        return family, family.to_bytes(2, sys.byteorder) + port + address.packed + bytes(8)
    family = socket.AF_INET6
    return family, family.to_bytes(2, sys.byteorder) + port + bytes(4) + address.packed + bytes(4)
