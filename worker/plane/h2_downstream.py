"""HTTP/2 towards the client: every stream is an exchange of its own, up to the bound that we have announced.

A client may cancel what it has asked for, or make us cancel it; either is charged to the connection's purse, and
the exchange ends with its stream, so that nobody can have more work under way than the bound allows.
"""

import cython
from cython.cimports.worker.plane.cells import C_H2_PROTOCOL
from cython.cimports.worker.plane.exchange import X_ANSWERING, X_PARKED, X_SENT, Exchange
from cython.cimports.worker.plane.h1_parse import H_CHUNKED, fault_text, scan_request
from cython.cimports.worker.plane.h1_write import BODY_CHUNKED, BODY_CLOSE
from cython.cimports.worker.plane.h2_answers import put_informational, put_reply, put_response
from cython.cimports.worker.plane.h2_blocks import pairs, text_end, text_memory
from cython.cimports.worker.plane.h2_client_body import body_overdue, watch_body
from cython.cimports.worker.plane.h2_connection import H2Connection, H2Stream
from cython.cimports.worker.plane.h2_control import (
    pay,
    put_leave,
    put_reset,
    was_reset_lately,
)
from cython.cimports.worker.plane.h2_credit import credit, settle_loan
from cython.cimports.worker.plane.h2_faults import (
    W_PROTOCOL,
    W_RESETS,
    W_STREAM_CLOSED,
    W_STREAMS,
    words_of,
)
from cython.cimports.worker.plane.h2_flow import (
    drain_early,
    send_data,
    send_trailers,
    take_trailers,
)
from cython.cimports.worker.plane.h2_frames import (
    E_CANCEL,
    E_INTERNAL,
    E_NO_ERROR,
    E_PROTOCOL,
    E_REFUSED_STREAM,
    WINDOW_LIMIT,
)
from cython.cimports.worker.plane.h2_heads import (
    H2Head,
    h2_fault_text,
    request_text,
)
from cython.cimports.worker.plane.h2_tunnel import upgrade_fields
from cython.cimports.worker.plane.record import (
    END_CLIENT_GONE,
    END_DRAIN_DEADLINE,
)
from cython.cimports.worker.plane.request_body import request_data, request_trailers

REFUSED_POINTS = cython.declare(cython.int, 5)
FAULT_POINTS = cython.declare(cython.int, 10)
LEAST_BYTES = cython.declare(cython.longlong, 1024)  # that a client must take within `send`


