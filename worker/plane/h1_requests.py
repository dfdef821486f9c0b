"""HTTP/1.0 and 1.1 requests as they come in: heads, bodies, what is sent ahead; one exchange at a time.

    IDLE -> (HEAD) -> (BODY) -> WAIT -> IDLE        keep-alive
                  \\-> DISCARD -> IDLE | LINGER      answered before the body was read

What a client sends ahead (pipelining) stays in `carry`, at most one slot of it: nothing is read
while an exchange is under way and its request is complete.
"""

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.worker.plane.exchange import X_ROUTING, X_SENT, Exchange, Side
from cython.cimports.worker.plane.h1_body import Piece, body_begins, body_piece
from cython.cimports.worker.plane.h1_parse import (
    H_CHUNKED,
    H_CLOSE,
    H_KEEP_ALIVE,
    fault_text,
    scan_request,
    worth_scanning,
)
from cython.cimports.worker.plane.h1_write import BODY_CHUNKED, BODY_LENGTH, BODY_NONE
from cython.cimports.worker.plane.h2_downstream import start_h2
from cython.cimports.worker.plane.h2_frames import preface
from cython.cimports.worker.plane.hook_slots import WANTS_REQUEST_BODY
from cython.cimports.worker.plane.record import END_BAD_REQUEST, END_CLIENT_TIMEOUT, Record
from cython.cimports.worker.plane.request_body import request_data, request_trailers

UNSENT_BYTES = cython.declare(
    cython.longlong, 1 << 16
)  # of answers that the client has not taken: above, the next request waits
DISCARD_BYTES = cython.declare(
    cython.longlong, 1 << 18
)  # of a body nobody wants; then the connection closes

SPLICE_FROM_BYTES = cython.declare(cython.longlong, 65536)  # below, reading and writing is cheaper


