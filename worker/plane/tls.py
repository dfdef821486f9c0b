"""TLS on one connection, whichever side opened it: libssl reads and writes the socket, the handler sees plain bytes."""

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.worker.plane.batch import fill_vectors
from cython.cimports.worker.plane.connection import Layer
from cython.cimports.worker.plane.openssl import (
    BIO,
    SSL_ERROR_SSL,
    SSL_ERROR_WANT_READ,
    SSL_ERROR_WANT_WRITE,
    SSL_ERROR_ZERO_RETURN,
    X509,
    X509_V_OK,
    ERR_clear_error,
    ERR_get_error,
    ERR_reason_error_string,
    SSL_CIPHER_get_name,
    SSL_do_handshake,
    SSL_free,
    SSL_get0_alpn_selected,
    SSL_get_current_cipher,
    SSL_get_error,
    SSL_get_servername,
    SSL_get_verify_result,
    SSL_get_version,
    SSL_has_pending,
    SSL_new,
    SSL_peek,
    SSL_read,
    SSL_session_reused,
    SSL_set_accept_state,
    SSL_set_bio,
    SSL_set_connect_state,
    SSL_shutdown,
    SSL_write,
    TLSEXT_NAMETYPE_host_name,
    X509_free,
    X509_get_subject_name,
    X509_verify_cert_error_string,
    pingpy_name_line,
    pingpy_peer_certificate,
)
from cython.cimports.worker.plane.openssl_boring import PINGPY_SHOUTS, X509_V_ERR_INVALID_CALL
from cython.cimports.worker.plane.syscalls import (
    EAGAIN,
    ECONNRESET,
    EINTR,
    EPROTO,
    iovec,
)
from cython.cimports.worker.plane.tls_socket import new_socket_bio, release

RECORD_BYTES = cython.declare(cython.longlong, 16384)  # RFC 8446 5.1
# Steps of handshakes in one turn, each up to a millisecond of a core: who is being served waits for no more.
MOST_STEPS = cython.declare(cython.int, 8)
steps = cython.declare(cython.int, 0)
steps_us = cython.declare(cython.longlong, 0)  # the turn that they belong to
# One record's worth of output that lies in several places.
gathered = cython.declare(cython.uchar[16384])


