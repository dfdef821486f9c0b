"""The batch in which all reads of a turn are one system call, and all writes another.

io_uring serves only to make many calls in one: every operation is non-blocking (MSG_DONTWAIT) and
complete when the submission returns, so no memory is the kernel's between turns and nothing wakes us.
"""

import array
import socket

import cython
from cython.cimports.libc.string import memset
from cython.cimports.worker.plane.batch import BATCH, describe_message, fill_vectors, last_words
from cython.cimports.worker.plane.buffer import Arena
from cython.cimports.worker.plane.connection import FINISH_CLOSE, Connection
from cython.cimports.worker.plane.reactor import Reactor
from cython.cimports.worker.plane.syscalls import (
    EAGAIN,
    ECANCELED,
    EINTR,
    EINVAL,
    EPERM,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    close,
    errno,
    iovec,
)
from cython.cimports.worker.plane.uring import (
    IORING_ENTER_GETEVENTS,
    IORING_FEAT_SINGLE_MMAP,
    IORING_OFF_SQ_RING,
    IORING_OFF_SQES,
    IORING_OP_ASYNC_CANCEL,
    IORING_OP_RECV,
    IORING_OP_SEND,
    IORING_OP_SENDMSG,
    IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_SINGLE_ISSUER,
    IORING_SETUP_SUBMIT_ALL,
    MAP_FAILED,
    MAP_POPULATE,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    io_uring_cqe,
    io_uring_params,
    io_uring_sqe,
    mmap,
    munmap,
    pingpy_load_acquire,
    pingpy_store_release,
    pingpy_uring_enter,
    pingpy_uring_setup,
)

CANCELLING = cython.declare(
    cython.longlong, 1 << 40
)  # marks a cancellation, whose outcome is nobody's


