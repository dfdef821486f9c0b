"""The socket as libssl sees it: one system call for a read, and none when epoll has nothing new to say.

libssl's own socket BIO would ask the kernel once more after every read. Ours knows from the short read before,
as the rest of the plane does (epoll(7)), that the socket is empty; and it can be given bytes that were read
before it was known that they are TLS.
"""

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.worker.plane.connection import Connection
from cython.cimports.worker.plane.openssl import (
    BIO,
    BIO_CTRL_FLUSH,
    BIO_METHOD,
    BIO_TYPE_SOURCE_SINK,
    BIO_clear_retry_flags,
    BIO_get_data,
    BIO_get_new_index,
    BIO_meth_new,
    BIO_meth_set_ctrl,
    BIO_meth_set_read,
    BIO_meth_set_write,
    BIO_new,
    BIO_set_data,
    BIO_set_init,
    BIO_set_retry_read,
    BIO_set_retry_write,
)
from cython.cimports.worker.plane.syscalls import (
    EAGAIN,
    EINTR,
    MSG_DONTWAIT,
    MSG_MORE,
    MSG_NOSIGNAL,
    errno,
    recv,
    send,
)
from cython.cimports.worker.plane.tls import TlsStream

# What may come without one byte for the handler: a handshake with its certificates; later, KeyUpdates, tickets, empty
# records, attempts to renegotiate, and the largest record (RFC 8446 5.2) before it is whole.
MOST_GREETING = cython.declare(cython.longlong, 1 << 17)
MOST_BARREN = cython.declare(cython.longlong, 1 << 15)

socket_method = cython.declare(cython.pointer(BIO_METHOD), cython.NULL)


@cython.cfunc
@cython.exceptval(check=False)
def read_socket(bio: cython.pointer(BIO), into: cython.p_char, size: cython.int) -> cython.int:
    """One recv, unless epoll has said nothing since the last one came back short."""
    stream: TlsStream = cython.cast(TlsStream, BIO_get_data(bio))
    connection: Connection = stream.connection
    got: cython.Py_ssize_t
    BIO_clear_retry_flags(bio)
    stream.starved = False
    if connection is None or size <= 0 or stream.unbearable is not None:
        return -1
    if stream.barren > (MOST_BARREN if stream.established else MOST_GREETING):
        stream.unbearable = "it goes on and on without data (a fixed bound of octets)"
        return -1
    if stream.early is not None:
        got = min(size, len(stream.early) - stream.early_used)
        memcpy(into, cython.cast(cython.p_const_char, stream.early) + stream.early_used, got)
        stream.early_used += got
        if stream.early_used == len(stream.early):
            stream.early = None
        stream.barren += got
        return cython.cast(cython.int, got)
    if not connection.readable:
        stream.starved = True
        BIO_set_retry_read(bio)
        return -1
    got = recv(connection.fd, into, size, MSG_DONTWAIT)
    if got > 0:
        if got < size and not connection.peer_done and not connection.failed:
            connection.readable = False
        stream.barren += got
        return cython.cast(cython.int, got)
    if got == 0:
        stream.socket_ended = True
        connection.peer_done = True
        return 0
    if errno == EAGAIN or errno == EINTR:
        connection.readable = errno == EINTR
        stream.starved = True
        BIO_set_retry_read(bio)
    else:
        stream.error = errno
    return -1


@cython.cfunc
@cython.exceptval(check=False)
def write_socket(
    bio: cython.pointer(BIO), data: cython.p_const_char, size: cython.int
) -> cython.int:
    """One send; a socket that does not take all of it will be writable again."""
    stream: TlsStream = cython.cast(TlsStream, BIO_get_data(bio))
    sent: cython.Py_ssize_t
    BIO_clear_retry_flags(bio)
    stream.stuck = False
    if stream.connection is None or size <= 0:
        return -1
    if stream.staging:
        stream.held = data[:size] if stream.held is None else stream.held + data[:size]
        return size
    sent = release(stream)
    if sent > 0:
        sent = put(stream, data, size)
    if sent > 0:
        return cython.cast(cython.int, sent)
    if sent == 0:
        stream.stuck = True
        BIO_set_retry_write(bio)
    return -1


@cython.cfunc
@cython.exceptval(check=False)
def put(stream: TlsStream, data: cython.p_const_char, size: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """To the socket: how much it took, or -1."""
    flags: cython.int = MSG_DONTWAIT | MSG_NOSIGNAL | (MSG_MORE if stream.corked else 0)
    sent: cython.Py_ssize_t = send(stream.connection.fd, data, size, flags)
    if sent >= 0:
        return sent
    if errno == EAGAIN or errno == EINTR:
        stream.connection.writable = False
        return 0
    stream.error = errno
    return -1


def release(stream):
    size: cython.Py_ssize_t
    sent: cython.Py_ssize_t
    if stream.held is None:
        return 1
    size = len(stream.held)
    sent = put(stream, stream.held, size)
    if sent < 0:
        stream.held = None
        return -1
    stream.held = None if sent == size else stream.held[sent:]
    if sent < size:
        stream.connection.writable = False
    return 1 if sent == size else 0


@cython.cfunc
@cython.exceptval(check=False)
def control_socket(
    bio: cython.pointer(BIO), command: cython.int, number: cython.long, pointer: cython.p_void
) -> cython.long:
    """Nothing is held back, so a flush is always done."""
    return 1 if command == BIO_CTRL_FLUSH else 0


@cython.cfunc
@cython.exceptval(-1)
def make_method() -> cython.int:
    """Once per process."""
    global socket_method
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, b"pingpy")
    if socket_method == cython.NULL:
        raise MemoryError
    BIO_meth_set_read(socket_method, read_socket)
    BIO_meth_set_write(socket_method, write_socket)
    BIO_meth_set_ctrl(socket_method, control_socket)
    return 0


def new_socket_bio(stream):
    bio: cython.pointer(BIO)
    if socket_method == cython.NULL:
        make_method()
    bio = BIO_new(socket_method)
    if bio == cython.NULL:
        raise MemoryError("libssl has no memory for another connection")
    BIO_set_data(bio, cython.cast(cython.p_void, stream))
    BIO_set_init(bio, 1)
    return bio