@cython.cclass
class TlsStream(Layer):
    """One SSL object, and what its connection must know of it."""

    def __dealloc__(self):
        if self.ssl != cython.NULL:
            SSL_free(self.ssl)  # and its BIO; nothing is sent

    def __repr__(self) -> str:
        state = self.failure or ("established" if self.established else "shaking hands")
        return f"<TlsStream {'client' if self.client else 'server'} {state}>"

    def attach(self, connection, early):
        """Take a connection over; `early` was read from it already. The handshake begins with the next read."""
        self.connection = connection
        self.early = early if early else None
        connection.tls = self
        connection.readable = True  # hence tried, whatever epoll has said
        return connection.resume()

    def alpn(self):
        name: cython.p_const_uchar = cython.NULL
        size: cython.uint = 0
        SSL_get0_alpn_selected(self.ssl, cython.address(name), cython.address(size))
        return name[:size] if size else b""

    def is_flood(self):
        return self.unbearable is not None

    # ---- what a layer does

    def receive(self, connection, offset, size):
        got: cython.int
        filled: cython.longlong = 0
        if not self.established:
            if not may_step(connection.host.now_us):
                connection.resume()
                return -EINTR
            filled = self.shake(connection)
            if filled <= 0:
                return filled
            filled = 0
        self.read_waits = False
        if self.write_waits:
            self.write_waits = False
            connection.writable = True
            connection.mark_dirty()
        connection.host.arena.check(offset, size)
        while filled < size:
            if filled and not connection.readable and not SSL_has_pending(self.ssl):
                return filled
            got = SSL_read(
                self.ssl,
                connection.host.arena.base + offset + filled,
                cython.cast(cython.int, size - filled),
            )
            if got <= 0:
                return self.read_stopped(connection, got, filled)
            filled += got
            self.barren = 0
        if SSL_has_pending(self.ssl):
            connection.readable = True  # epoll knows nothing of what libssl holds
        return filled

    def problem(self, outcome, blocked):
        """SSL_get_error, which takes whatever is in the queue for ours. To clear that before every call would cost a
        fiftieth of a request; where the socket stopped libssl, what lies there is known to be somebody else's."""
        if blocked:
            ERR_clear_error()
        return SSL_get_error(self.ssl, outcome)

    def read_stopped(self, connection, outcome, filled):
        """SSL_read gave nothing: the end, an error, or nothing for now."""
        problem: cython.int = self.problem(outcome, self.starved)
        if problem == SSL_ERROR_WANT_READ:
            return filled if filled else -EAGAIN
        if problem == SSL_ERROR_WANT_WRITE:
            self.read_waits = True
            return filled if filled else -EAGAIN
        if filled:  # first what came; the next read says the rest
            connection.readable = True
            return filled
        if problem == SSL_ERROR_ZERO_RETURN:
            self.ended = True
            return 0
        if self.socket_ended and not self.client:
            return 0  # many clients say no close_notify; requests are framed, so that nothing is taken for whole
        self.note_failure(problem)
        return -(self.error or EPROTO)

    def send(self, connection, shown):
        k: cython.int
        got: cython.int
        i: cython.int = 0
        count: cython.int
        size: cython.longlong
        used: cython.longlong = 0  # of vector i
        sent: cython.longlong = 0
        vectors: iovec[8]
        start: cython.pointer(cython.uchar)
        shown[0] = 0
        count = fill_vectors(connection.host, connection, vectors)
        for k in range(count):
            shown[0] += vectors[k].iov_len
        if not self.established:
            connection.writable = False  # settled() turns it on
            return 0
        self.corked = connection.finishing != 0  # close_notify and the FIN go with the last record
        while sent < shown[0]:
            start = cython.cast(cython.pointer(cython.uchar), vectors[i].iov_base) + used
            size = cython.cast(cython.longlong, vectors[i].iov_len) - used
            if size < RECORD_BYTES and i + 1 < count:
                size = gather(vectors, count, i, used)
                start = gathered
            # No more than one record at a time: what is not wholly out must be shown again, and no less of it.
            size = min(size, RECORD_BYTES)
            got = SSL_write(self.ssl, start, cython.cast(cython.int, size))
            if got <= 0:
                got = cython.cast(cython.int, self.write_stopped(connection, got))
                return sent if got == -EAGAIN else got
            sent += got
            used += got
            while i < count and used >= cython.cast(cython.longlong, vectors[i].iov_len):
                used -= vectors[i].iov_len
                i += 1
        return sent

    def write_stopped(self, connection, outcome):
        """SSL_write took nothing; the socket's BIO has noted when that is because it is full."""
        problem: cython.int = self.problem(outcome, self.stuck)
        if problem == SSL_ERROR_WANT_WRITE:
            return -EAGAIN
        if problem == SSL_ERROR_WANT_READ:
            self.write_waits = True
            connection.writable = False
            return -EAGAIN
        self.note_failure(problem)
        if self.client and self.established and self.error:
            self.hear_alert()
        return -(self.error or EPROTO)

    def hear_alert(self):
        """The origin takes no more; what it has said before that may tell why."""
        one: cython.char
        outcome: cython.int = SSL_peek(self.ssl, cython.address(one), 1)
        if outcome <= 0:
            self.note_failure(SSL_get_error(self.ssl, outcome))
        return 0

    def took_bytes(self, connection):
        """The socket is writable again: a handshake or a read may have waited for that."""
        release(self)
        if self.read_waits:
            self.read_waits = False
            connection.readable = True
            if connection.reading:
                connection.resume()
        return 0

    def close(self, connection):
        """close_notify, as far as the socket takes it: what came before is whole (RFC 8446 6.1)."""
        if self.established and self.failure is None and not self.socket_ended:
            self.corked = True
            ERR_clear_error()
            SSL_shutdown(self.ssl)
            ERR_clear_error()
        return 0

    def let_go(self):
        self.connection = None
        return 0

    # ---- the handshake

    def shake(self, connection):
        """Go on with it: 1 when it is done, -EAGAIN when the other side must speak, else an error."""
        problem: cython.int
        outcome: cython.int
        lost: cython.bint
        ERR_clear_error()
        self.staging = True  # the tickets at its end are written one by one
        outcome = SSL_do_handshake(self.ssl)
        self.staging = False
        lost = release(self) < 0
        if outcome == 1:  # even if lost: tickets to a client that has sent its request and closed
            self.established = True
            self.early = None if self.early is None else self.early[self.early_used :] or None
            self.early_used = 0
            self.barren = 0
            self.settled()
            connection.host.secured.append(connection)
            if not connection.writable and not self.read_waits:
                connection.writable = True
            if connection.pending():
                connection.mark_dirty()
            return 1
        problem = SSL_get_error(self.ssl, outcome)
        if problem == SSL_ERROR_WANT_READ and not lost:
            return -EAGAIN
        if problem == SSL_ERROR_WANT_WRITE:
            self.read_waits = True
            return -EAGAIN
        self.note_failure(problem)
        return -(self.error or (ECONNRESET if self.socket_ended else EPROTO))

    def settled(self):
        """Remember what was agreed on; the texts are libssl's own, or ours."""
        peer: cython.pointer(X509) = pingpy_peer_certificate(self.ssl)
        text: cython.char[512]
        self.secured.version = SSL_get_version(self.ssl)
        self.secured.cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(self.ssl))
        self.secured.server_name = SSL_get_servername(self.ssl, TLSEXT_NAMETYPE_host_name)
        self.secured.reused = SSL_session_reused(self.ssl)
        self.secured.client_name = cython.NULL
        self.secured.verified = False
        self.secured.protocol = cython.NULL
        if self.alpn() == b"h2":
            self.secured.protocol = b"h2"
        elif self.alpn():  # the only other one that we speak
            self.secured.protocol = b"http/1.1"
        if peer != cython.NULL:
            self.secured.verified = SSL_get_verify_result(self.ssl) == X509_V_OK
            if pingpy_name_line(X509_get_subject_name(peer), text, 512):
                self.client_name = text
                self.secured.client_name = self.client_name
            X509_free(peer)
        return 0

    def note_failure(self, problem):
        """In words, for the log; "" when a connection just ended, long after its handshake."""
        verdict: cython.long = SSL_get_verify_result(self.ssl)
        if problem == SSL_ERROR_SSL and not self.socket_ended:
            self.failure = reason()
            if verdict not in (X509_V_OK, X509_V_ERR_INVALID_CALL) and not self.established:
                why: bytes = X509_verify_cert_error_string(verdict)
                self.failure += f" ({why.decode('ascii', 'replace')})"
        elif self.unbearable is not None:
            self.failure = self.unbearable
        elif self.established:
            self.failure = ""
        elif self.socket_ended:
            self.failure = "the connection was closed"
        else:
            self.failure = "the connection was reset"
        ERR_clear_error()
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def may_step(now_us: cython.longlong) -> cython.bint:
    """Whether this turn may do another step of a handshake."""
    global steps, steps_us
    if steps_us != now_us:
        steps_us = now_us
        steps = 0
    steps += 1
    return steps <= MOST_STEPS


