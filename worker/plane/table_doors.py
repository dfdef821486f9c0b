"""Lets Python call routing, counting and the access log: for tests and measurements, never on the request path."""

import time

import cython
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.worker.plane.access_log import AccessLog
from cython.cimports.worker.plane.buffer import Arena
from cython.cimports.worker.plane.cells import Cells
from cython.cimports.worker.plane.h1_parse import (
    Head,
    HeadLimits,
    scan_request,
    scan_response,
)
from cython.cimports.worker.plane.peer_cells import PeerCells
from cython.cimports.worker.plane.pick import Pool
from cython.cimports.worker.plane.record import Record
from cython.cimports.worker.plane.route import Route, RouteTable


@cython.cclass
class Exchange:
    """One request, its answer and what is remembered of both, outside of any connection."""

    def __init__(self, arena: Arena, request: bytes, response: bytes = b"", path=None):
        self.arena = arena
        memset(cython.address(self.record), 0, cython.sizeof(Record))
        memset(cython.address(self.request), 0, cython.sizeof(Head))
        memset(cython.address(self.response), 0, cython.sizeof(Head))
        limits: HeadLimits
        limits.head_bytes = 65536
        limits.header_count = 128
        limits.request_line_bytes = 65536
        at: cython.longlong = self.keep(request)
        self.scanned = scan_request(
            arena.view, at, at + len(request), cython.address(self.request), cython.address(limits)
        )
        if response:
            self.has_response = True
            at = self.keep(response)
            scan_response(
                arena.view,
                at,
                at + len(response),
                cython.address(self.response),
                cython.address(limits),
            )
        if path is None:
            self.path = self.request.start + self.request.path
            self.path_size = self.request.path_size
        else:
            self.path = self.keep(path)
            self.path_size = len(path)
        self.record.method = self.request.method
        self.record.minor = self.request.minor
        self.record.route = -1

    def keep(self, data: bytes):
        """Copy bytes into the arena for good."""
        at: cython.longlong = self.arena.alloc(max(len(data), 512))
        self.arena.put(at, data)
        return at

    def note(self, **values):
        """Set fields of the record by name."""
        for name, value in values.items():
            if name == "client":
                memcpy(
                    cython.address(self.record.client[0]),
                    cython.cast(cython.p_const_char, value),
                    min(len(value), 63),
                )
                self.record.client_size = min(len(value), 63)
            elif name == "request_id":
                memcpy(
                    cython.address(self.record.request_id[0]),
                    cython.cast(cython.p_const_char, value),
                    min(len(value), 128),
                )
                self.record.request_id_size = min(len(value), 128)
            elif name == "trailers":
                self.record.trailers = self.keep(value)
                self.record.trailers_size = len(value)
            elif name not in NUMBERS:
                raise TypeError(f"no such field: {name}")
        self.note_numbers(values)

    def note_numbers(self, values):
        """The fields that are numbers."""
        self.record.started_us = values.get("started_us", self.record.started_us)
        self.record.wall_us = values.get("wall_us", self.record.wall_us)
        self.record.ended_us = values.get("ended_us", self.record.ended_us)
        self.record.queue_us = values.get("queue_us", self.record.queue_us)
        self.record.request_bytes = values.get("request_bytes", self.record.request_bytes)
        self.record.body_bytes_sent = values.get("body_bytes_sent", self.record.body_bytes_sent)
        self.record.bytes_sent = values.get("bytes_sent", self.record.bytes_sent)
        self.record.status = values.get("status", self.record.status)
        self.record.ending = values.get("ending", self.record.ending)
        self.record.method = values.get("method", self.record.method)
        self.record.route = values.get("route", self.record.route)
        self.record.listener = values.get("listener", self.record.listener)
        self.record.connection_id = values.get("connection_id", self.record.connection_id)
        self.record.connection_requests = values.get(
            "connection_requests", self.record.connection_requests
        )
        self.record.client_port = values.get("client_port", self.record.client_port)
        self.record.tls = values.get("tls", self.record.tls)
        self.record.minor = values.get("minor", self.record.minor)
        self.record.stream = values.get("stream", self.record.stream)
        self.record.hook_peer = values.get("hook_peer", self.record.hook_peer)

    def attempt(
        self,
        peer: bytes,
        cell: cython.int = -1,
        status: cython.int = 0,
        reused: cython.bint = False,
        connect_us: cython.longlong = -1,
        header_us: cython.longlong = -1,
        response_us: cython.longlong = -1,
        sent: cython.longlong = 0,
        received: cython.longlong = 0,
    ):
        """Add an attempt at a peer."""
        index: cython.int = self.record.attempts
        size: cython.int = min(len(peer), 112)
        memcpy(
            cython.address(self.record.tries[index].peer[0]),
            cython.cast(cython.p_const_char, peer),
            size,
        )
        self.record.tries[index].peer_size = size
        self.record.tries[index].peer_cell = cell
        self.record.tries[index].status = status
        self.record.tries[index].reused = reused
        self.record.tries[index].connect_us = connect_us
        self.record.tries[index].header_us = header_us
        self.record.tries[index].response_us = response_us
        self.record.tries[index].bytes_sent = sent
        self.record.tries[index].bytes_received = received
        self.record.attempts += 1

    def log(self, log: AccessLog, head: cython.bint = True):
        """Write the access log line."""
        log.write_line(
            self.arena,
            cython.address(self.record),
            cython.address(self.request) if head else cython.NULL,
            cython.address(self.response) if self.has_response else cython.NULL,
        )

    def count(self, cells: Cells):
        """Count the request and its attempts."""
        attempt: cython.int
        cells.count_request(cython.address(self.record))
        for attempt in range(self.record.attempts):
            cells.count_attempt(cython.address(self.record), attempt)

    def match(self, table: RouteTable, loopback: cython.bint = True):
        """The route."""
        return table.match(
            self.arena, cython.address(self.request), self.path, self.path_size, loopback
        )

    def match_rules(self, table: RouteTable):
        """The route, built-in ones aside."""
        return table.match_rules(
            self.arena, cython.address(self.request), self.path, self.path_size
        )

    def target(self, route: Route):
        """The rewritten target."""
        return route.target(self.arena, cython.address(self.request), self.path, self.path_size)

    def location(self, route: Route, tls: cython.bint = False):
        """The redirect's Location."""
        return route.location(
            self.arena, cython.address(self.request), self.path, self.path_size, tls
        )

    def key(self, route: Route):
        """The key for Pool.pick."""
        return route.hash_request(
            self.arena, cython.address(self.request), cython.address(self.record)
        )

    # ---- many times: nanoseconds per call

    def time_match(self, table: RouteTable, times: cython.int):
        """Of RouteTable.match."""
        _turn: cython.int
        began = time.thread_time_ns()
        for _turn in range(times):
            table.match(self.arena, cython.address(self.request), self.path, self.path_size, True)
        return (time.thread_time_ns() - began) / times

    def time_log(self, log: AccessLog, times: cython.int):
        """Of AccessLog.write_line, the writes included."""
        _turn: cython.int
        began = time.thread_time_ns()
        for _turn in range(times):
            log.write_line(
                self.arena,
                cython.address(self.record),
                cython.address(self.request),
                cython.NULL,
            )
        return (time.thread_time_ns() - began) / times

    def time_count(self, cells: Cells, times: cython.int):
        """Of counting the request and its first attempt."""
        _turn: cython.int
        began = time.thread_time_ns()
        for _turn in range(times):
            cells.count_request(cython.address(self.record))
            cells.count_attempt(cython.address(self.record), 0)
        return (time.thread_time_ns() - began) / times


