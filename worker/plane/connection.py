"""A socket as the plane sees it: readiness, queued output, a deadline, and the handler that gets the bytes.

Nothing here reads or sends: output is queued as slices of the turn's memory and leaves when the reactor
flushes; what the kernel does not take is copied to a chain of blocks and goes first next time.
"""

import cython
from cython.cimports.worker.plane.syscalls import (
    MSG_DONTWAIT,
    MSG_PEEK,
    SHUT_WR,
    SO_LINGER,
    SOL_SOCKET,
    recv,
    setsockopt,
    shutdown,
)


@cython.cclass
class Handler:
    """What a protocol does with a connection; each method is for one kind of event."""

    def on_data(self, offset, size):
        raise NotImplementedError

    def on_spliced(self, size):
        raise NotImplementedError

    def on_eof(self):
        raise NotImplementedError

    def on_failed(self, error):
        raise NotImplementedError

    def on_blocked(self):
        return 0

    def on_drained(self):
        return 0

    def on_connected(self):
        return 0

    def on_deadline(self):
        return 0

    def on_acceptable(self):
        return 0

    def on_secured(self):
        return 0

    def on_closed(self):
        return 0

    def takes_raw(self):
        return None


@cython.cclass
class Layer:
    """What stands between a socket's bytes and a handler's; tls.TlsStream is the one implementation."""

    def receive(self, connection, offset, size):
        raise NotImplementedError

    def send(self, connection, shown):
        raise NotImplementedError

    def alpn(self):
        return b""

    def is_flood(self):
        return False

    def took_bytes(self, connection):
        return 0

    def close(self, connection):
        return 0

    def let_go(self):
        return 0


