"""One request and its response: routing, peers, attempts, and the one door through which errors leave.

    ROUTING -> (PARKED) -> (QUEUED) -> DIALING -> SENT -> ANSWERING -> DONE
        \\______________ reply or refuse ______________/

A downstream side brings the request and takes the response; an upstream side the reverse. Both are
told what to do, neither knows the other. Everything that ends an exchange comes through `finish`,
which writes the log line and counts, exactly once.
"""

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.worker.plane.cells import (
    C_RESET_CLOSED,
    C_RESET_CONNECT,
    C_RESET_TIMEOUT,
    C_RETRY_BUDGET_SPENT,
    C_RETRY_CONNECT,
    C_RETRY_REUSED_CLOSED,
    C_RETRY_STATUS,
    C_RETRY_TIMEOUT,
)
from cython.cimports.worker.plane.connection import Handler
from cython.cimports.worker.plane.h1_parse import (
    F_X_REQUEST_ID,
    H_CHUNKED,
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_PUT,
    M_TRACE,
)
from cython.cimports.worker.plane.h1_write import BODY_CHUNKED, BODY_LENGTH, BODY_NONE
from cython.cimports.worker.plane.record import (
    END_BAD_REQUEST,
    END_CLIENT_GONE,
    END_CLIENT_TIMEOUT,
    END_CONNECT_FAILED,
    END_CONNECT_TIMEOUT,
    END_LOCAL,
    END_NO_PEER,
    END_NO_ROUTE,
    END_OK,
    END_QUEUE_FULL,
    END_UPSTREAM_TIMEOUT,
)
from cython.cimports.worker.plane.retry import Outcome, may_retry
from cython.cimports.worker.plane.route import REPLY_NONE, REPLY_PYTHON
from cython.cimports.worker.plane.target import is_normal_path, normalise_path

REQUEST_ID = cython.declare(cython.int, F_X_REQUEST_ID)
RETRY_CREDIT_MOST = cython.declare(cython.double, 100.0)  # a burst of so many retries, not more
PATH_BYTES = cython.declare(cython.int, 65536)

CAUSES = {
    END_NO_PEER: "no peer is available",
    END_QUEUE_FULL: "the queue for this pool is full or its time is up",
    END_CONNECT_FAILED: "the connection was refused",
    END_CONNECT_TIMEOUT: "the connection was not made in time",
    END_UPSTREAM_TIMEOUT: "the origin did not answer in time",
}


@cython.cfunc
@cython.exceptval(check=False)
def reset_counter(ending: cython.int) -> cython.int:
    """Which counter an attempt's failure belongs to."""
    if ending == END_CONNECT_FAILED or ending == END_CONNECT_TIMEOUT:
        return C_RESET_CONNECT
    return C_RESET_TIMEOUT if ending == END_UPSTREAM_TIMEOUT else C_RESET_CLOSED


@cython.cfunc
@cython.exceptval(check=False)
def retry_counter(ending: cython.int) -> cython.int:
    """Which counter a retry belongs to."""
    if ending == END_OK:
        return C_RETRY_STATUS
    if ending == END_CONNECT_FAILED or ending == END_CONNECT_TIMEOUT:
        return C_RETRY_CONNECT
    return C_RETRY_TIMEOUT if ending == END_UPSTREAM_TIMEOUT else C_RETRY_REUSED_CLOSED


@cython.cclass
class Side(Handler):
    """One side of an exchange; the protocols implement it."""

    def keep(self, offset, size):
        """Put bytes that came too early aside; they replace what was kept."""
        block: cython.longlong = 0
        if size > 0:
            block = self.connection.host.arena.alloc(size)
            self.connection.host.arena.copy(block, offset, size)
        if self.carry:
            self.connection.host.release(self.carry)
        self.carry = block
        self.carry_size = size
        return 0

    def send_request(self, x):
        raise NotImplementedError

    def send_response(self, x, body, size, last):
        raise NotImplementedError

    def send_informational(self, x):
        raise NotImplementedError

    def send_reply(self, x, status, lines, body):
        raise NotImplementedError

    def send_body(self, x, offset, size, last):
        raise NotImplementedError

    def send_trailers(self, x, offset, size):
        raise NotImplementedError

    def hold(self):
        raise NotImplementedError

    def go_on(self):
        raise NotImplementedError

    def cut(self):
        raise NotImplementedError

    def left(self):
        raise NotImplementedError


