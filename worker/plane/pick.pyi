from collections.abc import Sequence
from typing import Any

from worker.plane.cells import Cells

class Peer:
    """One upstream address. The same object as long as the address stays in its pool."""

    cell: int
    weight: int
    text: bytes
    name: bytes
    authority: bytes
    sockaddr: bytes
    family: int
    max_connections: int
    send_proxy: bool
    tls: Any
    connections: Any
    retired: bool
    def __init__(
        self,
        *,
        cell: int,
        text: bytes,
        sockaddr: bytes,
        family: int,
        weight: int = 1,
        name: bytes = b"",
        authority: bytes = b"",
        max_connections: int = 0,
        send_proxy: bool = False,
        tls: Any = None,
    ) -> None: ...

class Pool:
    """A named set of peers; this class picks at random without weights."""

    name: bytes
    peers: list[Peer]
    pending: bool
    max_retries: int
    queue_size: int
    queue_ms: int
    custom: Any
    hash_needs: int
    panic: bool
    count: int
    live_count: int
    def __init__(
        self,
        name: bytes,
        cells: Cells,
        *,
        worker: int = 0,
        workers: int = 1,
        max_retries: int = 2,
        queue_size: int = 0,
        queue_ms: int = 0,
        custom: Any = None,
    ) -> None: ...
    def set_peers(self, peers: Sequence[Peer]) -> None:
        """Put a new set in force. Peers that stay must be the same objects."""
    def pick_for(
        self, key: int = 0, tried: list[Peer] | None = None, now_ms: int = 0
    ) -> Peer | None:
        """The peer for a request."""
    def pick_custom_for(
        self, session: Any, tried: list[Peer] | None = None, now_ms: int = 0
    ) -> Peer | None:
        """What the user's balancer picks."""
