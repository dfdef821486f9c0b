"""A connection that may turn out to be TLS, until it is known and the handshake is done.

    (first byte) ─ 0x16 ─► handshake ─► H1Downstream, or what ALPN says
                 └ else ─► H1Downstream in plain, or 400 where only TLS is spoken

Nothing is asked of the kernel for that: the first bytes are read as usual, and given to libssl when they are its.
"""

import cython
from cython.cimports.libc.string import strcmp
from cython.cimports.worker.plane.cells import (
    C_TLS_ALERT,
    C_TLS_CERTIFICATE,
    C_TLS_CLOSED,
    C_TLS_FULL_1_2,
    C_TLS_FULL_1_3,
    C_TLS_HELLO,
    C_TLS_LIMIT,
    C_TLS_PLAIN,
    C_TLS_PROTOCOL,
    C_TLS_RATE,
    C_TLS_RESUMED_1_2,
    C_TLS_RESUMED_1_3,
    C_TLS_TIMEOUT,
)
from cython.cimports.worker.plane.connection import Connection
from cython.cimports.worker.plane.exchange import Services
from cython.cimports.worker.plane.h2_downstream import start_h2
from cython.cimports.worker.plane.syscalls import EPROTO

HANDSHAKE = cython.declare(cython.int, 0x16)  # the content type of every first record, RFC 8446 5.1
MESSAGE_AT = cython.declare(cython.int, 5)
MESSAGE_HEAD_BYTES = cython.declare(cython.int, 4)
MOST_HELLO_BYTES = cython.declare(cython.int, 16384)
LINGER_MS = cython.declare(cython.longlong, 2000)
PLAIN_TO_TLS = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 59\r\n"
    b"Connection: close\r\n\r\nThis port speaks TLS: write https:// where http:// stands.\n"
)


@cython.cclass
class TlsGate(Handler):
    """Replaces itself as the connection's handler."""

    def __repr__(self) -> str:
        return f"<TlsGate {self.stream!r} {self.connection!r}>"

    def on_data(self, offset, size):
        """The first bytes."""
        if self.refused:
            return 0
        if self.early is not None or self.services.arena.view[offset] == HANDSHAKE:
            return self.secure(offset, size)
        if self.scheme != SCHEME_AUTO:
            return self.refuse(self.services.arena.view[offset])
        return self.plain(offset, size)

    def secure(self, offset, size):
        """A client says hello. Until it has said it, it costs us no more than what it has sent."""
        verdict: cython.int
        if not self.counted:
            if self.services.handshakes >= self.services.settings.most_handshakes:
                return self.end(C_TLS_LIMIT, "[limits] handshakes are under way already")
            self.services.handshakes += 1
            self.counted = True
            self.early = b""
            self.connection.set_deadline(self.services.settings.handshake_ms)
        self.early += self.services.arena.take(offset, size)
        verdict = look_at_hello(self.early)
        if verdict < 0:
            return self.end(C_TLS_HELLO, "its ClientHello is too long")
        if verdict == 0:
            return 0
        if not self.services.hellos and may_begin(self.services):
            return self.begin()
        self.waiting = True
        self.services.hellos.append(self)
        return self.connection.pause()

    def begin(self):
        """From here on it costs time."""
        early: bytes = self.early
        self.early = None
        self.waiting = False
        self.stream = self.server.accept()
        return self.stream.attach(self.connection, early)

    def plain(self, offset, size):
        """It is no TLS, and need not be."""
        down: H1Downstream = self.down
        down.connection = self.connection
        self.connection.handler = down
        self.connection = None
        down.connection.set_deadline(down.idle_ms())
        return down.on_data(offset, size)

    def refuse(self, first):
        """No TLS where it must be; what looks like a request gets an answer that its user can read."""
        self.tell(C_TLS_PLAIN, "it began with something else")
        if not 0x41 <= first <= 0x5A:
            return self.connection.close()
        self.connection.write_bytes(PLAIN_TO_TLS)
        self.refused = (
            True  # what else it sends is of no interest, but must not reset the answer away
        )
        self.connection.set_deadline(LINGER_MS)
        return self.connection.finish_sending()

    def on_secured(self):
        """The handshake is done: the handler that fits what was agreed on takes the connection."""
        connection: Connection = self.connection
        down: H1Downstream = self.down
        stream: TlsStream = self.stream
        self.services.handshakes -= 1
        self.counted = False
        self.services.cells.add(settled_counter(stream), 1)
        down.tls = True
        down.secured = cython.address(stream.secured)
        down.layer = stream
        down.connection = connection
        connection.handler = down
        self.connection = None
        connection.set_deadline(down.idle_ms())
        return start_h2(down, 0, 0) if stream.alpn() == b"h2" else 0

    # ---- what may go wrong

    def on_eof(self):
        if not self.counted:
            return self.connection.finish()  # a port scan, a health check: it asked for nothing
        return self.end(C_TLS_CLOSED, "the client left within the handshake")

    def on_failed(self, error):
        if not self.counted or error == 0:
            return self.connection.close()
        if self.stream is None:
            return self.end(C_TLS_CLOSED, "the connection was reset")
        if error == EPROTO and self.stream.unbearable is None and not self.connection.peer_done:
            return self.let_hear()
        failure: str = self.stream.failure or "the connection was reset"
        return self.end(failed_counter(self.stream, failure), failure)

    def let_hear(self):
        """An alert of ours says why. With TLS 1.3 the client may be sending its request by now, which must not reset
        the alert away."""
        self.tell(failed_counter(self.stream, self.stream.failure), self.stream.failure)
        self.services.handshakes -= 1
        self.counted = False
        self.stream.let_go()
        self.stream = None
        self.connection.tls = None
        self.refused = True
        self.connection.readable = True
        self.connection.resume()
        self.connection.set_deadline(LINGER_MS)
        return self.connection.finish_sending()

    def drain(self):
        """Or its end. A handshake has its own deadline; who has said nothing yet has little time for a first word."""
        if self.counted or self.refused:
            return 0
        settings = cython.address(self.services.settings)
        if self.scheme != SCHEME_AUTO and not self.services.draining:
            return self.connection.set_deadline(settings.handshake_ms)
        return self.connection.set_deadline(self.down.idle_ms())

    def on_deadline(self):
        if not self.counted:
            if self.services.draining and not self.refused and self.connection.listen_once_more():
                return self.connection.set_deadline(LINGER_MS)
            return self.connection.close()
        if self.waiting:
            return self.end(C_TLS_RATE, "too many others began before it ([limits] handshake_rate)")
        return self.end(C_TLS_TIMEOUT, "it did not end within [timeouts] handshake")

    def end(self, counter, cause):
        """Count it, tell it, close."""
        self.tell(counter, cause)
        return self.connection.close()

    def tell(self, counter, cause):
        """One line in the error log."""
        return self.down.unwelcome(counter, f"TLS handshake: {cause}")

    def on_closed(self):
        self.services.clients -= 1
        if self.counted:
            self.services.handshakes -= 1
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def settled_counter(stream: TlsStream) -> cython.int:
    """By version and resumption; libssl speaks two versions here."""
    newest: cython.bint = strcmp(stream.secured.version, b"TLSv1.3") == 0
    if stream.secured.reused:
        return C_TLS_RESUMED_1_3 if newest else C_TLS_RESUMED_1_2
    return C_TLS_FULL_1_3 if newest else C_TLS_FULL_1_2