@cython.freelist(256)
@cython.cclass
class Connection:
    """One socket. Owned by its host until it is closed or detached."""

    def __cinit__(self):
        self.fd = -1

    def __repr__(self) -> str:
        state = "closed" if self.fd < 0 else "finishing" if self.finishing else "open"
        return (
            f"<Connection {self.id} fd={self.fd} {state} in={self.bytes_in} out={self.bytes_out}"
            f" unsent={self.pending()} handler={type(self.handler).__name__}>"
        )

    def write(self, offset, size):
        """Queue output that stays valid until the turn ends."""
        last: cython.int = self.slices - 1
        i: cython.int
        if self.fd < 0 or size <= 0:
            return 0
        self.mark_dirty()
        if self.chain.bytes:
            self.host.arena.chain_append(cython.address(self.chain), offset, size)
            return 0
        if last >= 0 and self.slice_offset[last] + self.slice_size[last] == offset:
            self.slice_size[last] += size
            return 0
        if self.slices == 4:
            for i in range(4):
                self.host.arena.chain_append(
                    cython.address(self.chain), self.slice_offset[i], self.slice_size[i]
                )
            self.slices = 0
            self.host.arena.chain_append(cython.address(self.chain), offset, size)
            return 0
        self.slice_offset[self.slices] = offset
        self.slice_size[self.slices] = size
        self.slices += 1
        return 0

    def write_bytes(self, data):
        """Queue a Python bytes object; it is copied."""
        size: cython.longlong = len(data)
        offset: cython.longlong
        part: cython.longlong
        start: cython.longlong = 0
        while start < size:
            part = min(size - start, 65536)
            offset = self.host.turn_memory(part)
            self.host.arena.put(offset, data[start : start + part])
            self.write(offset, part)
            start += part
        return 0

    def mark_dirty(self):
        """Have the reactor flush this connection at the turn's end."""
        if not self.dirty:
            self.dirty = True
            self.host.dirty.append(self)
        return 0

    def keep_unsent(self, sent):
        """After a flush: `sent` bytes left; what remains of this turn's slices moves to the chain."""
        i: cython.int
        part: cython.longlong
        self.bytes_out += sent
        if self.chain.bytes:
            self.host.arena.chain_consume(cython.address(self.chain), sent)
            return 0
        for i in range(self.slices):
            part = min(sent, self.slice_size[i])
            sent -= part
            if part < self.slice_size[i]:
                self.host.arena.chain_append(
                    cython.address(self.chain),
                    self.slice_offset[i] + part,
                    self.slice_size[i] - part,
                )
        self.slices = 0
        return 0

    def pending(self):
        """Bytes that are queued and not yet with the kernel."""
        total: cython.longlong = self.chain.bytes
        i: cython.int
        if self.pipe is not None:
            total += self.pipe.inside
        for i in range(self.slices):
            total += self.slice_size[i]
        return total

    def pause(self):
        """The handler wants no bytes for now: the kernel's buffer fills, and the peer feels it."""
        self.reading = False
        return 0

    def resume(self):
        """The handler wants bytes again; what came meanwhile is read in the next round."""
        self.reading = True
        if self.readable and not self.listed and self.fd >= 0:
            self.listed = True
            self.host.wanted.append(self)
        return 0

    def listen_once_more(self):
        """Whether something has come since the socket was last read: to close now would throw it away."""
        one: cython.uchar
        if self.fd < 0 or recv(self.fd, cython.address(one), 1, MSG_PEEK | MSG_DONTWAIT) <= 0:
            return False
        self.readable = True
        self.resume()
        return True

    def set_deadline(self, after_ms):
        """Call on_deadline after so long, unless it is moved or cleared before."""
        self.deadline_ms = self.host.now_ms + after_ms
        return self.host.expect(self)

    def clear_deadline(self):
        """No deadline; the wheel forgets it when it comes by."""
        self.deadline_ms = 0
        return 0

    def finish(self):
        """Close as soon as all output is with the kernel."""
        if self.fd < 0:
            return 0
        if self.pending() == 0:
            return self.close()
        self.finishing = FINISH_CLOSE
        self.reading = False
        return 0

    def finish_sending(self):
        """Close our direction as soon as all output is with the kernel; the other stays open."""
        if self.fd < 0:
            return 0
        if self.pending() == 0:
            if self.tls is not None:
                self.tls.close(self)
            shutdown(self.fd, SHUT_WR)
            return 0
        self.finishing = FINISH_SENDING
        return 0

    def close(self):
        """Close now (the descriptor lives until the turn ends); unsent output is dropped."""
        if self.fd < 0:
            return 0
        fd: cython.int = self.fd
        handler: Handler = self.handler
        if self.tls is not None:
            if self.pending() == 0:  # else what was sent is not the whole, and must not look so
                self.tls.close(self)
            self.trouble = self.tls.failure or None
            self.tls.let_go()
            self.tls = None
        self.host.detach(self)
        self.fd = -1
        self.reading = False
        self.slices = 0
        if self.chain.bytes:
            self.host.arena.chain_clear(cython.address(self.chain))
        if self.pipe is not None:
            self.host.pipes.give_back(self.pipe)
            self.pipe = None
        self.sink = None
        self.handler = None
        self.host.departed.append(handler)
        self.host.close_later(fd)
        return handler.on_closed()

    def reset(self):
        """Close so that the peer sees a reset: it must not take what it got for the whole."""
        linger: cython.int[2]
        if self.fd >= 0:
            if self.tls is not None:
                self.tls.let_go()  # nothing more is said
                self.tls = None
            linger[0] = 1
            linger[1] = 0
            setsockopt(self.fd, SOL_SOCKET, SO_LINGER, cython.address(linger[0]), 8)
        return self.close()


@cython.cclass
class Host:
    """What a connection needs of the loop that hosts it."""

    def attach(self, fd, handler, role):
        raise NotImplementedError

    def detach(self, connection):
        raise NotImplementedError

    def expect(self, connection):
        raise NotImplementedError

    def turn_memory(self, size):
        raise NotImplementedError

    def release(self, block):
        self.trash.append(block)
        return 0

    def close_later(self, fd):
        self.trash.append(-fd - 1)
        return 0
