"""What the plane tells Python: lines of the error log, peers for hooks and from hooks."""

import errno
import logging
import socket
from types import SimpleNamespace

import pytest

from pingpy.peer import Peer
from pingpy.session import Address
from worker.events import WorkerEvents, packed_sockaddr
from worker.sparing import BURST_LINES, LINE_SECONDS


class Cells:
    def __init__(self):
        self.named = {}

    def claim_peer(self, pool, address):
        assert pool == b"upstream_peer"
        return 40 + len(self.named)

    def name_peer(self, cell, pool, target):
        self.named[cell] = (pool, target)


class Runner:
    def __init__(self):
        self.failures, self.started = [], []

    def failed(self, *what):
        self.failures.append(what)

    def start(self, *what):
        self.started.append(what)


@pytest.fixture
def made(caplog):
    logging.getLogger("pingpy").propagate = True
    caplog.set_level(logging.DEBUG, "pingpy")
    now = [10.0]
    runner, cells = Runner(), Cells()
    events = WorkerEvents(runner, cells, lambda **values: values, lambda: now[0], str)
    return SimpleNamespace(events=events, runner=runner, cells=cells, now=now, log=caplog)


SESSION = SimpleNamespace(id="r1", request=SimpleNamespace(method="GET", target="/a?b"))
NO_REQUEST = SimpleNamespace(
    id="",
    request=SimpleNamespace(method="", target=""),
    client=SimpleNamespace(host="192.0.2.7", port=4711),
)


def test_each_refusal_is_one_line_with_its_cause(made):
    made.events.refused(502, "connection refused", SESSION, "192.0.2.1:80")
    made.events.refused(503, "no peer", SESSION, "")
    made.events.refused(505, "the version is not ours", NO_REQUEST, "")
    assert [record.getMessage() for record in made.log.records] == [
        "request r1: GET /a?b answered with 502: connection refused at 192.0.2.1:80",
        "request r1: GET /a?b answered with 503: no peer",
        "a head from 192.0.2.7:4711 answered with 505: the version is not ours",
    ]


def test_of_a_flood_of_bad_connections_a_few_are_told(made):
    for _ in range(BURST_LINES + 7):
        made.events.unwelcome("0.0.0.0:80", "10.0.0.1", "it is late", 1)
    made.events.broken("10.0.0.9:80", "it is silent", 2)  # another kind has lines of its own
    made.now[0] += LINE_SECONDS / 2
    made.events.unwelcome("0.0.0.0:80", "10.0.0.1", "it is late", 1)
    made.now[0] += LINE_SECONDS / 2
    made.events.unwelcome("0.0.0.0:80", "10.0.0.2", "it is late", 1)
    made.now[0] += LINE_SECONDS
    made.events.unwelcome("0.0.0.0:80", "10.0.0.3", "it is late", 1)
    assert made.log.messages == [
        *["connection from 10.0.0.1 to 0.0.0.0:80 closed: it is late"] * BURST_LINES,
        "connection to 10.0.0.9:80 closed: it is silent",
        "connection from 10.0.0.2 to 0.0.0.0:80 closed: it is late (and 8 more of this kind before it)",
        "connection from 10.0.0.3 to 0.0.0.0:80 closed: it is late",
    ]


def test_a_day_of_flood_is_some_thousand_lines(made):
    for _ in range(24 * 3600):
        made.events.unwelcome("0.0.0.0:80", "10.0.0.1", "it is late", 1)
        made.now[0] += 1
    assert 2800 < len(made.log.messages) < 3000


def test_trouble_is_told_once_a_second(made):
    for _ in range(3):
        made.events.trouble(errno.EMFILE)
    made.now[0] += 1.5
    made.events.trouble(errno.EMFILE)
    lines = [record.getMessage() for record in made.log.records]
    assert lines == ["cannot accept: Too many open files; trying again"] * 2


def test_faults_are_logged_with_their_traceback(made):
    made.events.fault(IndexError("x"), "<Connection 4>")
    assert "internal error at <Connection 4>: IndexError('x')" in made.log.text


def test_hooks_go_to_the_runner(made):
    error = ValueError("no")
    made.events.hook_raised(SESSION, "request_filter", error)
    assert made.runner.failures == [(error, "request_filter", "r1")]
    made.events.run("awaitable")
    assert made.runner.started == [("awaitable",)]


def test_hooks_see_peers_and_addresses(made):
    assert made.events.make_peer("192.0.2.1:80") == Peer("192.0.2.1", 80)
    assert made.events.make_peer("[2001:db8::1]:81") == Peer("2001:db8::1", 81)
    assert made.events.make_peer("unix:/run/a.sock") == Peer("unix:/run/a.sock")
    assert made.events.make_address("192.0.2.9", 5) == Address("192.0.2.9", 5)


def test_a_chosen_peer_gets_a_cell_and_labels(made):
    peer = made.events.plane_peer(Peer("192.0.2.1", 80))
    assert peer["cell"] == 40
    assert peer["text"] == b"192.0.2.1:80"
    assert made.cells.named == {40: ("upstream_peer", "192.0.2.1:80")}


def test_a_hooks_peer_that_speaks_tls_is_asked_for_by_name(made):
    assert made.events.plane_peer(Peer("192.0.2.1", 80))["tls"] is None
    assert made.events.plane_peer(Peer("192.0.2.1", 443, tls=True))["tls"] == "192.0.2.1"
    named = Peer("192.0.2.1", 443, tls=True, sni="origin.test")
    assert made.events.plane_peer(named)["tls"] == "origin.test"
    assert made.events.plane_peer(Peer("unix:/run/a", tls=True))["tls"] == ""


def test_socket_addresses_are_as_the_kernel_wants_them():
    family, raw = packed_sockaddr(Peer("127.0.0.1", 8080))
    assert (family, len(raw), raw[2:8]) == (socket.AF_INET, 16, b"\x1f\x90\x7f\0\0\x01")
    family, raw = packed_sockaddr(Peer("::1", 80))
    assert (family, len(raw), raw[8:24]) == (socket.AF_INET6, 28, bytes(15) + b"\x01")
    family, raw = packed_sockaddr(Peer("unix:/run/a"))
    assert (family, raw[2:]) == (socket.AF_UNIX, b"/run/a\0")


@pytest.mark.parametrize("host", ["backend", "unix:", "unix:/" + "a" * 107])
def test_what_cannot_be_connected_to_is_refused(host):
    peer = Peer(host) if host.startswith("unix:") else Peer(host, 80)
    with pytest.raises(ValueError, match=r"an address|Unix socket"):
        packed_sockaddr(peer)