@cython.freelist(512)
@cython.cclass
class ClientStream(H2Stream):
    """One request of a client and its response."""

    # ---- the request

    def ready(self):
        return self.exchange is not None and self.exchange.state >= X_SENT

    def deliver(self, offset, size, last):
        x: Exchange = self.exchange
        if self.tunnel is not None:
            if size:
                self.tunnel.on_data(offset, size)
            return self.tunnel.on_eof() if last and self.tunnel is not None else 0
        if x.request_done:  # Content-Length: 0, and an empty DATA frame that says so again
            return 0
        return request_data(x, offset, size, last)

    def deliver_trailers(self, offset, size):
        x: Exchange = self.exchange
        return 0 if x.request_done else request_trailers(x, offset, size)

    def was_reset(self, error):
        x: Exchange = self.exchange
        if self.tunnel is not None:
            return self.tunnel.end(END_CLIENT_GONE)
        return 0 if x is None else x.client_gone(END_CLIENT_GONE)

    def receive_overdue(self):
        return body_overdue(self)

    # ---- the response

    def send_response(self, x, body, size, last):
        if not self.open:
            return 0
        if self.key_answer is not None and 200 <= x.response.status < 300:
            # RFC 8441 5: to the client that would mean that there is a tunnel
            x.record.status = 502
            return put_reply(self, x, 502, None, None)
        put_response(self, x, last and size == 0)
        return 0 if size == 0 else self.send_body(x, body, size, last)

    def send_body(self, x, offset, size, last):
        if self.head_only or not self.open:
            return 0
        x.record.body_bytes_sent += size
        x.record.bytes_sent += size
        return send_data(self, offset, size, last)

    def send_trailers(self, x, offset, size):
        return 0 if self.head_only else send_trailers(self, offset, size)

    def send_informational(self, x):
        return put_informational(self, x) if self.open else 0

    def send_reply(self, x, status, lines, body):
        return put_reply(self, x, status, lines, body) if self.open else 0

    def is_endless(self):
        x: Exchange = self.exchange
        if x is None or x.state != X_ANSWERING:
            return False
        return x.response_body == BODY_CHUNKED or x.response_body == BODY_CLOSE

    def sent_all(self):
        """RFC 9113 8.1: the client need not send the rest of its body."""
        return 0 if self.tunnel is not None else self.reset_stream(self.end_error)

    def send_overdue(self):
        if self.sent - self.sent_mark >= LEAST_BYTES:
            self.sent_mark = self.sent
            self.send_due_ms = self.connection.host.now_ms + self.owner.services.settings.send_ms
            return 0
        self.reset_stream(E_CANCEL)
        self.was_reset(E_CANCEL)
        return pay(self.owner, FAULT_POINTS, W_RESETS)

    def hold_sender(self):
        x: Exchange = self.exchange
        if self.tunnel is not None:
            return self.tunnel.on_blocked()
        return 0 if x is None or x.up is None else x.up.hold()

    def free_sender(self):
        x: Exchange = self.exchange
        if self.tunnel is not None:
            return self.tunnel.on_drained()
        return 0 if x is None or x.up is None or x.state == X_PARKED else x.up.go_on()

    # ---- what the exchange says

    def hold(self):
        self.held = True
        return 0

    def go_on(self):
        self.held = False
        return drain_early(self)

    def cut(self):
        """The response is not whole, and must not look so."""
        return self.reset_stream(E_INTERNAL)

    def left(self):
        owner: H2Connection = self.owner
        size: cython.longlong
        self.exchange = None
        if not self.open:
            return 0
        if not self.end_queued:
            return self.reset_stream(E_INTERNAL)
        size = settle_loan(self, self.early.bytes)
        owner.services.arena.chain_clear(cython.address(self.early))
        return credit(owner, None, size)


