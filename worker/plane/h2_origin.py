"""One request to an origin over HTTP/2, and its response: the upstream side of an exchange.

    LENT -> HEAD -> (PARKED) -> BODY -> SPENT

A stream has its number from the moment its head is sent: numbers must grow on the wire (RFC 9113 5.1.1), and a hook
may hold up one request while the next one goes. What an origin has refused unseen (REFUSED_STREAM, or above the last
stream of its GOAWAY) was not sent, whatever its method.
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
    Exchange,
)
from cython.cimports.worker.plane.h1_parse import M_HEAD, fault_text, scan_response
from cython.cimports.worker.plane.h1_write import BODY_CHUNKED, BODY_LENGTH, BODY_NONE
from cython.cimports.worker.plane.h2_blocks import pairs, text_end, text_memory
from cython.cimports.worker.plane.h2_connection import H2Connection, H2Stream
from cython.cimports.worker.plane.h2_flow import drain_early, send_data, send_trailers
from cython.cimports.worker.plane.h2_frames import (
    E_CANCEL,
    E_PROTOCOL,
    E_REFUSED_STREAM,
    purse_earn,
)
from cython.cimports.worker.plane.h2_heads import (
    H2Head,
    h2_fault_text,
    response_text,
)
from cython.cimports.worker.plane.h2_requests import put_request
from cython.cimports.worker.plane.record import (
    END_BAD_RESPONSE,
    END_UPSTREAM_CLOSED,
    END_UPSTREAM_SILENT,
    END_UPSTREAM_TIMEOUT,
)

# Worth the frames that an orderly answer costs: two field blocks, windows, and the reset that an origin sends behind an
# answer which came before our request was whole (RFC 9113 8.1). Only we open streams: nobody can earn by it.
REQUEST_OCTETS = cython.declare(cython.longlong, 16 * 4096)
MOST_INFORMATIONAL = cython.declare(cython.int, 100)  # 1xx responses to one request
LEAST_BYTES = cython.declare(cython.longlong, 1024)  # that an origin must take within `send`


@cython.cclass
class OriginStream(H2Stream):
    """One request to a peer and its response."""

    # ---- the request

    def send_request(self, x):
        owner: H2Connection = self.owner
        if owner.dying or owner.leaving or owner.connection.fd < 0:
            self.exchange = None
            x.up = None
            return upstream_failed(x, END_UPSTREAM_CLOSED, True)
        self.id = owner.last_stream + 2 if owner.last_stream else 1
        self.state = S_HEAD
        self.bytes_before = self.connection.bytes_out
        owner.open_stream(self)
        purse_earn(cython.address(owner.purse), REQUEST_OCTETS)
        put_request(self, x, x.request_done and x.replay_size < 0)
        return self.wait()

    def send_body(self, x, offset, size, last):
        x.record.tries[x.record.attempts - 1].bytes_sent += size
        send_data(self, offset, size, last)
        return self.wait()

    def send_trailers(self, x, offset, size):
        send_trailers(self, offset, size)
        return self.wait()

    def wait(self):
        """The origin has so long for its next word. A call that has begun to answer may be silent for longer."""
        x: Exchange = self.exchange
        if x is None or not self.open:
            return 0
        patience: cython.longlong = x.route.response_ms
        if x.route.grpc and self.state == S_BODY:
            patience = x.route.tunnel_ms
        self.receive_due_ms = self.connection.host.now_ms + patience
        return self.owner.expect(self.receive_due_ms)

    def hold_sender(self):
        return 0 if self.exchange is None else self.exchange.down.hold()

    def free_sender(self):
        return 0 if self.exchange is None else self.exchange.down.go_on()

    def sent_all(self):
        return 0

    # ---- the response

    def ready(self):
        return self.state == S_BODY and self.exchange is not None

    def take_head(self, count, last):
        """A response head as HTTP/1.1 text, scanned as any other; informational ones go on to the client."""
        x: Exchange = self.exchange
        owner: H2Connection = self.owner
        arena = owner.services.arena
        head: H2Head
        text: cython.longlong = text_memory(owner)
        size: cython.int
        verdict: cython.int
        size = response_text(
            arena.view, pairs(), count, text, text_end(owner), cython.address(head)
        )
        if size < 0:
            return self.bad_response(h2_fault_text(head.fault))
        size = scan_response(
            arena.view,
            text,
            text + size,
            cython.address(x.response),
            cython.address(owner.services.settings.limits),
        )
        if size <= 0:
            return self.bad_response(fault_text(x.response.fault))
        x.response.minor = 20
        if x.response.status < 200:
            self.informational += 1
            # RFC 9113 8.1, 8.6: neither ends a stream, and there is no 101
            if x.response.status == 101 or last or self.informational > MOST_INFORMATIONAL:
                return self.bad_response("an informational response that may not be")
            return x.down.send_informational(x)
        self.remote_done = last
        if not self.frame_body(x, last):
            return 0
        verdict = response_head(x)
        if verdict == PHASE_PARKED:
            self.state = S_PARKED
            return keep_response_head(x)
        if verdict != PHASE_GO_ON or self.exchange is not x:
            return 0
        return self.begin_answer(x)

    def begin_answer(self, x):
        """The head goes downstream, then what there is of the body."""
        last: cython.bint = self.remote_done and self.early.bytes == 0 and not self.late
        self.state = S_SPENT if last else S_BODY
        self.told_end = last
        self.wait()
        response_start(x, 0, 0, last)
        return 0 if last or self.exchange is not x else drain_early(self)

    def frame_body(self, x, last):
        """RFC 9113 8.1: END_STREAM ends the body; False when Content-Length says otherwise."""
        length: cython.longlong = x.response.content_length
        status: cython.int = x.response.status
        bodiless: cython.bint = x.request.method == M_HEAD or status == 204 or status == 304
        x.response_length = length
        if bodiless:
            x.response_body = BODY_NONE
            return True
        if last and length > 0:
            self.bad_response("the body is shorter than Content-Length says")
            return False
        self.length_left = length
        if length >= 0:
            x.response_body = BODY_LENGTH
        elif last and x.request.minor != 20:
            x.response_body = BODY_LENGTH
            x.response_length = 0
        else:
            x.response_body = BODY_NONE if last else BODY_CHUNKED
        return True

    def deliver(self, offset, size, last):
        x: Exchange = self.exchange
        self.wait()
        if last:
            self.state = S_SPENT
        return response_data(x, offset, size, last)

    def deliver_trailers(self, offset, size):
        self.state = S_SPENT
        return response_trailers(self.exchange, offset, size)

    # ---- what goes wrong

    def was_reset(self, error):
        """By the origin, or by us for its errors, or with its connection."""
        x: Exchange = self.exchange
        refused: cython.bint = error == E_REFUSED_STREAM
        if x is None:
            return 0
        if refused:  # nothing speaks against the peer: it may be asked again
            x.record.tries[x.record.attempts - 1].reused = 1
        unsent: cython.bint = refused or self.connection.bytes_out == self.bytes_before
        if self.owner.silent:
            return self.failed(END_UPSTREAM_SILENT, unsent, "the origin does not answer a PING")
        return self.failed(
            END_UPSTREAM_CLOSED, unsent, "the origin ended the stream within its response"
        )

    def failed(self, ending, unsent, cause):
        """This attempt has no future; before the response's head another may have one."""
        x: Exchange = self.exchange
        self.exchange = None
        x.up = None
        if self.state == S_HEAD or self.state == S_PARKED:
            x.trouble = self.connection.trouble
            return upstream_failed(x, ending, unsent)
        return x.refuse(502 if ending == END_UPSTREAM_CLOSED else 504, ending, cause)

    def bad_response(self, cause):
        """What came is no HTTP response."""
        x: Exchange = self.exchange
        x.services.cells.peer_failed(x.peer.cell, x.services.host.now_ms)
        self.reset_stream(E_PROTOCOL)
        self.exchange = None
        x.up = None
        return x.refuse(502, END_BAD_RESPONSE, "bad response from the origin: " + cause)

    def receive_overdue(self):
        """Not while we hold the origin up, or the client has not said all and its words are taken."""
        x: Exchange = self.exchange
        if x is None or self.remote_done:
            return 0
        if self.held or self.early.bytes:
            return self.wait()
        if self.state == S_HEAD and not self.end_queued and not self.sender_held:
            return self.wait()
        self.reset_stream(E_CANCEL)
        return self.failed(END_UPSTREAM_TIMEOUT, False, "the origin stopped within its response")

    def send_overdue(self):
        if self.sent - self.sent_mark >= LEAST_BYTES:
            self.sent_mark = self.sent
            self.send_due_ms = self.connection.host.now_ms + self.owner.services.settings.send_ms
            return 0
        self.reset_stream(E_CANCEL)
        if self.exchange is None:
            return 0
        return self.failed(END_UPSTREAM_TIMEOUT, False, "the origin took no more of the request")

    # ---- what the exchange says

    def hold(self):
        self.held = True
        return 0

    def go_on(self):
        """The client takes more, or a hook has let the response head pass."""
        self.held = False
        if self.state == S_PARKED and self.exchange is not None:
            return self.begin_answer(self.exchange)
        return drain_early(self) if self.open else 0

    def cut(self):
        """Nobody waits for the rest (a gRPC server sees the call cancelled)."""
        return self.reset_stream(E_CANCEL)

    def left(self):
        if not self.open:
            return 0
        if self.end_sent and self.remote_done:
            return self.close_stream()
        return self.reset_stream(E_CANCEL)
