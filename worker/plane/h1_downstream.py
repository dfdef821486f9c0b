"""HTTP/1.0 and 1.1 towards the client: responses out, and what happens to the connection between and after them."""

import cython
from cython.cimports.worker.plane.cells import C_BROKEN_TLS_FLOOD, C_BROKEN_TLS_PROTOCOL
from cython.cimports.worker.plane.exchange import X_ANSWERING, X_PARKED, X_SENT, Exchange
from cython.cimports.worker.plane.h1_body import put_payload, put_trailers
from cython.cimports.worker.plane.h1_parse import M_HEAD
from cython.cimports.worker.plane.h1_requests import (
    D_BODY,
    D_DISCARD,
    D_HEAD,
    D_IDLE,
    D_LINGER,
    D_WAIT,
    H1Requests,
)
from cython.cimports.worker.plane.h1_write import (
    BODY_CHUNKED,
    BODY_CLOSE,
    BODY_LENGTH,
    BODY_NONE,
    PERSIST_CLOSE,
    PERSIST_DEFAULT,
    PERSIST_KEEP_ALIVE,
    ResponseLine,
    head_room,
    render_response,
)
from cython.cimports.worker.plane.record import (
    END_CLIENT_GONE,
    END_CLIENT_TIMEOUT,
    END_DRAIN_DEADLINE,
)
from cython.cimports.worker.plane.reply import render_reply, reply_body
from cython.cimports.worker.plane.route import Route

COPY_BYTES = cython.declare(cython.longlong, 4096)  # below, copying is cheaper than another vector
LINGER_MS = cython.declare(cython.longlong, 2000)


