"""Body bytes from one connection to another without a copy in user space.

A connection whose `sink` is set is read by splice(2) into a pipe of the sink, at most `sink_left` bytes;
the pipe is the first part of the sink's output and leaves when the reactor flushes. Whenever that is not
possible (the sink has output of another kind, no pipe is to be had) or not worth while (little comes at a
time) the ordinary read does: whoever sets `sink` must be ready for on_data as well as for on_spliced.
"""

import cython
from cython.cimports.worker.plane.connection import Connection
from cython.cimports.worker.plane.pipe import Pipe
from cython.cimports.worker.plane.syscalls import EAGAIN, EINTR, EINVAL, EPIPE


def splice_in(connection):
    sink: Connection = connection.sink
    pipe: Pipe
    got: cython.longlong
    if sink.fd < 0:
        connection.sink = None
        return NOT_SPLICED
    if connection.tls is not None or sink.tls is not None:
        connection.sink = None  # what is on the sockets is not what the handlers mean
        return NOT_SPLICED
    if connection.trickling or connection.sink_left <= 0 or sink.pending():
        return NOT_SPLICED
    pipe = connection.host.pipes.take()
    if pipe is None:
        return NOT_SPLICED
    got = pipe.fill(connection.fd, connection.sink_left)
    if got > 0:
        sink.pipe = pipe
        sink.mark_dirty()
        connection.sink_left -= got
        connection.bytes_in += got
        connection.host.pipes.passed += got
        return got
    connection.host.pipes.give_back(pipe)
    if got == -EINVAL:  # a kind of socket that cannot
        connection.sink = None
        return NOT_SPLICED
    return got


def splice_out(connection):
    pipe: Pipe = connection.pipe
    sent: cython.longlong
    while pipe.inside:
        sent = pipe.drain(connection.fd)
        if sent > 0:
            connection.bytes_out += sent
        elif sent == -EAGAIN:
            connection.writable = False  # an EPOLLOUT edge will come
            return 0
        elif sent != -EINTR:
            return EPIPE if sent == 0 else cython.cast(cython.int, -sent)
    connection.pipe = None
    connection.host.pipes.give_back(pipe)
    return 0