@cython.cclass
class Services:
    """What an exchange needs of the plane."""

    def take(self):
        """An exchange that is not in use."""
        x: Exchange
        if self.spare:
            return self.spare.pop()
        x = Exchange.__new__(Exchange)
        x.services = self
        return x

    def give_back(self, x):
        """For use by a later request."""
        x.state = X_FREE
        x.epoch += 1
        if len(self.spare) < 64:
            self.spare.append(x)
        return 0

    def random(self):
        """xorshift64*: good enough for request ids and spreading, never for secrets."""
        value: cython.ulonglong = self.random_state
        value ^= value >> 12
        value ^= value << 25
        value ^= value >> 27
        self.random_state = value
        return value * cython.cast(cython.ulonglong, 2685821657736338717)

    def dial(self, x):
        raise NotImplementedError

    def forget(self, x):
        raise NotImplementedError

    def run_phase(self, x, phase):
        raise NotImplementedError

    def linger_ms(self):
        raise NotImplementedError

    def full(self):
        raise NotImplementedError

    def address(self, host, port):
        raise NotImplementedError

    def listener_address(self, number):
        raise NotImplementedError

    def hook_peer(self, peer):
        raise NotImplementedError

    def peer_for(self, chosen):
        raise NotImplementedError

    def hook_raised(self, x, phase, error):
        raise NotImplementedError

    def hook_done(self, x, epoch, phase, answer, error):
        raise NotImplementedError


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_hex16(to: cython.p_char, value: cython.ulonglong) -> cython.void:
    """Sixteen hexadecimal digits."""
    i: cython.int
    digit: cython.int
    for i in range(16):
        digit = cython.cast(cython.int, (value >> (60 - 4 * i)) & 15)
        to[i] = cython.cast(cython.char, 48 + digit if digit < 10 else 87 + digit)