@cython.cclass
class H1Requests(Side):
    """The receiving half of a client connection; H1Downstream adds the answers."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} state={self.state} requests={self.requests} {self.connection!r}>"

    def unwelcome(self, counter, cause):
        client: bytes = self.client[: self.client_size]
        services = self.services
        services.cells.add(counter, 1)
        name = services.listener_address(self.listener)
        services.on_unwelcome(name, client.decode(), cause, counter)
        return 0

    # ---- bytes in

    def on_data(self, offset, size):
        if self.state == D_LINGER:
            self.body_read += size
            return self.connection.close() if self.body_read > DISCARD_BYTES else 0
        if self.carry:
            return self.append(offset, size)
        if self.state == D_BODY:
            self.connection.set_deadline(self.services.settings.body_ms)
        return self.process(offset, offset + size)

    def process(self, offset, end):
        """Use what was read, request after request, as far as it goes; the rest is kept."""
        position: cython.longlong = offset
        self.processing = True
        try:
            while position < end and self.connection.fd >= 0:
                if self.state == D_IDLE:
                    if self.congested():
                        break
                    if not self.started_us:
                        self.started_us = self.connection.host.now_us
                    position = self.take_head(position, end)
                    if position < 0:
                        return 0
                elif self.state == D_BODY or self.state == D_DISCARD:
                    position = self.take_body(position, end)
                    if self.stalled or position < 0:
                        break
                else:
                    break
        finally:
            self.processing = False
        if self.connection.fd < 0 or position < 0 or self.state == D_LINGER:
            return 0
        if position < end:
            self.keep(position, end - position)
            self.carry_room = self.services.arena.block_size(self.carry)
            self.connection.pause()
        elif self.state == D_WAIT:
            self.connection.pause()
        elif self.state == D_IDLE:
            self.connection.set_deadline(self.idle_ms())
            self.connection.resume()
        return 0

    def congested(self):
        """The client has not taken its earlier answers: were it served on, they would pile up here."""
        if not self.connection.blocked and self.connection.pending() > UNSENT_BYTES:
            self.connection.blocked = True  # so that on_drained is said when all of it is out
        if self.connection.blocked:
            self.connection.set_deadline(self.services.settings.send_ms)
        return self.connection.blocked

    def idle_ms(self):
        """How long to wait for the next request; in a drain also for the first one."""
        settings = cython.address(self.services.settings)
        if not self.services.draining:
            return settings.idle_ms
        return self.services.linger_ms() if self.requests else settings.first_word_ms

    def take_head(self, offset, end):
        """Scan a head and begin its exchange; returns where its body begins, -1 when nothing more can be done."""
        x: Exchange = self.services.take()
        size: cython.int = scan_request(
            self.services.arena.view,
            offset,
            end,
            cython.address(x.request),
            cython.address(self.services.settings.limits),
        )
        if size == 0:
            self.services.give_back(x)
            self.keep(offset, end - offset)
            self.carry_room = self.services.arena.block_size(self.carry)
            self.checked = self.carry_size
            self.state = D_HEAD
            self.connection.set_deadline(self.services.settings.header_ms)
            self.connection.resume()
            return -1
        if size < 0 and self.requests == 0 and not self.tls:
            if preface(self.services.arena.view, offset, end) >= 0:
                self.services.give_back(x)
                start_h2(self, offset, end - offset)
                return -1
        self.fill_record(x)
        if size < 0:
            x.request.size = cython.cast(cython.int, min(end - offset, 1024))  # for the log
            self.refuse_head(x, -size)
            return -1
        self.exchange = x
        self.connection.clear_deadline()
        self.persistent = x.request.flags & H_CLOSE == 0 and (
            x.request.minor == 1 or x.request.flags & H_KEEP_ALIVE != 0
        )
        limit: cython.longlong = self.services.settings.keepalive_requests
        if self.services.draining or (limit and self.requests >= limit):
            self.persistent = False
        self.expect_body(x)
        x.begin(self)
        return offset + size

    def expect_body(self, x):
        """RFC 9112 6.3: a request has a body when it says so, and none otherwise."""
        length: cython.longlong = x.request.content_length
        self.body_read = 0
        if x.request.flags & H_CHUNKED:
            body_begins(cython.address(self.incoming), BODY_CHUNKED, 0)
        else:
            body_begins(
                cython.address(self.incoming), BODY_LENGTH if length > 0 else BODY_NONE, length
            )
        if self.incoming.kind == BODY_NONE:
            self.state = D_WAIT
            return 0
        self.state = D_BODY
        self.body_start_ms = self.connection.host.now_ms
        return self.connection.set_deadline(self.services.settings.body_ms)

    def fill_record(self, x):
        """What the log will say about the client."""
        record: cython.pointer(Record) = cython.address(x.record)
        self.requests += 1
        record.started_us = self.started_us
        record.wall_us = self.connection.host.wall_us
        record.listener = self.listener
        record.connection_requests = cython.cast(cython.int, self.requests)
        record.connection_id = self.connection.id
        record.client_port = self.client_port
        record.tls = self.tls
        record.secured = self.secured
        record.client_size = record.peer_address_size = self.client_size
        memcpy(record.client, self.client, self.client_size)
        memcpy(record.peer_address, self.client, self.client_size)
        if self.trusted and x.request.fault == 0:
            self.networks.find_client(
                self.services.arena, cython.address(x.request), cython.address(x.record)
            )
        x.line.trusted = self.trusted
        x.loopback = self.loopback
        x.line.tls = self.tls
        return 0

    def refuse_head(self, x, status):
        """A head that is not HTTP: answer, count, close. Nothing behind it can be trusted."""
        self.state = D_DISCARD
        self.exchange = x
        self.persistent = False
        return self.refuse_unread(x, self, status, fault_text(x.request.fault))

    def refuse_unread(self, x, down, status, cause):
        """What came is no request: answer, log what there is of its first line, and count."""
        i: cython.int
        line: cython.longlong
        arena = self.services.arena
        x.down = down
        x.state = X_ROUTING
        x.route = None
        size: cython.longlong = min(max(x.request.size, 0), 1024)
        x.head_block = arena.alloc(1024)
        arena.copy(x.head_block, x.request.start, size)
        line = arena.find(x.head_block, x.head_block + size, 10)
        if line > x.head_block and arena.view[line - 1] == 13:
            line -= 1
        x.request.start = x.head_block
        x.request.line_size = cython.cast(cython.int, line - x.head_block if line >= 0 else size)
        x.request.size = x.request.line_size
        x.request.count = 0
        x.request.method = x.request.method_size = 0
        x.request.path_size = x.request.query_size = x.request.authority_size = 0
        x.request.target_size = 0
        for i in range(24):
            x.request.first[i] = -1
        x.begin_record()
        return x.refuse(status, END_CLIENT_TIMEOUT if status == 408 else END_BAD_REQUEST, cause)

    def append(self, offset, size):
        """More of a head, a chunk line or trailers that come in pieces."""
        arena = self.services.arena
        start: cython.longlong
        if self.carry_size + size > self.carry_room:
            start = arena.alloc(min(max(self.carry_room * 2, self.carry_size + size), 1 << 18))
            arena.copy(start, self.carry, self.carry_size)
            self.connection.host.release(self.carry)
            self.carry = start
            self.carry_room = arena.block_size(start)
        arena.copy(self.carry + self.carry_size, offset, size)
        self.carry_size += size
        if (
            self.state == D_HEAD
            and self.carry_size < self.services.settings.limits.head_bytes
            and not worth_scanning(
                arena.view,
                self.carry,
                self.carry + self.checked,
                self.carry + self.carry_size,
            )
        ):
            self.checked = max(self.carry_size - 3, 0)
            return 0
        return self.process_carry()

    def process_carry(self):
        """What was kept is looked at again."""
        block: cython.longlong = self.carry
        size: cython.longlong = self.carry_size
        if not block:
            return 0
        self.carry = 0
        self.carry_size = 0
        self.connection.host.release(block)
        if self.state == D_HEAD:
            self.state = D_IDLE  # what is worth scanning is a whole head, or none
        return self.process(block, block + size)

    def take_body(self, offset, end):
        """Hand body bytes to the exchange, or throw them away; returns where the next request begins."""
        x: Exchange = self.exchange
        piece: Piece
        self.stalled = False
        if self.state == D_BODY and x.state < X_SENT:
            self.stalled = True
            return offset
        body_piece(
            self.services.arena,
            cython.address(self.incoming),
            offset,
            end,
            cython.address(piece),
        )
        self.body_read += piece.position - offset
        self.connection.sink_left = self.incoming.left
        if self.body_too_slow():
            self.persistent = False
            self.exchange.refuse(408, END_CLIENT_TIMEOUT, "the request body came too slowly")
            return -1
        if piece.bad:
            self.bad_body()
            return -1
        if self.state == D_DISCARD:
            if piece.last:
                self.rest()
            elif self.body_read > DISCARD_BYTES:
                self.wind_up()
        elif piece.last:
            self.state = D_WAIT
            self.connection.clear_deadline()
            if piece.trailers_size:
                if piece.size:
                    request_data(x, piece.offset, piece.size, False)
                request_trailers(x, piece.trailers, piece.trailers_size)
            else:
                request_data(x, piece.offset, piece.size, True)
        elif piece.size:
            request_data(x, piece.offset, piece.size, False)
            self.splice_rest(x)
        if not piece.last and piece.position < end and self.state != D_LINGER:
            # A chunk line or trailers in pieces: shown again with what follows.
            self.keep(piece.position, end - piece.position)
            self.carry_room = self.services.arena.block_size(self.carry)
            self.connection.resume()
            return -1
        return piece.position

    def splice_rest(self, x):
        """What is still to come of a long counted body goes from socket to socket, unless somebody wants to see it."""
        if self.incoming.kind == BODY_LENGTH and self.incoming.left > SPLICE_FROM_BYTES:
            if self.state == D_BODY and not self.tls and self.exchange is x and x.up is not None:
                if self.connection.sink is None and not x.hooked & WANTS_REQUEST_BODY:
                    self.connection.sink = x.up.takes_raw()
        return 0

    def on_spliced(self, size):
        x: Exchange = self.exchange
        if x is None or x.up is None or self.state != D_BODY:
            return self.on_failed(0)
        self.incoming.left -= size
        self.body_read += size
        x.body_seen += size
        x.record.request_bytes += size
        x.record.tries[x.record.attempts - 1].bytes_sent += size
        if self.body_too_slow():
            self.persistent = False
            return x.refuse(408, END_CLIENT_TIMEOUT, "the request body came too slowly")
        if self.incoming.left > 0:
            x.up.connection.set_deadline(x.route.response_ms)
            return self.connection.set_deadline(self.services.settings.body_ms)
        self.state = D_WAIT
        self.connection.sink = None
        self.connection.clear_deadline()
        self.connection.pause()
        return request_data(x, 0, 0, True)

    def body_too_slow(self):
        """Less than the least rate on the average since the body began, or since we last held it up."""
        elapsed_ms: cython.longlong = self.connection.host.now_ms - self.body_start_ms
        if self.state != D_BODY or elapsed_ms < self.services.settings.body_ms:
            return False
        return self.body_read * 1000 < self.services.settings.body_rate * elapsed_ms

    def bad_body(self):
        """Framing is lost: the rest of the connection means nothing."""
        self.persistent = False
        if self.state == D_DISCARD:
            self.wind_up()
        else:
            self.exchange.refuse(400, END_BAD_REQUEST, fault_text(self.incoming.chunks.fault))
        return 0

    def rest(self):
        raise NotImplementedError

    def wind_up(self):
        raise NotImplementedError
