"""HTTP/1.1 towards the origin: one request at a time out, its response in.

    CONNECTING -> HEAD -> (PARKED) -> BODY -> SPENT -> IDLE -> HEAD ...

Whatever the origin does that is not a well-framed answer to our one request ends the connection; the
exchange decides what that means for the client.
"""

import cython
from cython.cimports.worker.plane.answers import (
    keep_response_head,
    response_data,
    response_head,
    response_start,
    response_trailers,
)
from cython.cimports.worker.plane.attempts import upstream_failed
from cython.cimports.worker.plane.exchange import (
    PHASE_GO_ON,
    PHASE_PARKED,
    X_PARKED,
    Exchange,
    Side,
)
from cython.cimports.worker.plane.h1_body import (
    Piece,
    body_begins,
    body_piece,
    put_payload,
    put_trailers,
)
from cython.cimports.worker.plane.h1_parse import (
    H_CHUNKED,
    H_CLOSE,
    H_KEEP_ALIVE,
    M_HEAD,
    fault_text,
    scan_response,
)
from cython.cimports.worker.plane.h1_write import (
    BODY_CHUNKED,
    BODY_CLOSE,
    BODY_LENGTH,
    BODY_NONE,
    head_room,
    render_request,
)
from cython.cimports.worker.plane.hook_slots import WANTS_RESPONSE_BODY
from cython.cimports.worker.plane.record import (
    END_BAD_RESPONSE,
    END_UPSTREAM_CLOSED,
    END_UPSTREAM_TIMEOUT,
)
from cython.cimports.worker.plane.syscalls import ETIMEDOUT
from cython.cimports.worker.plane.tunnel import may_switch, open_tunnel

MOST_INFORMATIONAL = cython.declare(cython.int, 100)  # 1xx responses to one request
MOST_JOINED_BYTES = cython.declare(cython.longlong, 1 << 18)  # the arena's largest block
WIDE_FROM_BYTES = cython.declare(cython.longlong, 65536)  # a longer body is read in larger pieces


@cython.cclass
class Lender:
    """Who gives connections out and takes them back."""

    def take_back(self, up):
        raise NotImplementedError

    def gone(self, up):
        raise NotImplementedError

    def dialed(self, up, error):
        raise NotImplementedError


