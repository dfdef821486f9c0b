"""The turn: read all, decide all, flush all.

An epoll set of its own, edge-triggered, whose descriptor the worker's uvloop watches as one reader.
A turn takes what epoll says, reads every readable connection once (one batch), lets the handlers
decide and queue output, then sends (one batch). Handlers never read or send.
"""

import cython
from cython.cimports.worker.plane.batch import BATCH, SLOT_BYTES
from cython.cimports.worker.plane.connection import (
    FINISH_CLOSE,
    FINISH_SENDING,
    ROLE_CONNECTING,
    ROLE_LISTENER,
    ROLE_STREAM,
)
from cython.cimports.worker.plane.splice import NOT_SPLICED, splice_in, splice_out
from cython.cimports.worker.plane.syscalls import (
    EAGAIN,
    ECONNRESET,
    EINTR,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    SO_ERROR,
    SOL_SOCKET,
    epoll_wait,
    getsockopt,
    socklen_t,
)

EVENTS = cython.declare(cython.int, 256)
ROUNDS = cython.declare(cython.int, 8)  # turns before uvloop gets its share
OUT = cython.declare(cython.uint, EPOLLOUT)
ERR = cython.declare(cython.uint, EPOLLERR)
HUP = cython.declare(cython.uint, EPOLLHUP)
DECIDED = cython.declare(cython.longlong, -(1 << 40))


