"""Pipes that hold body bytes on their way from one socket to another, inside the kernel.

A pipe is lent while it holds bytes and no longer, so that a few serve many connections.
"""

import cython
from cython.cimports.worker.plane.syscalls import (
    F_SETPIPE_SZ,
    O_CLOEXEC,
    O_NONBLOCK,
    SPLICE_F_MOVE,
    SPLICE_F_NONBLOCK,
    close,
    errno,
    fcntl,
    pipe2,
    splice,
)

ROOM_BYTES = cython.declare(cython.int, 1 << 20)
DEFAULT_ROOM_BYTES = cython.declare(cython.int, 65536)  # pipe(7)
SPARE = cython.declare(cython.int, 16)  # kept for later; an empty one is two descriptors and 10 KB


@cython.cclass
class Pipe:
    """Raises OSError when there are no descriptors for it."""

    def __cinit__(self):
        ends: cython.int[2]
        granted: cython.int
        self.out_fd = self.in_fd = -1
        if pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0:
            raise OSError(errno, "pipe2")
        self.out_fd = ends[0]
        self.in_fd = ends[1]
        granted = fcntl(self.in_fd, F_SETPIPE_SZ, ROOM_BYTES)  # a user's pipes have a common bound
        self.room = granted if granted > 0 else DEFAULT_ROOM_BYTES

    def __dealloc__(self):
        if self.out_fd >= 0:
            close(self.out_fd)
            close(self.in_fd)

    def fill(self, fd, most):
        """Only an empty pipe is filled: then "try again" can only mean that the socket is empty."""
        got: cython.Py_ssize_t = splice(
            fd,
            cython.NULL,
            self.in_fd,
            cython.NULL,
            min(most, self.room),
            SPLICE_F_MOVE | SPLICE_F_NONBLOCK,
        )
        if got < 0:
            return -errno
        self.inside += got
        return got

    def drain(self, fd):
        """The socket must be non-blocking itself, and SIGPIPE ignored: splice(2) has no MSG_NOSIGNAL."""
        sent: cython.Py_ssize_t = splice(
            self.out_fd,
            cython.NULL,
            fd,
            cython.NULL,
            self.inside,
            SPLICE_F_MOVE | SPLICE_F_NONBLOCK,
        )
        if sent < 0:
            return -errno
        self.inside -= sent
        return sent


@cython.cclass
class Pipes:
    """Those that are not in use."""

    def __cinit__(self):
        self.spare = []

    def take(self):
        """An empty pipe, or None when there are no descriptors for one."""
        if self.spare:
            return self.spare.pop()
        try:
            return Pipe()
        except OSError:
            return None

    def give_back(self, pipe):
        """Keep it for later; one that still holds bytes is closed, and they are lost with it."""
        if pipe.inside == 0 and len(self.spare) < SPARE:
            self.spare.append(pipe)
        return 0