@cython.cfunc
@cython.exceptval(check=False)
def gather(
    vectors: cython.pointer(iovec), count: cython.int, i: cython.int, used: cython.longlong
) -> cython.longlong:
    """Up to a record's worth from vector i on, put together; returns its size."""
    size: cython.longlong = 0
    part: cython.longlong
    while i < count and size < RECORD_BYTES:
        part = min(cython.cast(cython.longlong, vectors[i].iov_len) - used, RECORD_BYTES - size)
        memcpy(
            cython.address(gathered[size]),
            cython.cast(cython.pointer(cython.uchar), vectors[i].iov_base) + used,
            part,
        )
        size += part
        used = 0
        i += 1
    return size


def new_stream(context, owner, client):
    stream: TlsStream = TlsStream.__new__(TlsStream)
    bio: cython.pointer(BIO)
    stream.owner = owner
    stream.client = client
    stream.ssl = SSL_new(context)
    if stream.ssl == cython.NULL:
        raise MemoryError("libssl has no memory for another connection")
    bio = new_socket_bio(stream)
    SSL_set_bio(stream.ssl, bio, bio)
    if client:
        SSL_set_connect_state(stream.ssl)
    else:
        SSL_set_accept_state(stream.ssl)
    return stream


def reason():
    problem: cython.ulong = ERR_get_error()
    text: cython.p_const_char = cython.NULL
    if problem:
        text = ERR_reason_error_string(problem)
    ERR_clear_error()
    if text == cython.NULL:
        return "it failed for a reason that libssl does not tell"
    said: bytes = text
    if PINGPY_SHOUTS:
        said = said.lower().replace(b"_", b" ")
    return said.decode("ascii", "replace")