@cython.cclass
class Ring:
    """One submission queue and its completions. Raises OSError when the kernel or a filter refuses it."""

    def __cinit__(self):
        problem: cython.int
        self.fd = -1
        # The first form (Linux 6.1) spares locks; the second (5.18) goes on behind an operation that is refused.
        problem = self.set_up(
            IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN
        )
        if problem == EINVAL:
            problem = self.set_up(IORING_SETUP_SUBMIT_ALL)
        if problem == EINVAL:
            problem = self.set_up(0)
        if problem:
            raise OSError(problem, "io_uring is refused")

    def __dealloc__(self):
        self.give_up()
        if self.queues != cython.NULL:
            munmap(self.queues, self.queues_bytes)
        if self.entries != cython.NULL:
            munmap(self.entries, self.entry_count * cython.sizeof(io_uring_sqe))

    def set_up(self, flags):
        params: io_uring_params
        memset(cython.address(params), 0, cython.sizeof(io_uring_params))
        params.flags = flags
        self.fd = pingpy_uring_setup(BATCH, cython.address(params))
        if self.fd < 0:
            return errno
        if not params.features & cython.cast(cython.uint, IORING_FEAT_SINGLE_MMAP):
            return EPERM
        return 0 if self.map_queues(cython.address(params)) else errno

    def map_queues(self, params):
        """Map both queues and the entries; False with errno when that fails."""
        index: cython.pointer(cython.uint)
        memory: cython.p_void
        i: cython.uint
        results_end: cython.size_t = params.cq_off.cqes + params.cq_entries * cython.sizeof(
            io_uring_cqe
        )
        index_end: cython.size_t = params.sq_off.array + params.sq_entries * cython.sizeof(
            cython.uint
        )
        access: cython.int = PROT_READ | PROT_WRITE
        kind: cython.int = MAP_SHARED | MAP_POPULATE
        self.entry_count = params.sq_entries
        self.result_count = params.cq_entries
        self.queues_bytes = max(results_end, index_end)
        memory = mmap(cython.NULL, self.queues_bytes, access, kind, self.fd, IORING_OFF_SQ_RING)
        if memory == MAP_FAILED:
            return False
        self.queues = cython.cast(cython.p_char, memory)
        memory = mmap(
            cython.NULL,
            self.entry_count * cython.sizeof(io_uring_sqe),
            access,
            kind,
            self.fd,
            IORING_OFF_SQES,
        )
        if memory == MAP_FAILED:
            return False
        self.entries = cython.cast(cython.pointer(io_uring_sqe), memory)
        self.taken = cython.cast(cython.pointer(cython.uint), self.queues + params.sq_off.head)
        self.given = cython.cast(cython.pointer(cython.uint), self.queues + params.sq_off.tail)
        self.seen = cython.cast(cython.pointer(cython.uint), self.queues + params.cq_off.head)
        self.done = cython.cast(cython.pointer(cython.uint), self.queues + params.cq_off.tail)
        self.results = cython.cast(cython.pointer(io_uring_cqe), self.queues + params.cq_off.cqes)
        index = cython.cast(cython.pointer(cython.uint), self.queues + params.sq_off.array)
        for i in range(self.entry_count):
            index[i] = i
        return True

    def prepare(self, opcode, fd, at, size, flags, mark):
        """Queue an operation; the kernel sees it when the ring runs. At most BATCH of them."""
        entry: cython.pointer(io_uring_sqe)
        if self.next - self.given[0] >= self.entry_count:
            raise IndexError("more operations than the ring has entries")
        entry = cython.address(self.entries[self.next & (self.entry_count - 1)])
        entry.opcode = cython.cast(cython.uchar, opcode)
        entry.fd = fd
        entry.addr = cython.cast(cython.ulonglong, at)
        entry.len = cython.cast(cython.uint, size)
        entry.msg_flags = flags
        entry.user_data = cython.cast(cython.ulonglong, mark)
        self.next += 1
        return 0

    def run(self, outcome):
        """Have the kernel do what was prepared; outcome[mark] is set for each operation that it took.

        What it did not take, because the call itself failed, keeps its outcome; the ring is given up then.
        """
        first: cython.uint = self.given[0]
        left: cython.uint = self.next - first
        taken: cython.int
        missing: cython.int = 0
        pingpy_store_release(self.given, self.next)
        while left:
            taken = pingpy_uring_enter(self.fd, left, 0, 0)
            if taken <= 0 and (taken == 0 or errno != EINTR):
                break
            if taken > 0:
                left -= taken
                missing += taken
        if left:  # the kernel never saw these: the plain calls do them
            self.next = pingpy_load_acquire(self.taken)
            pingpy_store_release(self.given, self.next)
        missing -= self.reap(outcome)
        if missing:
            self.take_back(outcome, first, missing)
        if missing or left:
            self.give_up()
        return 0

    def reap(self, outcome):
        """Take note of what is complete; returns how many operations that were."""
        at: cython.uint = self.seen[0]
        end: cython.uint = pingpy_load_acquire(self.done)
        count: cython.int = cython.cast(cython.int, end - at)
        result: cython.pointer(io_uring_cqe)
        while at != end:
            result = cython.address(self.results[at & (self.result_count - 1)])
            if result.user_data < CANCELLING:
                outcome[cython.cast(cython.Py_ssize_t, result.user_data)] = (
                    result.res if result.res != -ECANCELED else -EAGAIN
                )
            at += 1
        pingpy_store_release(self.seen, at)
        return count

    def take_back(self, outcome, first, missing):
        """Operations are under way, which none should be: end them and wait, the memory must be ours again."""
        last: cython.uint = self.next
        mark: cython.ulonglong
        left: cython.uint
        entered: cython.int
        while first != last:
            mark = self.entries[first & (self.entry_count - 1)].user_data
            first += 1
            if outcome[cython.cast(cython.Py_ssize_t, mark)] == NOT_DONE:
                self.prepare(
                    IORING_OP_ASYNC_CANCEL, -1, cython.cast(cython.p_void, mark), 0, 0, CANCELLING
                )
        left = self.next - last
        missing += left
        pingpy_store_release(self.given, self.next)
        while missing > 0:
            entered = pingpy_uring_enter(self.fd, left, 1, IORING_ENTER_GETEVENTS)
            if entered < 0 and errno != EINTR:
                raise OSError(errno, "io_uring does not give memory back")
            left -= max(entered, 0)
            missing -= self.reap(outcome)
        return 0

    def give_up(self):
        """Close the ring; nothing of ours is the kernel's any more."""
        if self.fd >= 0:
            close(self.fd)
            self.fd = -1
        return 0