@cython.cclass
class Reactor(Roster):
    """The one implementation of Host."""

    def __cinit__(self, arena, on_fault):
        self.on_fault = on_fault
        self.batch = Batch(self)

    def use_batch(self, batch: Batch) -> None:
        """Move bytes by another form of the batch (io_uring)."""
        self.batch = batch

    # ---- the turn

    def ready(self):
        """Do what there is to do; True when there is more and the caller should come back at once."""
        rounds: cython.int = 0
        until_ms: cython.longlong = 0
        if self.turning:
            return False
        self.turning = True
        try:
            while rounds < ROUNDS or self.now_ms < until_ms:
                if not self.turn(self.patience_ms if rounds else 0):
                    return False
                if rounds == 0:
                    until_ms = self.now_ms + self.patience_ms
                rounds += 1
            return True
        finally:
            self.turning = False

    def settle_now(self):
        """Send what was queued outside a turn (a hook came back, a drain began)."""
        if not self.turning:
            self.flush()
            self.sweep()
            for connection in self.wanted or self.dirty:
                if cython.cast(Connection, connection).fd >= 0:
                    self.nudge(connection)
                    break
        return 0

    def turn(self, patience_ms):
        """One turn, which waits so long for something to do; returns whether anything was done."""
        busy: cython.int = self.collect(0 if self.dirty or self.wanted else patience_ms)
        if self.wanted:
            busy = 1
            self.read_all()
        self.expire()
        self.flush()
        self.sweep()
        return busy or len(self.dirty) > 0 or len(self.wanted) > 0

    def collect(self, patience_ms):
        """Take what epoll says; returns whether it said anything."""
        i: cython.int
        count: cython.int
        connection: Connection
        with cython.nogil:  # other threads, such as the reporter's, go on
            count = epoll_wait(self.epoll, self.events, EVENTS, patience_ms)
        self.read_clock()
        for i in range(count):
            connection = self.connections[cython.cast(cython.int, self.events[i].data.u64)]
            if connection is None or connection.fd < 0:
                continue
            try:
                self.note(connection, self.events[i].events)
            except Exception as error:
                self.fault(connection, error)
        return count > 0

    def note(self, connection, events):
        """Remember what epoll said of one connection; the rare events are handled here."""
        problem: cython.int = 0
        size: socklen_t = 4
        handler: Handler = connection.handler
        if connection.role == ROLE_LISTENER:
            return handler.on_acceptable()
        if connection.role == ROLE_CONNECTING:
            if not events & (OUT | ERR | HUP):
                return 0
            getsockopt(
                connection.fd, SOL_SOCKET, SO_ERROR, cython.address(problem), cython.address(size)
            )
            if problem or events & HUP:
                return handler.on_failed(problem or ECONNRESET)
            connection.role = ROLE_STREAM
            connection.reading = True
            connection.writable = True
            handler.on_connected()
        if events & (ERR | HUP):
            connection.failed = True
            connection.readable = True
            # An origin's last bytes may still be in the socket: they are read first, once there is room.
            if not connection.reading and connection.fd >= 0 and not handler.eager:
                return handler.on_failed(ECONNRESET)
        if events & EPOLLRDHUP:
            connection.peer_done = True
            connection.readable = True
        if events & EPOLLIN:
            connection.readable = True
        if connection.readable and connection.reading and not connection.listed:
            connection.listed = True
            self.wanted.append(connection)
        if events & OUT and not connection.writable:
            connection.writable = True
            if connection.tls is not None:
                connection.tls.took_bytes(connection)
            if connection.chain.bytes or connection.pipe is not None:
                connection.mark_dirty()
        return 0

    def read_all(self):
        """One batch of reads, then the decisions: upstream sides first, they free what downstream needs."""
        i: cython.int
        batch: Batch = self.batch
        connection: Connection
        wanted: list = self.wanted
        self.wanted = []
        batch.connections = []
        for i in range(cython.cast(cython.int, len(wanted))):
            connection = wanted[i]
            if i >= BATCH and connection.fd >= 0:
                self.wanted.append(connection)
                continue
            connection.listed = False
            if connection.fd < 0 or not connection.reading:
                continue
            if connection.sink is None or not self.pass_on(connection):
                batch.connections.append(connection)
        batch.count = cython.cast(cython.int, len(batch.connections))
        if batch.count == 0:
            return 0
        batch.receive()
        if self.secured:
            self.tell_secured()
        for i in range(batch.count):
            connection = batch.connections[i]
            if connection.fd >= 0 and connection.handler.eager:
                self.decide(i)
        for i in range(batch.count):
            connection = batch.connections[i]
            if connection.fd >= 0 and not connection.handler.eager:
                self.decide(i)
        return 0

    def tell_secured(self):
        """Handlers whose connection has become secure hear of it before they see its bytes."""
        connection: Connection
        handler: Handler
        ready: list = self.secured
        self.secured = []
        for connection in ready:
            if connection.fd >= 0:
                handler = connection.handler  # held: it may put another one in its place
                try:
                    handler.on_secured()
                except Exception as error:
                    self.fault(connection, error)
        return 0

    def decide(self, i):
        """Hand what was read to the handler."""
        batch: Batch = self.batch
        size: cython.longlong = batch.size[i]
        if size == DECIDED:
            return 0
        batch.size[i] = DECIDED  # a handler that is exchanged meanwhile must not see it twice
        return self.tell(batch.connections[i], batch.offset[i], size)

    def pass_on(self, connection):
        """Read a connection that has a sink; False: it must be read in the ordinary way."""
        size: cython.longlong = splice_in(connection)
        if size == NOT_SPLICED:
            return False
        self.tell(connection, 0, size)
        return True

    def tell(self, connection, offset, size):
        """What a read gave: bytes in memory, bytes in a pipe (no offset), the end, or an error."""
        handler: Handler = connection.handler  # held: it may let go of its connection meanwhile
        connection.trickling = size < SLOT_BYTES
        try:
            if size > 0 and offset:
                connection.bytes_in += size
                self.settle(connection, size)
                handler.on_data(offset, size)
            elif size > 0:  # whether the socket is empty now, only another read can say
                connection.listed = True
                self.wanted.append(connection)
                handler.on_spliced(size)
            elif size == 0:
                connection.readable = False
                connection.peer_done = True
                handler.on_eof()
            elif size == -EAGAIN or size == -EINTR:
                connection.readable = size == -EINTR
            else:
                connection.readable = False
                handler.on_failed(cython.cast(cython.int, -size))
        except Exception as error:
            self.fault(connection, error)
        return 0

    def settle(self, connection, size):
        """After a read that filled its slot, or with an end in sight, there is more to read."""
        if connection.tls is not None:  # a layer keeps `readable` itself
            if connection.readable and connection.reading and not connection.listed:
                connection.listed = True
                self.wanted.append(connection)
        elif size < SLOT_BYTES and not connection.peer_done and not connection.failed:
            connection.readable = False  # epoll(7): a short read has emptied the socket
        elif connection.reading and not connection.listed:
            connection.listed = True
            self.wanted.append(connection)
        return 0

    def expire(self):
        """Tell the handlers whose deadline has passed."""
        connection: Connection
        handler: Handler
        index: cython.int = self.wheel.expire(self.now_ms)
        while index >= 0:
            connection = self.connections[index]
            if connection is not None and connection.deadline_ms:
                if connection.deadline_ms > self.now_ms:
                    self.wheel.put(index, connection.deadline_ms)
                else:
                    connection.deadline_ms = 0
                    handler = connection.handler
                    try:
                        handler.on_deadline()
                    except Exception as error:
                        self.fault(connection, error)
            index = self.wheel.expire(self.now_ms)
        return 0

    def flush(self):
        """Send all that is queued; what the handlers queue on being told so is sent too."""
        waves: cython.int = 0
        while self.dirty and waves < ROUNDS:
            self.flush_wave()
            waves += 1
        for connection in self.dirty:  # the next turn's; this turn's memory is not theirs any more
            cython.cast(Connection, connection).keep_unsent(0)
        return 0

    def flush_wave(self):
        """One batch of writes; what is in a connection's pipe goes before the rest of its output."""
        i: cython.int
        problem: cython.int
        batch: Batch = self.batch
        connection: Connection
        wave: list = self.dirty
        self.dirty = []
        batch.connections = []
        for i in range(cython.cast(cython.int, len(wave))):
            connection = wave[i]
            if i >= BATCH:
                self.dirty.append(connection)
                continue
            connection.dirty = False
            if connection.fd < 0:
                continue
            problem = 0
            if connection.writable and connection.pipe is not None:
                problem = splice_out(connection)
            if connection.writable and problem == 0:
                batch.connections.append(connection)
            else:
                self.sent(connection, 0, -problem)
        batch.count = cython.cast(cython.int, len(batch.connections))
        if batch.count:
            batch.send()
        for i in range(batch.count):
            connection = batch.connections[i]
            if connection.fd >= 0:
                self.sent(connection, batch.offset[i], batch.size[i])
        return 0

    def sent(self, connection, shown, size):
        """Account for what the kernel took, and tell the handler when that changes anything."""
        handler: Handler = connection.handler
        failed: cython.bint = size < 0 and size != -EAGAIN and size != -EINTR
        if size == -EAGAIN or 0 <= size < shown:
            connection.writable = False  # an EPOLLOUT edge will come
        size = max(size, 0)
        try:
            if failed:
                return handler.on_failed(ECONNRESET)
            connection.keep_unsent(size)
            if connection.chain.bytes or connection.pipe is not None:
                if connection.writable:  # only the first vectors were shown
                    connection.mark_dirty()
                if not connection.blocked:
                    connection.blocked = True
                    return handler.on_blocked()
            elif connection.finishing == FINISH_CLOSE:
                return connection.close()
            elif connection.finishing == FINISH_SENDING:
                connection.finishing = 0
                return connection.finish_sending()
            elif connection.blocked:
                connection.blocked = False
                return handler.on_drained()
        except Exception as error:
            self.fault(connection, error)
        return 0

    def fault(self, connection, error):
        """A handler raised: that connection ends, the others never notice."""
        what: str = repr(connection)
        handler: Handler = connection.handler
        if (
            connection.role == ROLE_LISTENER
        ):  # it is the master's, and the next client may fare better
            self.on_fault(error, what)
            return 0
        connection.close()
        self.on_fault(error, what)
        if handler is not None:
            try:
                handler.on_failed(0)
            except Exception as second:
                self.on_fault(second, what)
        return 0
