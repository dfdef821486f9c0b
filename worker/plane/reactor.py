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
from cython.cimports.worker.plane.syscalls import (
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    EAGAIN,
    ECONNRESET,
    EINTR,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    SO_ERROR,
    SOL_SOCKET,
    clock_gettime,
    close,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    errno,
    getsockopt,
    socklen_t,
    timespec,
)

EVENTS = cython.declare(cython.int, 256)
ROUNDS = cython.declare(cython.int, 8)  # turns before uvloop gets its share
SCRATCH_BYTES = cython.declare(cython.longlong, 1 << 20)
DECIDED = cython.declare(cython.longlong, -(1 << 40))


@cython.cclass
class Reactor(Host):
    """The one implementation of Host."""

    def __cinit__(self, arena, on_fault):
        self.arena = arena
        self.on_fault = on_fault
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")
        self.connections = []
        self.wanted = []
        self.dirty = []
        self.trash = []
        self.free_indices = []
        self.retired_indices = []
        self.scratch = self.arena.reserve(SCRATCH_BYTES)
        self.read_clock()
        self.wheel = Wheel(self.now_ms)
        self.batch = Batch(self)

    def __dealloc__(self):
        if self.epoll >= 0:
            close(self.epoll)

    def use_batch(self, batch: Batch) -> None:
        """Move bytes by another form of the batch (io_uring)."""
        self.batch = batch

    # ---- what Host promises

    def attach(self, fd, handler, role):
        """Watch a descriptor; it is ours from now on."""
        connection: Connection = Connection.__new__(Connection)
        event: epoll_event
        connection.host = self
        connection.fd = fd
        connection.role = role
        connection.handler = handler
        handler.connection = connection
        connection.reading = role == ROLE_STREAM
        connection.writable = role == ROLE_STREAM
        connection.id = self.next_id
        self.next_id += 1
        if self.free_indices:
            connection.index = self.free_indices.pop()
            self.connections[connection.index] = connection
        else:
            connection.index = cython.cast(cython.int, len(self.connections))
            self.connections.append(connection)
        self.open_connections += 1
        event.data.u64 = connection.index
        event.events = EPOLLIN
        if role != ROLE_LISTENER:  # a listener's queue may be longer than one turn accepts
            event.events = (
                cython.cast(cython.uint, EPOLLIN)
                | cython.cast(cython.uint, EPOLLOUT)
                | cython.cast(cython.uint, EPOLLRDHUP)
                | cython.cast(cython.uint, EPOLLET)
            )
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, cython.address(event)) < 0:
            raise OSError(errno, "epoll_ctl")
        return connection

    def detach(self, connection):
        """Forget a connection without closing its descriptor."""
        event: epoll_event
        index: cython.int = connection.index
        # A listener's open file lives on in other processes: closing our descriptor would not end the watch.
        if connection.role == ROLE_LISTENER:
            epoll_ctl(self.epoll, EPOLL_CTL_DEL, connection.fd, cython.address(event))
        self.wheel.remove(index)
        self.connections[index] = None
        self.retired_indices.append(index)
        self.open_connections -= 1
        return 0

    def expect(self, connection):
        """Its deadline was set: have the wheel look at it in time."""
        return self.wheel.put(connection.index, connection.deadline_ms)

    def turn_memory(self, size):
        """Memory for output, valid until the turn ends."""
        offset: cython.longlong = self.scratch + self.scratch_used
        if self.scratch_used + size > SCRATCH_BYTES:
            offset = self.arena.alloc(size)
            self.trash.append(offset)
            return offset
        self.scratch_used += size
        return offset

    # ---- the turn

    def ready(self):
        """Do what there is to do; True when there is more and the caller should come back at once."""
        _rounds: cython.int
        if self.turning:
            return False
        self.turning = True
        try:
            for _rounds in range(ROUNDS):
                if not self.turn():
                    return False
            return True
        finally:
            self.turning = False

    def settle_now(self):
        """Send what was queued outside a turn (a hook came back, a drain began)."""
        if not self.turning:
            self.flush()
            self.sweep()
        return 0

    def read_clock(self):
        time: timespec
        clock_gettime(CLOCK_MONOTONIC, cython.address(time))
        self.now_us = time.tv_sec * 1000000 + time.tv_nsec // 1000
        self.now_ms = self.now_us // 1000
        clock_gettime(CLOCK_REALTIME, cython.address(time))
        self.wall_us = time.tv_sec * 1000000 + time.tv_nsec // 1000
        return 0

    def turn(self):
        """One turn; returns whether anything was done."""
        busy: cython.int = self.collect()
        if self.wanted:
            busy = 1
            self.read_all()
        self.expire()
        self.flush()
        self.sweep()
        return busy or len(self.dirty) > 0 or len(self.wanted) > 0

    def collect(self):
        """Take what epoll says; returns whether it said anything."""
        i: cython.int
        count: cython.int = epoll_wait(self.epoll, self.events, EVENTS, 0)
        connection: Connection
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
        if connection.role == ROLE_LISTENER:
            return connection.handler.on_acceptable()
        if connection.role == ROLE_CONNECTING:
            if not events & (
                cython.cast(cython.uint, EPOLLOUT)
                | cython.cast(cython.uint, EPOLLERR)
                | cython.cast(cython.uint, EPOLLHUP)
            ):
                return 0
            getsockopt(
                connection.fd, SOL_SOCKET, SO_ERROR, cython.address(problem), cython.address(size)
            )
            if problem or events & cython.cast(cython.uint, EPOLLHUP):
                return connection.handler.on_failed(problem or ECONNRESET)
            connection.role = ROLE_STREAM
            connection.reading = True
            connection.writable = True
            connection.handler.on_connected()
        if events & (cython.cast(cython.uint, EPOLLERR) | cython.cast(cython.uint, EPOLLHUP)):
            connection.failed = True
            connection.readable = True
            if not connection.reading and connection.fd >= 0:
                return connection.handler.on_failed(ECONNRESET)
        if events & cython.cast(cython.uint, EPOLLRDHUP):
            connection.peer_done = True
            connection.readable = True
        if events & cython.cast(cython.uint, EPOLLIN):
            connection.readable = True
        if connection.readable and connection.reading and not connection.listed:
            connection.listed = True
            self.wanted.append(connection)
        if events & cython.cast(cython.uint, EPOLLOUT) and not connection.writable:
            connection.writable = True
            if connection.chain.bytes:
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
            if connection.fd >= 0 and connection.reading:
                batch.connections.append(connection)
        batch.count = cython.cast(cython.int, len(batch.connections))
        if batch.count == 0:
            return 0
        batch.receive()
        for i in range(batch.count):
            connection = batch.connections[i]
            if connection.fd >= 0 and connection.handler.eager:
                self.decide(i)
        for i in range(batch.count):
            connection = batch.connections[i]
            if connection.fd >= 0 and not connection.handler.eager:
                self.decide(i)
        return 0

    def decide(self, i):
        """Hand what was read to the handler."""
        batch: Batch = self.batch
        connection: Connection = batch.connections[i]
        size: cython.longlong = batch.size[i]
        if size == DECIDED:
            return 0
        batch.size[i] = DECIDED  # a handler that is exchanged meanwhile must not see it twice
        try:
            if size > 0:
                connection.bytes_in += size
                self.settle(connection, size)
                connection.handler.on_data(batch.offset[i], size)
            elif size == 0:
                connection.readable = False
                connection.peer_done = True
                connection.handler.on_eof()
            elif size == -EAGAIN or size == -EINTR:
                connection.readable = size == -EINTR
            else:
                connection.readable = False
                connection.handler.on_failed(cython.cast(cython.int, -size))
        except Exception as error:
            self.fault(connection, error)
        return 0

    def settle(self, connection, size):
        """After a read that filled its slot, or with an end in sight, there is more to read."""
        if size < SLOT_BYTES and not connection.peer_done and not connection.failed:
            connection.readable = False  # epoll(7): a short read has emptied the socket
        elif connection.reading and not connection.listed:
            connection.listed = True
            self.wanted.append(connection)
        return 0

    def expire(self):
        """Tell the handlers whose deadline has passed."""
        connection: Connection
        index: cython.int = self.wheel.expire(self.now_ms)
        while index >= 0:
            connection = self.connections[index]
            if connection is not None and connection.deadline_ms:
                if connection.deadline_ms > self.now_ms:
                    self.wheel.put(index, connection.deadline_ms)
                else:
                    connection.deadline_ms = 0
                    try:
                        connection.handler.on_deadline()
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
        return 0

    def flush_wave(self):
        i: cython.int
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
            if connection.writable:
                batch.connections.append(connection)
            else:
                self.sent(connection, 0, 0)
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
        failed: cython.bint = size < 0 and size != -EAGAIN and size != -EINTR
        if size == -EAGAIN or 0 <= size < shown:
            connection.writable = False  # an EPOLLOUT edge will come
        size = max(size, 0)
        try:
            if failed:
                return connection.handler.on_failed(ECONNRESET)
            connection.keep_unsent(size)
            if connection.chain.bytes:
                if connection.writable:  # only the first vectors were shown
                    connection.mark_dirty()
                if not connection.blocked:
                    connection.blocked = True
                    return connection.handler.on_blocked()
            elif connection.finishing == FINISH_CLOSE:
                return connection.close()
            elif connection.finishing == FINISH_SENDING:
                connection.finishing = 0
                return connection.finish_sending()
            elif connection.blocked:
                connection.blocked = False
                return connection.handler.on_drained()
        except Exception as error:
            self.fault(connection, error)
        return 0

    def sweep(self):
        """The turn is over: its memory and closed descriptors go."""
        item: cython.longlong
        if self.trash:
            for thing in self.trash:
                item = thing
                if item < 0:
                    close(cython.cast(cython.int, -item - 1))
                else:
                    self.arena.free(item)
            self.trash.clear()
        if self.retired_indices:
            self.free_indices.extend(self.retired_indices)
            self.retired_indices.clear()
        self.scratch_used = 0
        return 0

    def fault(self, connection, error):
        """A handler raised: that connection ends, the others never notice."""
        what: str = repr(connection)
        handler: Handler = connection.handler
        connection.close()
        self.on_fault(error, what)
        if handler is not None:
            try:
                handler.on_failed(0)
            except Exception as second:
                self.on_fault(second, what)
        return 0