@cython.cclass
class H2Downstream(H2Connection):
    """One client connection."""

    def take_fields(self, stream, count, last):
        known: ClientStream = self.streams.get(stream)
        if known is not None:
            return take_trailers(known, count, last, False)
        if stream & 1 == 0:
            return self.fail(W_PROTOCOL)
        if stream <= self.last_stream:
            # RFC 9113 5.1: trailers that were on their way when we reset the stream
            if was_reset_lately(self, stream):
                return pay(self, 1, W_RESETS)
            return self.fail(W_STREAM_CLOSED)
        if self.leaving or len(self.streams) >= self.services.settings.streams:
            self.last_stream = stream
            put_reset(self, stream, E_REFUSED_STREAM)
            return pay(self, REFUSED_POINTS, W_STREAMS)
        return self.take_request(stream, count, last)

    def take_request(self, number, count, last):
        """RFC 9113 8.3.1: the fields as an HTTP/1.1 head, and that as any other request."""
        arena = self.services.arena
        stream: ClientStream = ClientStream.__new__(ClientStream)
        x: Exchange = self.services.take()
        head: H2Head
        text: cython.longlong = text_memory(self)
        used: cython.int
        size: cython.int
        stream.id = number
        self.open_stream(stream)
        stream.remote_done = stream.told_end = last
        size = request_text(arena.view, pairs(), count, text, text_end(self), cython.address(head))
        if size < 0:
            return self.refuse_fields(stream, x, -size, h2_fault_text(head.fault), text, 0)
        if head.extended and not self.offers_connect:
            return self.refuse_fields(stream, x, 405, "CONNECT is not served", text, 0)
        if head.extended:
            size = self.ask_to_switch(stream, text, size)
        used = scan_request(
            arena.view,
            text,
            text + size,
            cython.address(x.request),
            cython.address(self.services.settings.limits),
        )
        if used <= 0:
            return self.refuse_fields(
                stream, x, -used if used else 400, fault_text(x.request.fault), text, size
            )
        stream.length_left = x.request.content_length
        # RFC 8441 5: what follows an extended CONNECT is a tunnel's.
        if stream.length_left > 0 if last else head.extended and stream.length_left >= 0:
            return self.refuse_fields(stream, x, 400, "Content-Length is not true", text, size)
        if last and head.extended:
            return self.refuse_fields(stream, x, 400, "a tunnel that has ended", text, size)
        return self.begin_request(stream, x)

    def begin_request(self, stream, x):
        """The head is one; its text is still where it was written."""
        if not stream.remote_done and stream.key_answer is None:
            if stream.length_left < 0:
                x.request.flags |= H_CHUNKED
            watch_body(stream)
        # Of one length, and nobody reads it but the log.
        self.services.arena.put(x.request.start + x.request.line_size - 8, b"HTTP/2.0")
        x.request.minor = 20
        x.record.stream = cython.cast(cython.int, stream.id)
        self.front.started_us = self.connection.host.now_us
        self.front.fill_record(x)
        stream.exchange = x
        x.begin(stream)
        if self.services.settings.keepalive_requests and (
            self.front.requests >= self.services.settings.keepalive_requests
        ):
            return self.warn()
        return 0

    def ask_to_switch(self, stream, text, size):
        """An extended CONNECT as the request that makes an origin switch; returns its size, 0: it cannot be one."""
        arena = self.services.arena
        if b"\r\nsec-websocket-key:" in arena.take(text, size):
            return 0
        lines, stream.key_answer = upgrade_fields()
        return size - 2 + arena.put(text + size - 2, lines)

    def refuse_fields(self, stream, x, status, cause, text, size):
        """A head that is none: RFC 9113 8.1.1 lets us answer before the stream is reset."""
        x.request.fault = 1
        x.request.minor = 20
        x.record.stream = cython.cast(cython.int, stream.id)
        x.request.start = text
        x.request.size = cython.cast(cython.int, size)
        self.front.started_us = self.connection.host.now_us
        self.front.fill_record(x)
        stream.exchange = x
        if status == 400:
            stream.end_error = E_PROTOCOL
        self.front.refuse_unread(x, stream, status, cause)
        return pay(self, FAULT_POINTS, W_RESETS)

    # ---- the connection

    def emptied(self):
        """No stream is left: the next, or the end."""
        if self.leaving:
            return self.wind_up()
        self.idle_due_ms = self.connection.host.now_ms + self.services.settings.idle_ms
        return self.expect(self.idle_due_ms)

    def idle_overdue(self):
        return self.leave()

    def warn(self):
        """RFC 9113 6.8: requests that are on their way are still served."""
        if self.warned or self.dying:
            return 0
        self.warned = True
        put_leave(self, WINDOW_LIMIT, E_NO_ERROR)
        self.leave_due_ms = self.connection.host.now_ms + self.services.linger_ms()
        return self.expect(self.leave_due_ms)

    def leave(self):
        if self.leaving or self.dying:
            return 0
        self.warned = self.leaving = True
        put_leave(self, self.last_stream, E_NO_ERROR)
        return 0 if self.streams else self.wind_up()

    def drain(self):
        """Serve what is under way, and what comes before the client has heard that it should go elsewhere."""
        return self.warn()

    def busy(self):
        stream: ClientStream
        for stream in self.streams.values():
            if stream.tunnel is None:
                return True
        return False

    def endless(self):
        count: cython.int = 0
        for stream in self.streams.values():
            count += cython.cast(ClientStream, stream).is_endless()
        return count

    def end_requests(self, endless, most):
        count: cython.int = 0
        stream: ClientStream
        x: Exchange
        self.leave()
        for stream in list(self.streams.values()):
            if stream.tunnel is not None or not stream.open or count >= most:
                continue
            if stream.is_endless() == endless:
                x = stream.exchange
                stream.reset_stream(E_CANCEL)
                if x is not None:
                    x.client_gone(END_DRAIN_DEADLINE)
                count += 1
        return count

    def lost(self):
        return self.front.on_closed()

    def blame(self, why):
        return self.front.unwelcome(C_H2_PROTOCOL + why, words_of(self, why))


def start_h2(front, offset, size):
    h2: H2Downstream = H2Downstream.__new__(H2Downstream)
    h2.front = front
    h2.services = front.services
    h2.connection = front.connection
    h2.connection.handler = h2
    h2.connection.clear_deadline()
    h2.offers_connect = h2.services.routes.has_tunnels
    h2.begin()
    h2.emptied()
    if h2.services.draining:
        h2.drain()
    return h2.on_data(offset, size)