@cython.cfunc
@cython.exceptval(-1)
def failed_counter(stream: TlsStream, failure: str) -> cython.int:
    """What libssl says, sorted by whose fault it is."""
    said: str = failure.lower().replace("_", " ")
    if " alert " in said:  # the client's: it takes our certificate for bad, most often
        return C_TLS_ALERT
    if "certificate" in said:
        return C_TLS_CERTIFICATE
    if stream.socket_ended or "connection was reset" in said:
        return C_TLS_CLOSED
    return C_TLS_PROTOCOL


@cython.cfunc
@cython.exceptval(-2)
def look_at_hello(early: bytes) -> cython.int:
    """Whether the first record is whole: 1, or 0; -1: the message it begins, or it itself, is too long.

    libssl makes room for a message as soon as it knows how long it will be, and would take 128 KiB. BoringSSL has
    our bound. Nobody's first record is shorter than the head of a message, but it could hide how long that is.
    """
    data: cython.p_const_uchar = early
    size: cython.Py_ssize_t = len(early)
    record: cython.int
    if size < MESSAGE_AT:
        return 0
    record = (data[3] << 8) | data[4]  # RFC 8446 5.1
    if record < MESSAGE_HEAD_BYTES or record > MOST_HELLO_BYTES:
        return -1
    if size < MESSAGE_AT + MESSAGE_HEAD_BYTES:
        return 0
    if ((data[6] << 16) | (data[7] << 8) | data[8]) > MOST_HELLO_BYTES:  # RFC 8446 4
        return -1
    return size >= MESSAGE_AT + record


@cython.cfunc
@cython.exceptval(check=False)
def may_begin(services: Services) -> cython.bint:
    """A second's worth may begin at once; then it is as the clock says."""
    rate: cython.double = services.settings.handshake_rate
    earned: cython.double = (services.host.now_us - services.hello_us) * rate / 1000000.0
    services.hello_us = services.host.now_us
    services.hello_credit = min(services.hello_credit + earned, rate)
    if services.hello_credit < 1:
        return False
    services.hello_credit -= 1
    return True


def begin_waiting(services):
    gate: TlsGate
    waiting: list = services.hellos
    services.hellos = []
    for gate in waiting:
        if gate.connection.fd < 0:
            continue
        if may_begin(services):
            gate.begin()
        else:
            services.hellos.append(gate)
    return 0
