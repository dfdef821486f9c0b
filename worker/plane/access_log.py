"""The access log: one line per request from values already at hand, collected in a buffer and written whole.

What a client sent is escaped as nginx does it (`\\xHH` for quotes, backslashes, control and 8-bit bytes), or for JSON.
A log that cannot be written (full disk, broken or full pipe) loses lines and counts them; it never stops a request.
"""

import array
import base64
import time

import cython
from cython.cimports.libc.string import strlen
from cython.cimports.worker.plane.h1_parse import F_AUTHORIZATION, F_REFERER, F_USER_AGENT
from cython.cimports.worker.plane.hashing import lower
from cython.cimports.worker.plane.log_buffer import LineBuffer
from cython.cimports.worker.plane.log_text import (
    put_further,
    put_secured,
    put_trace_id,
    put_trailer,
)

from worker.plane.hashing import name_hash

LINE_BYTES = cython.declare(cython.int, 131072)

# Numbers of the Step enum in access_log.pxd, by variable.
STEPS = {
    name: first + offset
    for first, names in (
        (
            1,
            "remote_addr remote_port realip_remote_addr request_id listener server_port server_addr",
        ),
        (8, "route scheme https termination time_local time_iso8601 server_protocol"),
        (15, "lb_policy http2 http2_stream_id"),
        (20, "status body_bytes_sent bytes_sent request_length connection connection_requests"),
        (26, "retries request_time queue_time msec"),
        (30, "ssl_protocol ssl_cipher ssl_server_name ssl_client_s_dn"),
        (34, "ssl_session_reused ssl_client_verify ssl_alpn_protocol"),
        (40, "request request_method request_uri uri args host remote_user http_ trace_id"),
        (60, "upstream_addr upstream_status upstream_connect_time upstream_header_time"),
        (64, "upstream_response_time upstream_bytes_sent upstream_bytes_received"),
        (80, "sent_http_ upstream_http_ upstream_trailer_"),
    )
    for offset, name in enumerate(names.split())
}
# Variables with one value for the life of the process.
CONSTANTS = ("generation", "worker", "pid", "hostname", "upstream_cache_status")