@cython.cclass
class H1Upstream(Side):
    """One connection to a peer."""

    def __cinit__(self):
        self.eager = True

    def __repr__(self) -> str:
        return f"<H1Upstream state={self.state} served={self.served} {self.connection!r}>"

    # ---- the request

    def send_request(self, x):
        """Queue the head; the body follows by send_body."""
        arena = self.services.arena
        at: cython.longlong
        room: cython.longlong = head_room(
            cython.address(x.request),
            cython.address(x.record),
            x.route.request_edits,
            x.request_changes,
        )
        target: bytes = x.request_changes.target if x.request_changes is not None else None
        if target is None and x.target is not None:
            target = x.target
            room += len(target)
        host: bytes = self.peer.authority if x.route.host_from_upstream else None
        at = self.connection.host.turn_memory(room + 256)
        self.connection.write(
            at,
            render_request(
                arena,
                at,
                cython.address(x.request),
                cython.address(x.record),
                cython.address(x.line),
                host,
                target,
                x.route.request_edits,
                x.request_changes,
            ),
        )
        self.state = U_HEAD
        self.bytes_before = self.connection.bytes_out
        self.served += 1
        self.persistent = False
        self.informational = 0
        self.chunked = x.line.body == BODY_CHUNKED
        self.request_over = x.request_done and x.replay_size < 0
        self.connection.wide = False
        self.connection.set_deadline(x.route.response_ms)
        return self.connection.resume()

    def send_body(self, x, offset, size, last):
        self.request_over = last
        x.record.tries[x.record.attempts - 1].bytes_sent += size
        self.connection.set_deadline(x.route.response_ms)
        return put_payload(self.connection, self.chunked, offset, size, last)

    def send_trailers(self, x, offset, size):
        self.request_over = True
        return put_trailers(self.connection, offset, size) if self.chunked else 0  # from HTTP/2

    # ---- the response

    def on_data(self, offset, size):
        x: Exchange = self.exchange
        block: cython.longlong
        total: cython.longlong
        if x is None or self.state == U_IDLE or self.state == U_LENT or self.state == U_SPENT:
            # RFC 9112 6.3: what nobody asked for makes everything that follows doubtful.
            return self.on_failed(0)
        self.connection.set_deadline(x.route.response_ms)
        if self.carry:
            # Only a head or a trailer section is joined, and both are bounded far below.
            size = min(size, MOST_JOINED_BYTES - self.carry_size)
            total = self.carry_size + size
            block = self.services.arena.alloc(total)
            self.connection.host.release(block)
            self.services.arena.copy(block, self.carry, self.carry_size)
            self.services.arena.copy(block + self.carry_size, offset, size)
            self.keep(0, 0)
            offset, size = block, total
        if self.state == U_BODY:
            return self.take_body(offset, offset + size, False)
        if self.state == U_PARKED:
            self.connection.pause()
            return self.keep(offset, size)
        return self.take_head(offset, offset + size)

    def take_head(self, offset, end):
        """Scan response heads: informational ones go on to the client, the final one starts the response."""
        x: Exchange = self.exchange
        size: cython.int
        verdict: cython.int
        while True:
            size = scan_response(
                self.services.arena.view,
                offset,
                end,
                cython.address(x.response),
                cython.address(self.services.settings.limits),
            )
            if size == 0:
                return self.keep(offset, end - offset)
            if size < 0:
                return self.bad_response(fault_text(x.response.fault))
            offset += size
            if x.response.status == 101 and not may_switch(x):
                return self.bad_response("the origin switched protocols without being asked")
            if x.response.status == 101 or x.response.status >= 200:
                break
            self.informational += 1
            if self.informational > MOST_INFORMATIONAL:
                return self.bad_response("too many informational responses")
            x.down.send_informational(x)
        self.frame_body(x)
        verdict = response_head(x)
        if verdict == PHASE_PARKED:
            self.state = U_PARKED
            keep_response_head(x)
            self.connection.pause()
            return self.keep(offset, end - offset)
        if verdict != PHASE_GO_ON or self.exchange is not x:
            return 0
        self.state = U_BODY
        return self.take_body(offset, end, True)

    def frame_body(self, x):
        """RFC 9112 6.3, the client's side of it."""
        status: cython.int = x.response.status
        kind: cython.int = BODY_CLOSE
        length: cython.longlong = x.response.content_length
        if x.request.method == M_HEAD or status == 204 or status == 304 or status < 200:
            kind = BODY_NONE
        elif x.response.flags & H_CHUNKED:
            kind = BODY_CHUNKED
        elif length >= 0:
            kind = BODY_LENGTH if length else BODY_NONE
        body_begins(cython.address(self.incoming), kind, length)
        x.response_body = BODY_LENGTH if kind == BODY_NONE and length == 0 else kind
        x.response_length = length
        self.persistent = (
            kind != BODY_CLOSE
            and x.response.flags & H_CLOSE == 0
            and (x.response.minor == 1 or x.response.flags & H_KEEP_ALIVE != 0)
        )
        self.connection.wide = kind != BODY_NONE and (length < 0 or length > WIDE_FROM_BYTES)
        return 0

    def take_body(self, offset, end, first):
        """Hand payload to the exchange; the first piece goes with the head."""
        x: Exchange = self.exchange
        piece: Piece
        if x.response.status == 101:
            response_start(x, 0, 0, False)
            return open_tunnel(x, offset, end - offset)
        body_piece(
            self.services.arena,
            cython.address(self.incoming),
            offset,
            end,
            cython.address(piece),
        )
        if piece.bad:
            return self.bad_response(fault_text(self.incoming.chunks.fault))
        last: cython.bint = piece.last and not piece.trailers_size
        self.connection.sink_left = self.incoming.left
        if piece.last:
            self.state = U_SPENT
            self.connection.clear_deadline()
            if piece.position < end:
                self.persistent = False
        elif piece.position < end:
            self.keep(piece.position, end - piece.position)
        if first:
            response_start(x, piece.offset, piece.size, last)
            self.splice_rest(x)
        elif piece.size or last:
            response_data(x, piece.offset, piece.size, last)
        if piece.last and not last and self.exchange is x:
            response_trailers(x, piece.trailers, piece.trailers_size)
        return 0

    def splice_rest(self, x):
        """What is still to come of a long counted body goes from socket to socket, unless somebody wants to see it."""
        if self.incoming.kind == BODY_LENGTH and self.incoming.left > WIDE_FROM_BYTES:
            if self.exchange is x and not x.hooked & WANTS_RESPONSE_BODY:
                self.connection.sink = x.down.takes_raw()
        return 0

    def takes_raw(self):
        return None if self.chunked else self.connection

    def on_spliced(self, size):
        x: Exchange = self.exchange
        if x is None or self.state != U_BODY:
            return self.on_failed(0)
        self.incoming.left -= size
        x.record.tries[x.record.attempts - 1].bytes_received += size
        x.record.body_bytes_sent += size
        x.record.bytes_sent += size
        if self.incoming.left > 0:
            return self.connection.set_deadline(x.route.response_ms)
        self.state = U_SPENT
        self.connection.sink = None
        self.connection.clear_deadline()
        return response_data(x, 0, 0, True)

    def bad_response(self, cause):
        """What came is no HTTP response."""
        x: Exchange = self.exchange
        self.persistent = False
        x.services.cells.peer_failed(self.peer.cell, self.connection.host.now_ms)
        return x.refuse(502, END_BAD_RESPONSE, "bad response from the origin: " + cause)

    # ---- what the exchange says

    def hold(self):
        return self.connection.pause()

    def go_on(self):
        """The client takes more, or a hook has let the response head pass."""
        block: cython.longlong = self.carry
        size: cython.longlong = self.carry_size
        if self.state == U_PARKED:
            self.state = U_BODY
            self.connection.resume()
            if block:
                self.carry = 0
                self.carry_size = 0
                self.connection.host.release(block)
            return self.take_body(block, block + size, True)
        return self.connection.resume()

    def left(self):
        """The exchange is over and all is well: back to the pool."""
        self.keep(0, 0)
        if (
            self.connection.fd < 0
            or not self.persistent
            or not self.request_over
            or self.state != U_SPENT
            or self.connection.peer_done
            or self.connection.pending()
        ):
            return self.cut()
        self.connection.wide = False
        self.connection.sink = None
        return self.lender.take_back(self)

    def cut(self):
        """The connection cannot be used again."""
        if self.connection.fd >= 0:
            self.keep(0, 0)
            self.connection.close()
        return 0

    def on_closed(self):
        return self.lender.gone(self)

    # ---- events other than bytes

    def on_connected(self):
        self.connection.clear_deadline()
        return self.lender.dialed(self, 0)

    def on_eof(self):
        """The end of a close-delimited body, or of an idle connection, or too early."""
        x: Exchange = self.exchange
        if x is not None and self.state == U_BODY and self.incoming.kind == BODY_CLOSE:
            self.state = U_SPENT
            return response_data(x, 0, 0, True)
        return self.on_failed(0)

    def on_failed(self, error):
        x: Exchange = self.exchange
        state: cython.int = self.state
        unsent: cython.bint = state == U_LENT or self.connection.bytes_out == self.bytes_before
        self.exchange = None
        self.cut()
        if state == U_CONNECTING:
            return self.lender.dialed(self, error or ETIMEDOUT)
        if x is None:
            return 0
        x.up = None
        if state == U_LENT and x.state == X_PARKED:
            return 0  # resume() finds it gone
        if state == U_HEAD or state == U_PARKED or state == U_LENT:
            x.trouble = self.connection.trouble
            return upstream_failed(x, END_UPSTREAM_CLOSED, unsent)
        return x.refuse(
            502, END_UPSTREAM_CLOSED, "the origin closed the connection within its response"
        )

    def on_deadline(self):
        x: Exchange = self.exchange
        if self.state == U_CONNECTING:
            self.cut()
            return self.lender.dialed(self, ETIMEDOUT)
        if x is None or self.state == U_IDLE:
            return self.cut()
        if not self.connection.reading:  # held up by us: it is the client who is slow
            return self.connection.set_deadline(x.route.response_ms)
        if not self.request_over and not self.connection.blocked and self.state == U_HEAD:
            return self.connection.set_deadline(x.route.response_ms)  # the client still sends
        self.exchange = None
        self.cut()
        x.up = None
        if self.state == U_HEAD or self.state == U_PARKED:
            return upstream_failed(x, END_UPSTREAM_TIMEOUT, False)
        return x.refuse(504, END_UPSTREAM_TIMEOUT, "the origin stopped within its response")

    def on_blocked(self):
        """The origin takes no more of the request for now."""
        if self.exchange is not None and not self.request_over:
            self.exchange.down.hold()
        return 0

    def on_drained(self):
        if self.exchange is not None and not self.request_over:
            self.exchange.down.go_on()
        return 0
