"""The two functions behind which all bytes move: one read of many sockets, one write to many.

This is the plain form, a system call each. Every connection of a turn has a slot of its own, so that
nothing read is touched again before the turn's output is with the kernel.
"""

import array

import cython
from cython.cimports.worker.plane.connection import Connection
from cython.cimports.worker.plane.syscalls import (
    MSG_DONTWAIT,
    MSG_MORE,
    MSG_NOSIGNAL,
    errno,
    iovec,
    msghdr,
    recv,
    send,
    sendmsg,
)

MAX_VECTORS = cython.declare(cython.int, 8)


@cython.cclass
class Batch:
    """Reads and writes with recv and sendmsg, one connection after the other."""

    def __cinit__(self, host):
        self.name = "plain"
        self.host = host
        self.slots = self.host.arena.reserve(SLOT_BYTES * BATCH)
        self.wide_slots = self.host.arena.reserve(WIDE_BYTES * WIDE_SLOTS)
        self.connections = []
        self.offset = array.array("q", [0]) * BATCH
        self.size = array.array("q", [0]) * BATCH

    def prepare(self):
        """Give each connection of the batch its slot; `size` is how much it may read."""
        i: cython.int
        wide: cython.int = 0
        connection: Connection
        for i in range(self.count):
            connection = self.connections[i]
            if connection.wide and wide < WIDE_SLOTS:
                self.offset[i] = self.wide_slots + wide * WIDE_BYTES
                self.size[i] = WIDE_BYTES
                wide += 1
            else:
                self.offset[i] = self.slots + i * SLOT_BYTES
                self.size[i] = SLOT_BYTES
        return 0

    def receive(self):
        i: cython.int
        self.prepare()
        for i in range(self.count):
            self.receive_one(i)
        return 0

    def receive_one(self, i):
        """Read the i-th connection into its slot."""
        connection: Connection = self.connections[i]
        if connection.tls is not None:
            self.size[i] = connection.tls.receive(connection, self.offset[i], self.size[i])
            return 0
        got: cython.Py_ssize_t = recv(
            connection.fd, self.host.arena.base + self.offset[i], self.size[i], MSG_DONTWAIT
        )
        self.size[i] = got if got >= 0 else -errno
        return 0

    def send(self):
        i: cython.int
        for i in range(self.count):
            self.send_one(i)
        return 0

    def send_one(self, i):
        """Show the i-th connection's output to the kernel."""
        j: cython.int
        k: cython.int
        sent: cython.Py_ssize_t
        vectors: iovec[8]
        message: msghdr
        connection: Connection = self.connections[i]
        flags: cython.int = MSG_NOSIGNAL | MSG_DONTWAIT
        shown: cython.longlong = 0
        self.size[i] = 0
        self.offset[i] = 0
        if connection.tls is not None:
            self.size[i] = connection.tls.send(connection, cython.address(shown))
            self.offset[i] = shown
            return 0
        k = fill_vectors(self.host, connection, vectors)
        if k == 0:
            return 0
        for j in range(k):
            self.offset[i] += vectors[j].iov_len
        flags |= last_words(connection, k)
        if k == 1:
            sent = send(connection.fd, vectors[0].iov_base, vectors[0].iov_len, flags)
        else:
            describe_message(cython.address(message), vectors, k)
            sent = sendmsg(connection.fd, cython.address(message), flags)
        self.size[i] = sent if sent >= 0 else -errno
        return 0


def last_words(connection, count):
    """So that the FIN travels with them, not in a segment of its own."""
    return MSG_MORE if connection.finishing and count < MAX_VECTORS else 0


def describe_message(message, vectors, count):
    """A message of these vectors and nothing else."""
    message.msg_name = cython.NULL
    message.msg_namelen = 0
    message.msg_control = cython.NULL
    message.msg_controllen = 0
    message.msg_flags = 0
    message.msg_iov = vectors
    message.msg_iovlen = count
    return 0


def fill_vectors(host, connection, vectors):
    """Describe the connection's output to the kernel; returns how many of the (at most 8) vectors are used."""
    k: cython.int = 0
    i: cython.int
    offset: cython.longlong = 0
    size: cython.longlong = 0
    block: cython.longlong
    if connection.chain.bytes:
        block = host.arena.chain_after(
            -connection.chain.head, cython.address(offset), cython.address(size)
        )
        while block and k < MAX_VECTORS:
            vectors[k].iov_base = host.arena.base + offset
            vectors[k].iov_len = size
            k += 1
            block = host.arena.chain_after(block, cython.address(offset), cython.address(size))
        return k
    for i in range(connection.slices):
        host.arena.check(connection.slice_offset[i], connection.slice_size[i])
        vectors[k].iov_base = host.arena.base + connection.slice_offset[i]
        vectors[k].iov_len = connection.slice_size[i]
        k += 1
    return k
