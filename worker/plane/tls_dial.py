"""A connection to a peer that speaks TLS, from connect() to the end of the handshake, within one deadline."""

import cython
from cython.cimports.worker.plane.openssl import SSL_has_pending
from cython.cimports.worker.plane.syscalls import (
    ECONNRESET,
    EPROTO,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    send,
)

CLOSED = "the connection was closed within the handshake"
NO_H2 = "the origin does not speak HTTP/2"


@cython.cclass
class TlsDial(Handler):
    """Replaces itself as the connection's handler by the upstream side, which then hears what came of it."""

    def __cinit__(self):
        self.eager = True

    def __repr__(self) -> str:
        return f"<TlsDial {self.origin!r} {self.stream!r} {self.connection!r}>"

    def hand_over(self):
        """The next event is the upstream side's own."""
        self.connection.handler = self.after
        self.after.connection = self.connection
        return 0

    def on_connected(self):
        if self.opening is not None:  # an empty socket takes it whole
            raw: cython.p_const_char = self.opening
            if send(self.connection.fd, raw, len(self.opening), MSG_DONTWAIT | MSG_NOSIGNAL) != len(
                self.opening
            ):
                return self.on_failed(ECONNRESET)
        self.stream = self.origin.connect(self.h2)
        return self.stream.attach(self.connection, None)

    def on_secured(self):
        if self.h2 and self.stream.alpn() != b"h2":
            self.stream.failure = NO_H2
            return self.on_failed(EPROTO)
        self.hand_over()
        return self.after.on_connected()

    def on_data(self, offset, size):
        return self.on_failed(0)  # never before on_secured

    def on_eof(self):
        return self.on_failed(ECONNRESET)

    def on_failed(self, error):
        """What libssl says goes to the log; a session that was offered is not offered again."""
        if self.stream is not None:
            if self.stream.failure is None:
                self.stream.failure = CLOSED
            self.origin.forget()
        self.hand_over()
        return self.after.on_failed(error or ECONNRESET)

    def on_deadline(self):
        self.hand_over()
        return self.after.on_deadline()

    def on_closed(self):
        return self.after.on_closed()


def tls_dial(after, origin, opening, h2):
    dial: TlsDial = TlsDial.__new__(TlsDial)
    dial.after = after
    dial.origin = origin
    dial.opening = opening
    dial.h2 = h2
    return dial


def holds_bytes(stream):
    return SSL_has_pending(stream.ssl) != 0