@cython.cclass
class H1Downstream(H1Requests):
    """One client connection."""

    # ---- what the exchange says

    def go_on(self):
        """The exchange takes body bytes (again)."""
        if self.state != D_BODY or self.processing:
            return 0
        if self.carry:
            self.process_carry()
        if self.state == D_BODY and not self.stalled and self.connection.fd >= 0:
            self.body_start_ms = (
                self.connection.host.now_ms
            )  # the time we held it up is not the client's
            self.body_read = 0
            self.connection.resume()
        return 0

    def takes_raw(self):
        return None if self.tls or self.chunked or self.head_only else self.connection

    def hold(self):
        return self.connection.pause()

    def persistence(self):
        """What the Connection field of the response must say."""
        # A request that is here already is answered even in a drain: its answer says that it is the last one.
        if (
            not self.persistent
            or self.until_close
            or (self.services.draining and not self.carry_size)
        ):
            self.persistent = False
            return PERSIST_CLOSE
        if self.exchange.request.minor == 0:
            return PERSIST_KEEP_ALIVE
        return PERSIST_DEFAULT

    def send_response(self, x, body, size, last):
        arena = self.services.arena
        line: ResponseLine
        at: cython.longlong
        used: cython.longlong
        room: cython.longlong
        status: cython.int = x.response.status
        self.head_only = x.request.method == M_HEAD or status == 304 or status == 204
        self.chunked = False
        self.until_close = False
        line.body = x.response_body
        line.length = x.response_length
        line.show_length = self.head_only and status != 204
        line.upgrade = status == 101  # it was agreed to, or would not have come this far
        if self.head_only or line.upgrade:
            line.body = BODY_NONE
        elif line.body != BODY_LENGTH:
            self.chunked = x.request.minor == 1
            self.until_close = not self.chunked
            line.body = BODY_CHUNKED if self.chunked else BODY_NONE
        line.persistence = PERSIST_DEFAULT if line.upgrade else self.persistence()
        room = head_room(
            cython.address(x.response),
            cython.address(x.record),
            x.route.response_edits,
            x.response_changes,
        )
        at = self.connection.host.turn_memory(room + COPY_BYTES)
        used = render_response(
            arena,
            at,
            cython.address(x.response),
            cython.address(line),
            x.route.response_edits,
            x.response_changes,
        )
        x.record.bytes_sent += used
        if self.connection.blocked:
            x.up.hold()
        if self.chunked or size > COPY_BYTES:
            self.connection.write(at, used)
            return self.send_body(x, body, size, last)
        if size and not self.head_only:
            arena.copy(at + used, body, size)
            x.record.body_bytes_sent += size
            x.record.bytes_sent += size
            used += size
        self.connection.write(at, used)
        return 0

    def send_body(self, x, offset, size, last):
        if self.head_only:
            return 0
        x.record.body_bytes_sent += size
        x.record.bytes_sent += size
        return put_payload(self.connection, self.chunked, offset, size, last)

    def send_trailers(self, x, offset, size):
        if self.chunked and not self.head_only:
            return put_trailers(self.connection, offset, size)
        return 0

    def send_informational(self, x):
        """A 1xx of the origin, for a client that can know what it is (RFC 9110 15.2)."""
        arena = self.services.arena
        line: ResponseLine
        at: cython.longlong
        if x.request.minor == 0:
            return 0
        line.body = BODY_NONE
        line.length = 0
        line.show_length = False
        line.upgrade = False
        line.persistence = PERSIST_DEFAULT
        at = self.connection.host.turn_memory(
            head_room(cython.address(x.response), cython.address(x.record), None, None)
        )
        return self.connection.write(
            at,
            render_response(
                arena, at, cython.address(x.response), cython.address(line), None, None
            ),
        )

    def send_reply(self, x, status, lines, body):
        """An answer of our own; one to what was no request has the header changes of [proxy]."""
        route: Route = x.route if x.route is not None else self.services.routes.default
        content: bytes = reply_body(status, body)
        self.head_only = x.request.method == M_HEAD
        self.until_close = False
        text: bytes = render_reply(
            status,
            lines,
            content,
            route.response_edits if route is not None else None,
            self.head_only,
            self.persistence(),
        )
        x.record.bytes_sent += len(text)
        if not self.head_only:
            x.record.body_bytes_sent += len(content)
        return self.connection.write_bytes(text)

    def left(self):
        """The exchange is over: the next request, the rest of the body, or the end."""
        self.exchange = None
        self.started_us = 0
        if self.connection.fd < 0 or self.state == D_LINGER:
            return 0
        if self.state == D_BODY:
            self.state = D_DISCARD
            self.stalled = False
            if not self.persistent:
                return self.wind_up()
            self.connection.set_deadline(self.services.settings.body_ms)
            self.connection.resume()
            return 0 if self.processing else self.process_carry()
        if self.state == D_DISCARD:
            return self.wind_up()
        return self.rest()

    def rest(self):
        """Between requests."""
        if not self.persistent:
            return self.wind_up()
        self.state = D_IDLE
        if self.processing:
            return 0
        if self.carry:
            return self.process_carry()
        self.connection.set_deadline(self.idle_ms())
        return self.connection.resume()

    def wind_up(self):
        """No further request is served: close once the answer is out.

        Closing while the client still sends would reset the connection and could destroy the answer
        before it is read (RFC 9112 9.6): then only our side is closed, and the rest thrown away.
        """
        unread: cython.bint = self.state == D_DISCARD or self.carry or self.connection.readable
        self.drop_carry()
        self.state = D_LINGER
        self.body_read = 0
        if not unread:
            return self.connection.finish()
        self.connection.finish_sending()
        if not self.connection.blocked:
            self.connection.set_deadline(LINGER_MS)
        return self.connection.resume()

    def at_rest(self):
        """Between requests with nothing on the way: another plane could go on from here."""
        connection = self.connection
        return (
            self.state == D_IDLE
            and connection.fd >= 0
            and not self.proxied  # only its descriptor goes, and that does not know the client
            and not self.tls
            and not (self.carry or connection.readable or connection.pending())
            and not (connection.peer_done or connection.failed or connection.finishing)
        )

    def drop_carry(self):
        """What was kept is of no use any more."""
        if self.carry:
            self.connection.host.release(self.carry)
        self.carry = self.carry_size = 0
        return 0

    def cut(self):
        """The response is not whole. An unfinished body shows it, unless its end is the close: then a reset."""
        self.persistent = False
        if self.until_close:
            self.connection.reset()
        else:
            self.connection.finish()
        return 0

    def drain(self):
        """Serve what is under way; an idle connection gets a little time for a request that may be on its way."""
        if self.state == D_IDLE and self.connection.fd >= 0 and not self.connection.blocked:
            self.connection.set_deadline(self.idle_ms())
        return 0

    def is_stream(self):
        """Whether it has begun to send a response whose end nobody knows."""
        x: Exchange = self.exchange
        if x is None or x.state != X_ANSWERING:
            return False
        return x.response_body == BODY_CHUNKED or x.response_body == BODY_CLOSE

    def end_for_drain(self):
        """The time that a draining worker gives it is over."""
        x: Exchange = self.exchange
        self.connection.close()
        if x is not None:
            x.client_gone(END_DRAIN_DEADLINE)
        return 0

    # ---- events other than bytes

    def on_eof(self):
        """The client sends no more. Seen only while we read: an unanswered complete request is answered first."""
        if self.state == D_BODY:
            return self.on_failed(0)
        return self.connection.finish()

    def on_failed(self, error):
        x: Exchange = self.exchange
        self.connection.close()
        if x is not None:
            x.client_gone(END_CLIENT_GONE)
        return 0

    def on_closed(self):
        self.services.clients -= 1
        if self.tls and self.layer.failure:
            flood: cython.bint = self.layer.is_flood()
            counter: cython.int = C_BROKEN_TLS_FLOOD if flood else C_BROKEN_TLS_PROTOCOL
            self.unwelcome(counter, f"TLS: {self.layer.failure}")
        return self.drop_carry()

    def on_blocked(self):
        if self.exchange is not None and self.exchange.up is not None:
            self.exchange.up.hold()
        self.sent_mark = self.connection.bytes_out
        return self.connection.set_deadline(self.services.settings.send_ms)

    def on_drained(self):
        x: Exchange = self.exchange
        self.connection.clear_deadline()
        if self.state == D_IDLE:
            return self.rest()
        if self.state == D_HEAD:
            self.connection.set_deadline(self.services.settings.header_ms)
        elif self.state == D_BODY or self.state == D_DISCARD:
            self.connection.set_deadline(self.services.settings.body_ms)
        elif self.state == D_LINGER:
            self.connection.set_deadline(LINGER_MS)
        if x is not None and x.up is not None and x.state != X_PARKED:
            x.up.go_on()
        return 0

    def on_deadline(self):
        """What has taken too long depends on the state."""
        x: Exchange = self.exchange
        if self.connection.blocked and self.connection.bytes_out == self.sent_mark:
            return self.on_failed(0)  # the client does not read
        if self.connection.blocked:
            return self.on_blocked()
        if self.state == D_HEAD:
            return self.head_overdue()
        if self.state == D_BODY and self.body_overdue():
            self.persistent = False
            return x.refuse(408, END_CLIENT_TIMEOUT, "the request body came too slowly")
        if self.state == D_BODY:
            return self.connection.set_deadline(self.services.settings.body_ms)
        if self.state == D_WAIT:
            return 0
        if self.services.draining and self.state == D_IDLE and self.connection.listen_once_more():
            return self.connection.set_deadline(LINGER_MS)
        return self.connection.close()

    def head_overdue(self):
        """A head that is not complete in time (slow loris): 408, and no second chance."""
        x: Exchange = self.services.take()
        self.fill_record(x)
        self.exchange = x
        self.persistent = False
        self.state = D_DISCARD
        x.request.start = self.carry
        x.request.size = cython.cast(cython.int, min(self.carry_size, 1024))
        return self.refuse_unread(x, self, 408, "the request head was not complete in time")

    def body_overdue(self):
        """Nothing for `body` seconds while we were willing to read: it is the client who is slow."""
        return self.connection.reading and self.exchange.state >= X_SENT