# by record.Ending
ENDINGS = (
    b"ok",
    b"client_gone",
    b"client_timeout",
    b"bad_request",
    b"no_route",
    b"no_peer",
    b"queue_full",
    b"connect_failed",
    b"connect_timeout",
    b"upstream_timeout",
    b"upstream_closed",
    b"bad_response",
    b"hook_raised",
    b"local",
    b"drain_deadline",
    b"tls_failed",
    b"internal",
    b"upstream_silent",
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@cython.cclass
class AccessLog(LineBuffer):
    """One format, compiled."""

    def __init__(self, form, fd: cython.int, cells=None, constants=None):
        """`form`: a pingpy.log_format.LogFormat; fd -1: off; `constants`: values of CONSTANTS, bytes."""
        LineBuffer.__init__(self, fd, cells, form.escape == "json")
        self.endings = list(ENDINGS)
        self.second = -1
        self.listeners, self.routes, self.ports, self.policies = [], [], [], []
        self.names = []
        self.compile(form.pieces, {"upstream_cache_status": b"-", **(constants or {})})

    def compile(self, pieces, constants):
        """Turn pieces into steps; constants become text."""
        rows = []
        text = bytearray()
        for name, piece in pieces:
            if name == "" or name in CONSTANTS:
                piece = piece if name == "" else constants.get(name, b"-")
                last = rows[len(rows) - 1] if rows else [1]
                if last[0] == 0:
                    last[2] += len(piece)
                else:
                    rows.append([0, len(text), len(piece)])
                text += piece
            elif name.endswith("_") or name == "trace_id":
                rows.append([STEPS[name], len(self.names), 0])
                self.names.append(piece or b"traceparent")
            else:
                rows.append([STEPS[name], 0, 0])
        self.steps = array.array("i", [number for row in rows for number in row])
        self.text = text if text else bytearray(1)
        kinds = {b"user-agent": F_USER_AGENT, b"referer": F_REFERER}
        self.kinds = array.array("i", [int(kinds.get(name, 0)) for name in self.names] or [0])
        self.name_hashes = array.array("I", [name_hash(name) for name in self.names] or [0])
        self.wants_response_head = any(row[0] >= 80 for row in rows)

    # ---- from Python

    def name_listeners(self, names):
        """What Record.listener counts through, as texts ("0.0.0.0:80")."""
        self.listeners = [name.encode() for name in names]
        self.ports = [name.rpartition(":")[2].encode() for name in names]

    def name_routes(self, labels):
        """What Record.route counts through, as bytes."""
        self.routes = list(labels)

    def name_policies(self, names):
        """By Record.route: the algorithm that picks the peer, as bytes; empty where there is none."""
        self.policies = list(names)

    # ---- lines

    def write_line(self, arena, record, request, response):
        """Collect the line of one request."""
        step: cython.int
        what: cython.int
        place: cython.int
        if self.fd < 0:
            return 0
        self.stop = self.at + LINE_BYTES
        for step in range(0, cython.cast(cython.int, self.steps.shape[0]), 3):
            what = self.steps[step]
            place = self.steps[step + 1]
            if what == 0:
                self.text[place + self.steps[step + 2] - 1]  # inside, hence all before
                self.put_raw(cython.address(self.text[place]), self.steps[step + 2])
            elif what < 20:
                self.record_step(what, record)
            elif what < 30:
                self.number_step(what, record)
            elif what < 40:
                put_secured(self, what, record)
            elif what < 60:
                if request == cython.NULL:
                    self.put_absent()
                else:
                    self.head_step(what, place, arena, request)
            elif what < 80:
                self.attempt_step(what, record)
            elif response == cython.NULL:
                self.put_absent()
            elif what == L_UPSTREAM_TRAILER:
                put_trailer(self, arena, record, place)
            else:
                self.put_fields(arena, response, place)
        return self.end_line()

    def put_fields(self, arena, head, name):
        """The values of all fields of this name, joined by ", "."""
        field: cython.int = 0
        kind: cython.int = self.kinds[name]
        found: cython.bint = False
        if kind:
            field = head.first[kind]
            if field < 0:
                return self.put_absent()
        while field < head.count:
            if (
                head.fields[field].kind == kind
                if kind
                else (
                    head.fields[field].name_hash == self.name_hashes[name]
                    and self.same_name(arena, head, field, name)
                )
            ):
                if found:
                    self.put_byte(44)
                    self.put_byte(32)
                if head.fields[field].value_size > 0 or not found:
                    self.put_value(
                        arena,
                        head.start + head.fields[field].value,
                        head.fields[field].value_size,
                    )
                found = True
            field += 1
        return 0 if found else self.put_absent()

    def same_name(self, arena, head, field, name):
        """Hashes are equal: whether names are."""
        place: cython.int
        wanted: bytes = self.names[name]
        if head.fields[field].name_size != len(wanted):
            return False
        for place in range(head.fields[field].name_size):
            if lower(arena.view[head.start + head.fields[field].name + place]) != cython.cast(
                cython.uchar, wanted[place]
            ):
                return False
        return True

    def put_indexed(self, texts, index):
        """A name by number."""
        text: bytes
        if not 0 <= index < len(texts):
            return self.put_absent()
        text = texts[index]
        return self.put_chars(
            cython.cast(cython.p_const_char, text), cython.cast(cython.int, len(text))
        )

    def record_step(self, what, record):
        """Texts of the record."""
        if what == 1:
            return self.put_chars(record.client, min(record.client_size, 64))
        if what == 2:
            return self.put_number(record.client_port)
        if what == 3:
            return self.put_chars(record.peer_address, min(record.peer_address_size, 64))
        if what == 4:
            return self.put_chars(record.request_id, min(record.request_id_size, 128))
        if what == 5 or what == 7:
            return self.put_indexed(self.listeners, record.listener)
        if what == 6:
            return self.put_indexed(self.ports, record.listener)
        if what == 8:
            return self.put_indexed(self.routes, record.route)
        if what == 9:
            return self.put_bytes(b"https" if record.tls else b"http")
        if what == 10:
            return self.put_bytes(b"on") if record.tls else self.put_absent()
        if what == 11:
            return self.put_indexed(self.endings, record.ending)
        if what == 14:
            return self.put_bytes(
                b"HTTP/2.0"
                if record.minor >= 20
                else (b"HTTP/1.0" if record.minor == 0 else b"HTTP/1.1")
            )
        if what >= 15:
            return put_further(self, what, record)
        self.set_second((record.wall_us + record.ended_us - record.started_us) // 1000000)
        return self.put_bytes(self.time_local if what == 12 else self.time_iso8601)

    def put_text(self, text):
        """A text that ends with a zero byte, or none."""
        if text == cython.NULL:
            return self.put_absent()
        return self.put_chars(text, cython.cast(cython.int, strlen(text)))

    def number_step(self, what, record):
        """Numbers and times of the record."""
        if what == 20:
            return self.put_number(record.status)
        if what == 21:
            return self.put_number(record.body_bytes_sent)
        if what == 22:
            return self.put_number(record.bytes_sent)
        if what == 23:
            return self.put_number(record.request_bytes)
        if what == 24:
            return self.put_number(record.connection_id)
        if what == 25:
            return self.put_number(record.connection_requests)
        if what == 26:
            return self.put_number(max(record.attempts - 1, 0))
        if what == 27:
            return self.put_seconds(max(record.ended_us - record.started_us, 0))
        if what == 28:
            return self.put_seconds(record.queue_us)
        return self.put_seconds(record.wall_us + record.ended_us - record.started_us)

    def head_step(self, what, name, arena, head):
        """Parts of the request's head."""
        start: cython.longlong = head.start
        if what == 40:
            return self.put_value(arena, start, head.line_size)
        if what == 41:
            return self.put_value(arena, start, head.method_size)
        if what == 42:
            return self.put_value(arena, start + head.target, head.target_size)
        if what == 43:
            return self.put_value(arena, start + head.path, head.path_size)
        if what == 44:
            return self.put_value(arena, start + head.query, head.query_size)
        if what == 45:
            return self.put_value(arena, start + head.authority, self.host_size(arena, head))
        if what == 46:
            return self.put_user(arena, head)
        if what == 48:
            return put_trace_id(self, arena, head, name)
        return self.put_fields(arena, head, name)

    def host_size(self, arena, head):
        """The authority without its port."""
        start: cython.longlong = head.start + head.authority
        size: cython.int
        for size in range(head.authority_size - 1, -1, -1):
            if arena.view[start + size] == 58:  # ":"
                return size
            if not 48 <= arena.view[start + size] <= 57:
                break
        return head.authority_size

    def put_user(self, arena, head):
        """The user name of Basic credentials (RFC 7617), never the password."""
        field: cython.int = head.first[cython.cast(cython.int, F_AUTHORIZATION)]
        if field < 0:
            return self.put_absent()
        at: cython.longlong = head.start + head.fields[field].value
        value = bytes(arena.view[at : at + head.fields[field].value_size])
        scheme, _, credentials = value.partition(b" ")
        user: bytes = b""
        if scheme.lower() == b"basic":
            try:
                user = base64.b64decode(credentials.strip(), validate=True).partition(b":")[0]
            except ValueError:
                user = b""
        return self.put_chars(
            cython.cast(cython.p_const_char, user), cython.cast(cython.int, len(user))
        )

    def attempt_step(self, what, record):
        """One value per attempt."""
        attempt: cython.int
        if record.attempts <= 0:
            return self.put_absent()
        for attempt in range(min(record.attempts, 8)):
            if attempt > 0:
                self.put_byte(44)
                self.put_byte(32)
            if self.attempt_value(what, record, attempt) == 0:
                self.put_byte(45)
        return 0

    def attempt_value(self, what, record, attempt):
        """One value of one attempt; 0 when there is none."""
        before: cython.int = self.at
        us: cython.longlong = -1
        if what == 60:
            self.put_chars(record.tries[attempt].peer, min(record.tries[attempt].peer_size, 112))
        elif what == 61:
            if record.tries[attempt].status > 0:
                self.put_number(record.tries[attempt].status)
        elif what == 65:
            self.put_number(record.tries[attempt].bytes_sent)
        elif what == 66:
            self.put_number(record.tries[attempt].bytes_received)
        else:
            if what == 62:
                us = 0 if record.tries[attempt].reused else record.tries[attempt].connect_us
            elif what == 63:
                us = record.tries[attempt].header_us
            else:
                us = record.tries[attempt].response_us
            if us >= 0:
                self.put_seconds(us)
        return self.at - before

    def set_second(self, second):
        """The texts of this second, in the machine's time zone."""
        if second == self.second:
            return 0
        self.second = second
        now = time.localtime(second)
        minutes = now.tm_gmtoff // 60
        sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
        zone = f"{sign}{minutes // 60:02}{minutes % 60:02}"
        clock = f"{now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
        month = MONTHS[now.tm_mon - 1]
        self.time_local = f"{now.tm_mday:02}/{month}/{now.tm_year}:{clock} {zone}".encode()
        day = f"{now.tm_year}-{now.tm_mon:02}-{now.tm_mday:02}"
        self.time_iso8601 = f"{day}T{clock}{zone[:3]}:{zone[3:]}".encode()
        return 0
