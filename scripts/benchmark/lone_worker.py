"""One worker without a master: runs worker.main on descriptors it was given, so that valgrind can watch it alone."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from pingpy.config.source import ConfigSource
from pingpy.control import WorkerContext
from pingpy.shared import TicketKeys


def context(
    path: str, channel_fd: int, region_fd: int, slab: int, secret_files: list[str]
) -> WorkerContext:
    """What the master would have given it."""
    source = ConfigSource.read(path)
    return WorkerContext(
        generation=1,
        slot=0,
        worker_count=1,
        cpu=min(os.sched_getaffinity(0)),
        channel=socket.socket(fileno=channel_fd),
        source=source,
        region_fd=region_fd,
        slab=slab,
        parent_pid=os.getppid(),
        config_hash=source.sha256,
        secrets={name: Path(name).read_bytes() for name in secret_files},
        tickets_fd=TicketKeys.create(time.monotonic()).fd,
    )


def main() -> int:
    """Be a worker until told to stop."""
    from worker.main import main as worker

    return worker(context(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5:]))


if __name__ == "__main__":
    sys.exit(main())