@cython.cclass
class UringBatch(Batch):
    """Make it in the thread and process that will use it. Raises OSError where io_uring cannot be had."""

    def __cinit__(self, host):
        self.name = "io_uring"
        self.ring = Ring()
        self.flags = MSG_DONTWAIT
        self.few = 2
        self.outcome = array.array("q", [0]) * BATCH
        self.prove()

    def prove(self):
        """All three operations, once, between two sockets of our own: a kernel may have a ring and not these."""
        pair = socket.socketpair()
        memory: cython.longlong = self.slots
        arena = self.host.arena
        try:
            fd: cython.int = pair[0].fileno()
            peer: cython.int = pair[1].fileno()
            self.outcome[0] = self.outcome[1] = self.outcome[2] = NOT_DONE
            self.vectors[0].iov_base = arena.base + memory
            self.vectors[0].iov_len = 1
            describe_message(cython.address(self.messages[0]), self.vectors, 1)
            self.ring.prepare(IORING_OP_SEND, fd, arena.base + memory, 1, self.flags, 0)
            self.ring.prepare(
                IORING_OP_SENDMSG, fd, cython.address(self.messages[0]), 1, self.flags, 1
            )
            self.ring.prepare(IORING_OP_RECV, peer, arena.base + memory, 2, self.flags, 2)
            self.ring.run(self.outcome)
        finally:
            pair[0].close()
            pair[1].close()
        if self.outcome[0] != 1 or self.outcome[1] != 1 or self.outcome[2] != 2:
            raise OSError(EPERM, "io_uring cannot send and receive")
        return 0

    def receive(self):
        i: cython.int
        connection: Connection
        if self.count <= self.few or self.ring.fd < 0:
            return Batch.receive(self)
        self.prepare()
        for i in range(self.count):
            connection = self.connections[i]
            self.outcome[i] = NOT_DONE
            if connection.tls is not None:  # libssl does its own calls
                continue
            self.ring.prepare(
                IORING_OP_RECV,
                connection.fd,
                self.host.arena.base + self.offset[i],
                self.size[i],
                self.flags,
                i,
            )
        self.ring.run(self.outcome)
        for i in range(self.count):
            if self.outcome[i] == NOT_DONE:
                self.receive_one(i)
            else:
                self.size[i] = self.outcome[i]
        return 0

    def send(self):
        i: cython.int
        if self.count <= self.few or self.ring.fd < 0:
            return Batch.send(self)
        for i in range(self.count):
            self.outcome[i] = NOT_DONE
            self.prepare_send(i)
        self.ring.run(self.outcome)
        for i in range(self.count):
            if self.outcome[i] == NOT_DONE:
                self.send_one(i)
            else:
                self.size[i] = self.outcome[i]
        return 0

    def prepare_send(self, i):
        """Queue the i-th connection's output; vectors and message stay where they are until the ring has run."""
        j: cython.int
        count: cython.int
        connection: Connection = self.connections[i]
        vectors: cython.pointer(iovec) = cython.address(self.vectors[8 * i])
        flags: cython.uint = self.flags | cython.cast(cython.uint, MSG_NOSIGNAL)
        if connection.tls is not None:
            return 0  # NOT_DONE: the plain form has libssl do it
        self.offset[i] = 0
        count = fill_vectors(self.host, connection, vectors)
        if count == 0:
            self.outcome[i] = 0
            return 0
        flags |= last_words(connection, count)
        for j in range(count):
            self.offset[i] += vectors[j].iov_len
        if count == 1:
            return self.ring.prepare(
                IORING_OP_SEND, connection.fd, vectors[0].iov_base, vectors[0].iov_len, flags, i
            )
        describe_message(cython.address(self.messages[i]), vectors, count)
        return self.ring.prepare(
            IORING_OP_SENDMSG, connection.fd, cython.address(self.messages[i]), 1, flags, i
        )

    # ---- doors for tests

    def usable(self) -> bool:
        """Whether the ring still serves."""
        return self.ring.fd >= 0

    def operations(self) -> int:
        """How many operations the ring was ever given."""
        return self.ring.next

    def receive_from(self, fds: list, wait: bool = False) -> list:
        """One `receive` of these descriptors: bytes, or a negative errno. `wait`: as if MSG_DONTWAIT were not known."""
        self.flags = 0 if wait else MSG_DONTWAIT
        self.take_descriptors(fds)
        self.receive()
        return [
            self.host.arena.take(self.offset[i], self.size[i])
            if self.size[i] >= 0
            else self.size[i]
            for i in range(self.count)
        ]

    def send_to(self, fds: list, pieces: list, last: bool = False) -> list:
        """One `send` to these descriptors, of a list of pieces each; what each call said. `last`: they close then."""
        i: cython.int
        at: cython.longlong = self.slots
        connection: Connection
        self.take_descriptors(fds)
        for i in range(self.count):
            connection = self.connections[i]
            connection.finishing = FINISH_CLOSE if last else 0
            for piece in pieces[i]:
                connection.slice_offset[connection.slices] = at
                connection.slice_size[connection.slices] = self.host.arena.put(at, piece)
                connection.slices += 1
                at += len(piece)
        self.send()
        return [self.size[i] for i in range(self.count)]

    def take_descriptors(self, fds: list) -> None:
        """Make the batch of these descriptors, without a reactor."""
        connection: Connection
        self.connections = []
        for fd in fds:
            connection = Connection.__new__(Connection)
            connection.fd = fd
            self.connections.append(connection)
        self.count = len(fds)


def refusal() -> str:
    """Why there is no io_uring for us on this host; "" when there is."""
    try:
        UringBatch(Reactor(Arena(1 << 26), None))
    except OSError as error:
        return error.strerror or str(error)
    return ""
