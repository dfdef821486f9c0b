"""Which connections there are: their places in the table, their watch in the epoll set, what dies with the turn."""

import cython
from cython.cimports.worker.plane.connection import ROLE_LISTENER, ROLE_STREAM, Connection
from cython.cimports.worker.plane.pipe import Pipes
from cython.cimports.worker.plane.syscalls import (
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    clock_gettime,
    close,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    errno,
    timespec,
)

SCRATCH_BYTES = cython.declare(cython.longlong, 1 << 20)
WATCHED = cython.declare(
    cython.uint, cython.cast(cython.uint, EPOLLIN | EPOLLOUT | EPOLLRDHUP) | (1 << 31)
)  # the last is EPOLLET


@cython.cclass
class Roster(Host):
    """The connections of one reactor, and the memory of its turn."""

    def __cinit__(self, arena, on_fault):
        self.arena = arena
        self.epoll = epoll_create1(EPOLL_CLOEXEC)
        if self.epoll < 0:
            raise OSError(errno, "epoll_create1")
        self.connections = []
        self.wanted = []
        self.dirty = []
        self.secured = []
        self.trash = []
        self.pipes = Pipes()
        self.departed = []
        self.free_indices = []
        self.retired_indices = []
        self.scratch = self.arena.reserve(SCRATCH_BYTES)
        self.read_clock()
        self.wheel = Wheel(self.now_ms)

    def __dealloc__(self):
        if self.epoll >= 0:
            close(self.epoll)

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
        # A listener is level-triggered: its queue may be longer than one turn accepts.
        event.events = EPOLLIN if role == ROLE_LISTENER else WATCHED
        if epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, cython.address(event)) < 0:
            problem: cython.int = errno
            self.detach(connection)
            connection.fd = -1
            raise OSError(problem, "epoll_ctl")
        return connection

    def surrender(self, connection):
        """Give the descriptor up without closing it; returns it."""
        event: epoll_event
        fd: cython.int = connection.fd
        epoll_ctl(self.epoll, EPOLL_CTL_DEL, fd, cython.address(event))
        self.detach(connection)
        connection.fd = -1
        connection.handler = None
        return fd

    def nudge(self, connection):
        """Have epoll speak again of what it has said already: a turn is wanted, and nobody would come."""
        event: epoll_event
        event.data.u64 = connection.index
        event.events = WATCHED
        epoll_ctl(self.epoll, EPOLL_CTL_MOD, connection.fd, cython.address(event))
        return 0

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

    def read_clock(self):
        time: timespec
        clock_gettime(CLOCK_MONOTONIC, cython.address(time))
        self.now_us = time.tv_sec * 1000000 + time.tv_nsec // 1000
        self.now_ms = self.now_us // 1000
        clock_gettime(CLOCK_REALTIME, cython.address(time))
        self.wall_us = time.tv_sec * 1000000 + time.tv_nsec // 1000
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
        if self.departed:
            self.departed = []
        if self.retired_indices:
            self.free_indices.extend(self.retired_indices)
            self.retired_indices.clear()
        self.scratch_used = 0
        return 0
