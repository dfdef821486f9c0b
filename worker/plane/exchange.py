"""One request and its response: routing, peers, attempts, and the one door through which errors leave.

    ROUTING -> (PARKED) -> (QUEUED) -> DIALING -> SENT -> ANSWERING -> DONE
        \\______________ reply or refuse ______________/

A downstream side brings the request and takes the response; an upstream side the reverse. Both are told
what to do, neither knows the other. All that ends an exchange comes through `finish`, which logs and counts once.
"""

import cython
from cython.cimports.worker.plane.attempts import choose_peer, send_upstream, upstream_failed
from cython.cimports.worker.plane.connection import Handler
from cython.cimports.worker.plane.grpc_answers import end_call, send_answer
from cython.cimports.worker.plane.h1_parse import (
    H_CHUNKED,
    M_DELETE,
    M_GET,
    M_HEAD,
    M_OPTIONS,
    M_PUT,
    M_TRACE,
)
from cython.cimports.worker.plane.h1_write import BODY_CHUNKED, BODY_LENGTH, BODY_NONE
from cython.cimports.worker.plane.hook_slots import (
    PH_LOGGING,
    PH_PEER,
    PH_REQUEST,
    PH_RESPONSE,
    PH_UPSTREAM_REQUEST,
    WANTS_LOGGING,
)
from cython.cimports.worker.plane.record import (
    END_CLIENT_GONE,
    END_OK,
    END_UPSTREAM_CLOSED,
)
from cython.cimports.worker.plane.request_id import next_random, take_request_id
from cython.cimports.worker.plane.routing import after_request_filter, find_route
from cython.cimports.worker.plane.tally import tally


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
        """For a later request."""
        x.state = X_FREE
        if len(self.spare) < 512:  # of some 10 KB each; HTTP/2 has many at once
            self.spare.append(x)
        else:
            x.session = None  # they hold each other
        return 0

    def random(self):
        """For request ids and spreading, never for secrets."""
        return next_random(cython.address(self.random_state))

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

    def ask_balancer(self, x):
        raise NotImplementedError

    def hook_raised(self, x, phase, error):
        raise NotImplementedError

    def hook_done(self, x, epoch, phase, answer, error):
        raise NotImplementedError


@cython.cclass
class Exchange:
    """One request and its response. Reused: `begin` sets everything that `finish` does not clear."""

    def __repr__(self) -> str:
        return (
            f"<Exchange state={self.state} attempts={self.record.attempts} status={self.record.status}"
            f" down={self.down!r} up={self.up!r}>"
        )

    # ---- the request's head

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
        self.idempotent = method in (M_GET, M_HEAD, M_PUT, M_DELETE, M_OPTIONS, M_TRACE)
        self.line.upgrade = False
        self.line.length = self.request.content_length
        if self.request.flags & H_CHUNKED:
            self.line.body = BODY_CHUNKED
        else:
            self.line.body = BODY_LENGTH if self.request.content_length >= 0 else BODY_NONE
        self.request_done = self.line.body == BODY_NONE or self.request.content_length == 0
        self.begin_record()
        record.request_bytes = self.request.size
        take_request_id(
            arena,
            cython.address(self.request),
            record,
            self.services.random(),
            self.services.random(),
        )
        return find_route(self)

    def begin_record(self):
        """What every request's record starts from."""
        record: cython.pointer(Record) = cython.address(self.record)
        record.method = self.request.method
        record.minor = self.request.minor
        record.request_bytes = 0
        record.ending = END_OK
        record.status = 0
        record.route = -1
        record.attempts = record.hook_peer = 0
        record.queue_us = record.body_bytes_sent = record.bytes_sent = 0
        record.request_id_size = 0
        self.body_seen = 0
        self.replay_size = -1
        self.fresh = False
        self.hooked = 0
        self.response_length = -1
        self.response.count = 0
        self.route = None
        return 0

    # ---- ends

    def reply(self, status, lines, body, ending):
        """Answer ourselves; `lines` are whole field lines."""
        if self.state >= X_ANSWERING:
            return 0
        self.drop_upstream(False)
        self.response.count = 0  # what an origin said before this is not the answer
        self.record.status = status
        self.record.ending = ending
        self.state = X_ANSWERING
        send_answer(self, status, lines, body)
        return self.finish()

    def refuse(self, status, ending, cause):
        """An error answer, or a visible cut when the response has begun."""
        self.record.ending = ending
        if status >= 500 and self.services.on_error is not None:
            self.services.on_error(status, cause, self)
        if self.state == X_ANSWERING:
            self.drop_upstream(False)
            if not end_call(self, status):
                self.down.cut()
            return self.finish()
        return self.reply(status, None, None, ending)

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
        self.up = None
        if self.counted:
            self.services.cells.leave_peer(self.peer.cell)
            self.counted = False
        if up is not None:
            up.exchange = None
            if clean and self.request_done:
                up.left()
            else:
                up.cut()
        return 0 if self.peer is None else self.services.forget(self)

    def finish(self):
        """The one end: log, count, free, and let the downstream side go on."""
        services: Services = self.services
        record: cython.pointer(Record) = cython.address(self.record)
        down: Side = self.down
        me: Exchange = self  # the last reference elsewhere may go meanwhile
        lives_on: cython.bint = False
        if self.state == X_DONE:
            return 0
        self.state = X_DONE
        if self.parked is not None:  # nobody is left to wait for it
            parked, self.parked = self.parked, None
            parked.cancel()
        record.ended_us = services.host.now_us
        if self.hooked & WANTS_LOGGING:
            lives_on = services.run_phase(self, PH_LOGGING) == PHASE_PARKED
        services.cells.count_request(record)
        tally(services.cells, record)
        if services.log is not None:
            services.log.write_line(
                services.arena,
                record,
                cython.address(self.request),
                cython.address(self.response) if self.response_block else cython.NULL,
            )
        self.down = None
        if lives_on:  # what the session shows lives until the coroutine has ended
            return down.left()
        self.let_go()
        down.left()
        return services.give_back(me)

    def let_go(self):
        """Free what it holds; from now on its session is over."""
        services: Services = self.services
        self.epoch += 1
        services.arena.free(self.head_block)
        if self.response_block:
            services.host.release(self.response_block)
            self.response_block = 0
        if self.replay_size >= 0:
            services.host.release(self.replay)
        self.peer = None
        self.tried = None
        self.request_changes = self.response_changes = None
        self.ctx = self.chosen = None
        self.target = None
        self.bridge = None
        return 0

    def resume(self, epoch, phase):
        """An async hook has come back."""
        if epoch != self.epoch or self.state == X_FREE or self.state == X_DONE:
            return 0
        if phase == PH_REQUEST:
            return after_request_filter(self)
        if phase == PH_PEER:
            return choose_peer(self)
        if phase == PH_UPSTREAM_REQUEST:
            if self.up is None:  # the origin closed it meanwhile
                return upstream_failed(self, END_UPSTREAM_CLOSED, True)
            return send_upstream(self)
        if phase == PH_RESPONSE:
            if not self.request_done:
                self.down.go_on()
            if epoch == self.epoch and self.up is not None:
                return self.up.go_on()
        return 0