GOLDEN = cython.declare(cython.uint, 2654435761)

NUMBERS = frozenset(
    (
        *("started_us", "wall_us", "ended_us", "queue_us", "request_bytes", "body_bytes_sent"),
        *("bytes_sent", "status", "ending", "method", "route", "listener", "connection_id"),
        *("connection_requests", "client_port", "tls", "minor", "stream", "hook_peer"),
    )
)


def time_pick(pool: Pool, times: cython.int, now_ms: cython.longlong = 1):
    """Nanoseconds per Pool.pick."""
    turn: cython.int
    began = time.thread_time_ns()
    for turn in range(times):
        pool.pick(cython.cast(cython.uint, turn) * GOLDEN, None, now_ms)
    return (time.thread_time_ns() - began) / times


def enter_peer(cells: PeerCells, peer: cython.int):
    """A request begins at a peer."""
    cells.enter_peer(peer)


def leave_peer(cells: PeerCells, peer: cython.int):
    """It is over."""
    cells.leave_peer(peer)


def in_flight(cells: PeerCells, peer: cython.int):
    """Requests at a peer."""
    return cells.in_flight(peer)


def usable(cells: PeerCells, peer: cython.int, now_ms: cython.longlong):
    """Whether a peer may be picked."""
    return bool(cells.usable(peer, now_ms))


def peer_failed(cells: PeerCells, peer: cython.int, now_ms: cython.longlong):
    """A request failed there."""
    cells.peer_failed(peer, now_ms)


def peer_worked(cells: PeerCells, peer: cython.int):
    """A request succeeded there."""
    cells.peer_worked(peer)


def add(cells: Cells, counter: cython.int, amount: cython.longlong):
    """Add to a plain counter."""
    cells.add(counter, amount)


def set_gauges(cells: Cells, connections: cython.int, active: cython.int, idle: cython.int):
    """What the worker holds."""
    cells.set_gauges(connections, active, idle)