@cython.cclass
class Exchange:
    """One request and its response. Reused: `begin` sets everything that `finish` does not clear."""

    def __repr__(self) -> str:
        return (
            f"<Exchange state={self.state} attempts={self.record.attempts} status={self.record.status}"
            f" down={self.down!r} up={self.up!r}>"
        )

    # ---- the request

    def begin(self, down):
        """The request head was scanned into `request`; it is still in the turn's memory."""
        arena = self.services.arena
        method: cython.int = self.request.method
        record: cython.pointer(Record) = cython.address(self.record)
        self.down = down
        self.state = X_ROUTING
        self.head_block = arena.alloc(self.request.size)
        arena.copy(self.head_block, self.request.start, self.request.size)
        self.request.start = self.head_block
        self.idempotent = (
            method == M_GET
            or method == M_HEAD
            or method == M_PUT
            or method == M_DELETE
            or method == M_OPTIONS
            or method == M_TRACE
        )
        self.line.upgrade = False
        self.line.length = self.request.content_length
        if self.request.flags & H_CHUNKED:
            self.line.body = BODY_CHUNKED
        else:
            self.line.body = BODY_LENGTH if self.request.content_length >= 0 else BODY_NONE
        self.request_done = self.line.body == BODY_NONE or self.request.content_length == 0
        self.begin_record()
        record.request_bytes = self.request.size
        self.take_request_id()
        return self.find_route()

    def begin_record(self):
        """What every request's record starts from."""
        record: cython.pointer(Record) = cython.address(self.record)
        record.method = self.request.method
        record.minor = self.request.minor
        record.request_bytes = 0
        record.ending = END_OK
        record.status = 0
        record.route = -1
        record.attempts = 0
        record.queue_us = 0
        record.body_bytes_sent = record.bytes_sent = 0
        record.request_id_size = 0
        self.body_seen = 0
        self.replay_size = -1
        self.fresh = False
        self.response_length = -1
        return 0

    def take_request_id(self):
        """The client's X-Request-Id when it is a sane one, else 32 random hexadecimal digits."""
        field: cython.int = self.request.first[REQUEST_ID]
        size: cython.int
        i: cython.int
        octet: cython.uchar
        if field >= 0:
            size = self.request.fields[field].value_size
            if 0 < size <= 128:
                for i in range(size):
                    octet = self.services.arena.view[
                        self.request.start + self.request.fields[field].value + i
                    ]
                    if octet <= 32 or octet >= 127 or octet == 34 or octet == 92:
                        break
                    self.record.request_id[i] = cython.cast(cython.char, octet)
                else:
                    self.record.request_id_size = size
                    return 0
        put_hex16(self.record.request_id, self.services.random())
        put_hex16(self.record.request_id + 16, self.services.random())
        self.record.request_id_size = 32
        return 0

    def find_route(self):
        """Which rule the request is under; then its filters, then its peer."""
        services: Services = self.services
        path: cython.longlong = self.request.start + self.request.path
        size: cython.int = self.request.path_size
        if not is_normal_path(services.arena.view, path, size):
            size = normalise_path(services.arena.view, path, size, services.path_memory, PATH_BYTES)
            if size < 0:
                return self.refuse(
                    400, END_BAD_REQUEST, "the path climbs above the root or has a bad escape"
                )
            path = services.path_memory
        self.route = services.routes.match(services.arena, cython.address(self.request), path, size)
        if self.route is not None and self.route.loopback_only and not self.loopback:
            self.route = services.routes.match_rules(
                services.arena, cython.address(self.request), path, size
            )
        if self.route is None:
            return self.refuse(404, END_NO_ROUTE, "no rule matches and there is no default pool")
        self.record.route = self.route.index
        if 0 <= self.route.max_body_bytes < self.request.content_length:
            return self.refuse(
                413, END_BAD_REQUEST, "the body is larger than max_body_bytes allows"
            )
        if self.route.rewrite is not None:
            self.target = self.route.target(
                services.arena, cython.address(self.request), path, size
            )
        elif self.route.redirect is not None:
            self.target = self.route.location(
                services.arena, cython.address(self.request), path, size, self.line.tls
            )
        if services.hooks is not None and services.run_phase(self, PH_REQUEST) != PHASE_GO_ON:
            return 0
        return self.after_request_filter()

    def after_request_filter(self):
        """No filter has answered: our own reply, or a peer."""
        route: Route = self.route
        if route.reply_kind != REPLY_NONE:
            if route.reply_kind == REPLY_PYTHON:
                self.services.run_phase(self, PH_REPLY)
                return 0
            lines: bytes = route.reply_head
            if self.target is not None:
                lines = lines + b"Location: " + self.target + b"\r\n"
            return self.reply(route.reply_status, lines, route.reply_body, END_LOCAL)
        self.services.retry_credit = min(
            self.services.retry_credit + route.retry_budget, RETRY_CREDIT_MOST
        )
        if self.services.hooks is not None and self.services.run_phase(self, PH_PEER):
            return 0
        return self.choose_peer()

    def choose_peer(self):
        """Pick and dial; called again for every attempt."""
        peer: Peer = None
        k: cython.int = self.record.attempts
        attempt: cython.pointer(Attempt)
        if self.chosen is not None:
            peer = self.chosen
            if self.tried is not None and peer in self.tried:
                peer = None
        elif self.route.pool is not None:
            peer = self.route.pool.pick(self.hash_key(), self.tried, self.services.host.now_ms)
        if peer is None:
            if k:
                return self.refuse(502, self.record.ending, "no other peer is left to try")
            return self.refuse(503, END_NO_PEER, self.no_peer_cause())
        self.peer = peer
        self.state = X_DIALING
        self.attempt_us = self.services.host.now_us
        attempt = cython.address(self.record.tries[k])
        attempt.peer_size = min(cython.cast(cython.int, len(peer.text)), 112)
        memcpy(attempt.peer, cython.cast(cython.p_const_char, peer.text), attempt.peer_size)
        attempt.peer_cell = peer.cell
        attempt.status = attempt.reused = 0
        attempt.connect_us = attempt.header_us = attempt.response_us = -1
        attempt.bytes_sent = attempt.bytes_received = 0
        self.record.attempts = k + 1
        return self.services.dial(self)

    def hash_key(self):
        """What the hashing algorithms hash: the client's address, or the path and query."""
        if self.route.pool.hash_needs == 0:
            return 0
        return self.route.hash_request(
            self.services.arena, cython.address(self.request), cython.address(self.record)
        )

    def no_peer_cause(self):
        pool = self.route.pool
        if pool is None:
            return CAUSES[END_NO_PEER]
        name = pool.name.decode()
        if pool.pending:
            return f"the name of pool {name} has not been resolved"
        if not pool.peers:
            return f"pool {name} has no peers"
        return f"no peer of pool {name} is available"

    # ---- the upstream side

    def upstream_ready(self, up, reused):
        """A connection to the peer is there."""
        attempt: cython.pointer(Attempt) = cython.address(
            self.record.tries[self.record.attempts - 1]
        )
        self.up = up
        up.exchange = self
        attempt.reused = reused
        attempt.connect_us = 0 if reused else self.services.host.now_us - self.attempt_us
        if not self.counted:
            self.services.cells.enter_peer(self.peer.cell)
            self.counted = True
        if (
            self.services.hooks is not None
            and self.services.run_phase(self, PH_UPSTREAM_REQUEST) != PHASE_GO_ON
        ):
            return 0
        return self.send_upstream()

    def send_upstream(self):
        """Send the head, then whatever there is of the body."""
        replay: cython.longlong
        self.state = X_SENT
        self.up.send_request(self)
        if self.replay_size >= 0:  # an earlier attempt had the whole body already
            replay = self.replay
            return self.up.send_body(self, replay, self.replay_size, True)
        if not self.request_done:
            return self.down.go_on()
        return 0

    def request_body(self, offset, size, last):
        """Body bytes from the client; only while the state is SENT or later."""
        self.record.request_bytes += size
        if 0 <= self.route.max_body_bytes < self.body_seen + size:
            return self.refuse(
                413, END_BAD_REQUEST, "the body is larger than max_body_bytes allows"
            )
        if last:
            self.request_done = True
            if self.body_seen == 0 and size <= 65536 and self.replay_size < 0:
                # RFC 9110 9.2.2: a request may be sent again only if all of it still can be.
                self.replay = self.services.arena.alloc(max(size, 1))
                self.replay_size = size
                self.services.arena.copy(self.replay, offset, size)
        self.body_seen += size
        if self.up is None:
            return 0
        return self.up.send_body(self, offset, size, last)

    def request_trailers(self, offset, size):
        """The end of a chunked body that has trailers."""
        self.request_done = True
        if self.up is None:
            return 0
        return self.up.send_trailers(self, offset, size)

    def upstream_failed(self, ending, unsent):
        """The attempt is over without a response; `unsent`: no byte of the request can have been received."""
        services: Services = self.services
        reused: cython.bint = self.record.tries[self.record.attempts - 1].reused
        timed_out: cython.bint = ending == END_UPSTREAM_TIMEOUT or ending == END_CONNECT_TIMEOUT
        if not reused or timed_out:
            services.cells.peer_failed(self.peer.cell, services.host.now_ms)
        self.record.ending = ending
        services.cells.count_attempt(cython.address(self.record), self.record.attempts - 1)
        services.cells.add(reset_counter(ending), 1)
        self.drop_upstream(False)
        if self.state < X_ANSWERING and self.try_again(ending, unsent):
            return self.choose_peer()
        cause = CAUSES.get(ending, "the origin closed the connection before it had answered")
        return self.refuse(504 if timed_out else 502, ending, cause)

    def try_again(self, ending, unsent):
        """Whether another attempt may follow; if so it is charged to the budget."""
        outcome: Outcome
        services: Services = self.services
        k: cython.int = self.record.attempts - 1
        outcome.ending = ending
        outcome.status = self.record.tries[k].status
        outcome.unsent = unsent
        outcome.reused = self.record.tries[k].reused
        outcome.idempotent = self.idempotent
        outcome.body_lost = self.body_seen > 0 and self.replay_size < 0
        outcome.attempts = k + 1
        if self.route is None or not may_retry(cython.address(outcome), self.route):
            return False
        if services.retry_credit < 1:
            services.cells.add(C_RETRY_BUDGET_SPENT, 1)
            return False
        services.retry_credit -= 1
        services.cells.add(retry_counter(ending), 1)
        if not outcome.reused:
            if self.tried is None:
                self.tried = []
            self.tried.append(self.peer)
        self.fresh = True  # its idle connections are suspect: the next attempt opens its own
        return True

    # ---- the response

    def response_head(self):
        """The origin's final response head was scanned into `response`; returns a PhaseVerdict."""
        attempt: cython.pointer(Attempt) = cython.address(
            self.record.tries[self.record.attempts - 1]
        )
        attempt.status = self.response.status
        attempt.header_us = self.services.host.now_us - self.attempt_us
        self.record.status = self.response.status
        self.services.cells.peer_worked(self.peer.cell)
        if self.route.retry_statuses is not None and self.try_again(END_OK, False):
            self.services.cells.count_attempt(cython.address(self.record), self.record.attempts - 1)
            self.drop_upstream(False)
            self.choose_peer()
            return PHASE_ANSWERED
        if self.services.hooks is not None:
            return self.services.run_phase(self, PH_RESPONSE)
        return PHASE_GO_ON

    def keep_response_head(self):
        """The log or a parked hook needs the head after this turn."""
        arena = self.services.arena
        if not self.response_block:
            self.response_block = arena.alloc(self.response.size)
            arena.copy(self.response_block, self.response.start, self.response.size)
            self.response.start = self.response_block
        return 0

    def response_start(self, offset, size, last):
        """The head goes downstream, with what there is of the body."""
        if self.services.log is not None and self.services.log.wants_response_head:
            self.keep_response_head()
        self.state = X_ANSWERING
        self.record.tries[self.record.attempts - 1].bytes_received += size
        self.down.send_response(self, offset, size, last)
        if last and self.state == X_ANSWERING:
            return self.answered()
        return 0

    def response_data(self, offset, size, last):
        """More of the response body."""
        self.record.tries[self.record.attempts - 1].bytes_received += size
        self.down.send_body(self, offset, size, last)
        if last and self.state == X_ANSWERING:
            return self.answered()
        return 0

    def response_trailers(self, offset, size):
        """The end of a response body that has trailers."""
        self.down.send_trailers(self, offset, size)
        if self.state == X_ANSWERING:
            return self.answered()
        return 0

    def answered(self):
        """The whole response is on its way."""
        self.record.tries[self.record.attempts - 1].response_us = (
            self.services.host.now_us - self.attempt_us
        )
        self.services.cells.count_attempt(cython.address(self.record), self.record.attempts - 1)
        self.drop_upstream(True)
        return self.finish()

    # ---- ends

    def reply(self, status, lines, body, ending):
        """Answer ourselves; `lines` are whole field lines."""
        if self.state >= X_ANSWERING:
            return 0
        self.drop_upstream(False)
        self.record.status = status
        self.record.ending = ending
        self.state = X_ANSWERING
        self.down.send_reply(self, status, lines, body)
        return self.finish()

    def refuse(self, status, ending, cause):
        """An error answer, or a visible cut when the response has begun."""
        self.record.ending = ending
        if status >= 500 and self.services.on_error is not None:
            self.services.on_error(status, cause, self)
        if self.state == X_ANSWERING:
            self.drop_upstream(False)
            self.down.cut()
            return self.finish()
        return self.reply(status, None, None, ending)

    def refuse_unread(self, down, status, cause):
        """What came is no request: answer, log what there is of its first line, and count."""
        i: cython.int
        line: cython.longlong
        arena = self.services.arena
        self.down = down
        self.state = X_ROUTING
        self.route = None
        size: cython.longlong = min(max(self.request.size, 0), 1024)
        self.head_block = arena.alloc(1024)
        arena.copy(self.head_block, self.request.start, size)
        line = arena.find(self.head_block, self.head_block + size, 10)
        if line > self.head_block and arena.view[line - 1] == 13:
            line -= 1
        self.request.start = self.head_block
        self.request.line_size = cython.cast(
            cython.int, line - self.head_block if line >= 0 else size
        )
        self.request.size = self.request.line_size
        self.request.count = 0
        self.request.method = self.request.method_size = 0
        self.request.path_size = self.request.query_size = self.request.authority_size = 0
        self.request.target_size = 0
        for i in range(24):
            self.request.first[i] = -1
        self.begin_record()
        return self.refuse(status, END_CLIENT_TIMEOUT if status == 408 else END_BAD_REQUEST, cause)

    def client_gone(self, ending):
        """The client went away; nobody is left to answer."""
        if self.state == X_FREE or self.state == X_DONE:
            return 0
        self.record.ending = ending
        if self.state < X_ANSWERING:
            self.record.status = 499 if ending == END_CLIENT_GONE else 408
        if self.up is not None:
            self.services.cells.count_attempt(cython.address(self.record), self.record.attempts - 1)
        self.drop_upstream(False)
        return self.finish()

    def drop_upstream(self, clean):
        """Let go of the upstream side; `clean`: its connection may serve another request."""
        up: Side = self.up
        if self.state == X_QUEUED or self.state == X_DIALING:
            self.services.forget(self)
        self.up = None
        if up is not None:
            up.exchange = None
            if clean and self.request_done:
                up.left()
            else:
                up.cut()
        if self.counted:
            self.services.cells.leave_peer(self.peer.cell)
            self.counted = False
        return 0

    def finish(self):
        """The one end: log, count, free, and let the downstream side go on."""
        services: Services = self.services
        record: cython.pointer(Record) = cython.address(self.record)
        down: Side = self.down
        if self.state == X_DONE:
            return 0
        self.state = X_DONE
        record.ended_us = services.host.now_us
        if services.hooks is not None:
            services.run_phase(self, PH_LOGGING)
        services.cells.count_request(record)
        if services.log is not None:
            services.log.write_line(
                services.arena,
                record,
                cython.address(self.request),
                cython.address(self.response) if self.response_block else cython.NULL,
            )
        services.arena.free(self.head_block)
        if self.response_block:
            services.host.release(self.response_block)
            self.response_block = 0
        if self.replay_size >= 0:
            services.host.release(self.replay)
        self.peer = None
        self.tried = None
        self.request_changes = self.response_changes = None
        self.session = self.ctx = self.chosen = None
        self.target = None
        self.down = None
        down.left()
        return services.give_back(self)

    def resume(self, epoch, phase):
        """An async hook has come back."""
        if epoch != self.epoch or self.state == X_FREE or self.state == X_DONE:
            return 0
        if phase == PH_REQUEST:
            return self.after_request_filter()
        if phase == PH_PEER:
            return self.choose_peer()
        if phase == PH_UPSTREAM_REQUEST:
            return self.send_upstream() if self.up is not None else 0
        if phase == PH_RESPONSE:
            return self.up.go_on() if self.up is not None else 0
        return 0
