"""The io_uring form of the batch: what it reads and writes, and that no memory stays with the kernel."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.plane.batch_uring import UringBatch
from worker.plane.buffer import Arena
from worker.plane.reactor import Reactor

ROOT = Path(__file__).resolve().parents[2]
Pair = tuple[socket.socket, socket.socket]


def make_batch() -> UringBatch:
    return UringBatch(Reactor(Arena(1 << 26), lambda error, where: None))


@pytest.fixture
def batch() -> UringBatch:
    try:
        return make_batch()
    except OSError as error:
        pytest.skip(f"io_uring is refused here: {error}")


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [socket.socketpair() for _ in range(20)]
    for pair in made:
        for end in pair:
            end.setblocking(False)
    yield made
    for pair in made:
        for end in pair:
            end.close()


def test_reads_many_sockets_at_once(batch: UringBatch, pairs: list[Pair]) -> None:
    for number, (near, _) in enumerate(pairs):
        near.send(b"%d" % number * (number + 1))
    got = batch.receive_from([far.fileno() for _, far in pairs])
    assert got == [b"%d" % number * (number + 1) for number in range(len(pairs))]
    assert batch.usable()


def test_says_what_recv_says_of_empty_closed_and_wrong_ones(
    batch: UringBatch, pairs: list[Pair]
) -> None:
    pairs[1][0].close()
    pairs[2][0].send(b"x")
    with open(os.devnull, "rb") as no_socket:
        fds = [pairs[0][1].fileno(), pairs[1][1].fileno(), no_socket.fileno(), pairs[2][1].fileno()]
        assert batch.receive_from(fds) == [-errno.EAGAIN, b"", -errno.ENOTSOCK, b"x"]
    assert batch.usable()


def tcp_pairs(count: int) -> list[Pair]:
    """Connected over loopback; the second end does not block."""
    made = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(count):
            near = socket.create_connection(listener.getsockname())
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far = accepted(listener, near)
            far.setblocking(False)
            made.append((near, far))
    return made


def accepted(listener: socket.socket, near: socket.socket) -> socket.socket:
    """The other end of this one; not of a stranger's, who looks for a server that had the port before us."""
    while True:
        far, _ = listener.accept()
        if far.getpeername() == near.getsockname():
            return far
        far.close()


def test_a_stranger_is_not_taken_for_the_other_end() -> None:
    """Else its end was reset when the listener closed, and what a test sent then said so."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stranger = socket.create_connection(listener.getsockname())
        near = socket.create_connection(listener.getsockname())
        far = accepted(listener, near)
    with stranger, near, far:
        near.send(b"hello")
        assert far.recv(5) == b"hello"


def seen_at_once(far: socket.socket) -> bytes:
    try:
        return far.recv(100)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize("count", [1, 5])  # the plain form for a few, the ring for more
def test_last_words_travel_with_the_fin(batch: UringBatch, count: int) -> None:
    for _ in range(
        20
    ):  # the kernel waits for 200 ms; a busy machine may be late for that, not always
        pairs = tcp_pairs(count)
        batch.send_to([near.fileno() for near, _ in pairs], [[b"one, ", b"two"]] * count, last=True)
        early = [seen_at_once(far) for _, far in pairs]
        for near, far in pairs:
            near.close()
            far.setblocking(True)
        late = [far.recv(100, socket.MSG_WAITALL) for _, far in pairs]
        for _, far in pairs:
            far.close()
        assert [one + two for one, two in zip(early, late, strict=True)] == [b"one, two"] * count
        if not any(early):
            return
    pytest.fail("what is said last was sent before the end")


def test_sends_many_at_once_in_one_and_in_several_pieces(
    batch: UringBatch, pairs: list[Pair]
) -> None:
    pieces = [[b"a" * 100] if number % 2 else [b"head", b"", b"body"] for number in range(20)]
    said = batch.send_to([near.fileno() for near, _ in pairs], pieces)
    assert said == [sum(map(len, some)) for some in pieces]
    for (_, far), some in zip(pairs, pieces, strict=True):
        assert far.recv(1000) == b"".join(some)


def test_a_full_socket_takes_a_part_or_nothing_and_a_closed_one_fails(
    batch: UringBatch, pairs: list[Pair]
) -> None:
    for near, _ in pairs[:2]:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            pairs[1][0].send(b"x" * 1000)
    pairs[2][1].close()
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    left.setblocking(False)
    tcp = tcp_pair()
    tcp[0].setblocking(False)
    tcp[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # else the kernel may take it all
    fds = [pairs[1][0].fileno(), pairs[2][0].fileno(), tcp[0].fileno(), left.fileno()]
    said = batch.send_to(fds, [[b"y" * 10], [b"y"], [b"z" * 4_000_000], [b"ok"]])
    assert said[:2] == [-errno.EAGAIN, -errno.EPIPE]
    assert 0 < said[2] < 4_000_000
    assert said[3] == 2
    for end in (left, right, *tcp):
        end.close()
    assert batch.usable()


def test_few_connections_do_without_the_ring(batch: UringBatch, pairs: list[Pair]) -> None:
    before = batch.operations()
    pairs[0][0].send(b"a")
    pairs[1][0].send(b"b")
    fds = [far.fileno() for _, far in pairs]
    assert batch.receive_from(fds[:2]) == [b"a", b"b"]
    assert batch.operations() == before
    batch.receive_from(fds[:3])
    assert batch.operations() == before + 3


def test_what_does_not_complete_at_once_is_cancelled_and_waited_for(
    batch: UringBatch, pairs: list[Pair]
) -> None:
    """On a kernel that did not know MSG_DONTWAIT, empty blocking sockets would keep our memory."""
    for _, far in pairs:
        far.setblocking(True)
    pairs[3][0].send(b"there")
    got = batch.receive_from([far.fileno() for _, far in pairs], wait=True)
    assert got == [b"there" if number == 3 else -errno.EAGAIN for number in range(20)]
    assert not batch.usable()
    for near, far in pairs:  # nothing reads into the slots any more, and the plain form goes on
        far.setblocking(False)
        near.send(b"later")
    assert batch.receive_from([far.fileno() for _, far in pairs]) == [b"later"] * 20


def test_a_ring_of_another_thread_is_given_up_without_a_loss(pairs: list[Pair]) -> None:
    made: list[UringBatch] = []

    def make() -> None:
        try:
            made.append(make_batch())
        except OSError:
            return

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if not made:
        pytest.skip("io_uring is refused here")
    for near, _ in pairs:
        near.send(b"data")
    assert made[0].receive_from([far.fileno() for _, far in pairs]) == [b"data"] * 20
    assert made[0].receive_from([far.fileno() for _, far in pairs]) == [-errno.EAGAIN] * 20


def test_a_filter_that_refuses_it_is_told_by_an_os_error() -> None:
    """As in a container: seccomp answers io_uring_setup with EPERM."""
    program = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (6, 0, 0, 0x00050001), (6, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(rules), ctypes.addressof(code)))
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, filter):
    sys.exit(3)
from worker.plane.batch_uring import UringBatch
from worker.plane.buffer import Arena
from worker.plane.reactor import Reactor
try:
    UringBatch(Reactor(Arena(1 << 26), lambda error, where: None))
except PermissionError:
    sys.exit(0)
sys.exit(1)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60, check=False)
    if done.returncode == 3:
        pytest.skip("no seccomp filters here")
    assert done.returncode == 0


def tcp_pair() -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        return near, accepted(server, near)
