"""What we show to clients: certificates by name, and what is asked of clients there.

The name is looked at in the ClientHello, before anything of it is acted on: only so do the oldest version and
the key exchange groups of an identity hold, which libssl has settled by the time of its servername callback.
Changing an SSL's context takes over the certificates and nothing else: whatever else belongs to an identity is
set on the SSL itself. Its sessions are marked, so that none can be resumed under another identity, where
a client certificate might be required.
"""

import cython
from cython.cimports.libc.string import memcmp
from cython.cimports.worker.plane.openssl import (
    SSL,
    SSL_CTX,
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
    SSL_MODE_ENABLE_PARTIAL_WRITE,
    SSL_MODE_RELEASE_BUFFERS,
    SSL_OP_CIPHER_SERVER_PREFERENCE,
    SSL_OP_NO_COMPRESSION,
    SSL_OP_NO_RENEGOTIATION,
    SSL_OP_PRIORITIZE_CHACHA,
    SSL_SESS_CACHE_OFF,
    SSL_TLSEXT_ERR_ALERT_FATAL,
    SSL_TLSEXT_ERR_OK,
    SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    SSL_VERIFY_NONE,
    SSL_VERIFY_PEER,
    TLS1_2_VERSION,
    TLS1_3_VERSION,
    ERR_clear_error,
    SSL_CTX_free,
    SSL_CTX_new,
    SSL_CTX_set1_groups_list,
    SSL_CTX_set_alpn_select_cb,
    SSL_CTX_set_cipher_list,
    SSL_CTX_set_ciphersuites,
    SSL_CTX_set_max_cert_list,
    SSL_CTX_set_min_proto_version,
    SSL_CTX_set_mode,
    SSL_CTX_set_options,
    SSL_CTX_set_read_ahead,
    SSL_CTX_set_session_cache_mode,
    SSL_CTX_set_session_id_context,
    SSL_CTX_set_verify,
    SSL_get_ex_data,
    SSL_set1_groups_list,
    SSL_set_ex_data,
    SSL_set_min_proto_version,
    SSL_set_session_id_context,
    SSL_set_SSL_CTX,
    SSL_set_verify,
    TLS_method,
    pingpy_watch_hello,
    pingpy_watch_tickets,
)
from cython.cimports.worker.plane.openssl_boring import (
    pingpy_bound_sessions,
    pingpy_keep_pair,
    pingpy_widen,
)
from cython.cimports.worker.plane.tls import TlsStream, new_stream, reason
from cython.cimports.worker.plane.tls_pem import load_authorities, load_pair
from cython.cimports.worker.plane.tls_staple import Staples
from cython.cimports.worker.plane.tls_tickets import Tickets, bound_tickets

# Mozilla's "intermediate" profile, without DHE, in its order: AES-256 costs more and protects nobody better.
SUITES = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
GROUPS = ("X25519MLKEM768", "X25519", "P-256", "P-384")
NAME_BYTES = cython.declare(cython.size_t, 255)
MOST_CERTIFICATE_BYTES = cython.declare(cython.long, 32768)  # of a client, with its chain


@cython.cclass
class TlsContext:
    """One identity. Raises ValueError with libssl's reason for what cannot be used."""

    def __cinit__(self):
        self.context = SSL_CTX_new(TLS_method())
        if self.context == cython.NULL:
            raise ValueError(f"libssl makes no context: {reason()}")

    def __dealloc__(self):
        if self.context != cython.NULL:
            SSL_CTX_free(self.context)

    def __init__(
        self,
        certificates,
        *,
        mark: bytes,
        client_ca: bytes = b"",
        client_verify: str = "off",
        min_version: str = "1.2",
        groups=(),
        staples=(),
    ):
        """`certificates`: (chain, key), PEM; `staples`: for each of them None, or (OCSP response, first, last second);
        `mark`: 32 bytes, the same in every process for the same identity."""
        options: cython.ulonglong = (
            SSL_OP_NO_COMPRESSION
            | SSL_OP_NO_RENEGOTIATION
            | SSL_OP_CIPHER_SERVER_PREFERENCE
            | SSL_OP_PRIORITIZE_CHACHA
        )
        self.mark = mark
        self.oldest = TLS1_3_VERSION if min_version == "1.3" else TLS1_2_VERSION
        self.verify = SSL_VERIFY_NONE if client_verify == "off" else SSL_VERIFY_PEER
        self.requires_client = client_verify == "required"
        if self.requires_client:
            self.verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        self.groups = ":".join(name for name in groups or GROUPS if has_group(name)).encode()
        ERR_clear_error()
        SSL_CTX_set_options(self.context, options)
        SSL_CTX_set_mode(
            self.context,
            SSL_MODE_ENABLE_PARTIAL_WRITE
            | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
            | SSL_MODE_RELEASE_BUFFERS,
        )
        SSL_CTX_set_read_ahead(self.context, 1)
        SSL_CTX_set_max_cert_list(self.context, MOST_CERTIFICATE_BYTES)
        SSL_CTX_set_session_cache_mode(self.context, SSL_SESS_CACHE_OFF)  # tickets do
        SSL_CTX_set_min_proto_version(self.context, self.oldest)
        ciphers: bytes = CIPHERS
        suites: bytes = SUITES
        if not SSL_CTX_set_cipher_list(self.context, ciphers):
            raise ValueError(f"ciphers of TLS 1.2: {reason()}")
        if not SSL_CTX_set_ciphersuites(self.context, suites):
            raise ValueError(f"ciphers of TLS 1.3: {reason()}")
        if not self.groups or not SSL_CTX_set1_groups_list(self.context, self.groups):
            raise ValueError(f"no key exchange group of {groups} is to be had: {reason()}")
        SSL_CTX_set_session_id_context(self.context, mark, cython.cast(cython.uint, len(mark)))
        SSL_CTX_set_verify(self.context, self.verify, cython.NULL)
        pingpy_widen(self.context)
        for i, (chain, key) in enumerate(certificates):
            load_pair(self.context, chain, key)
            if not pingpy_keep_pair(self.context):
                raise ValueError(f"the certificate cannot be kept: {reason()}")
            if any(staples):
                self.staples = self.staples or Staples()
                response, first, last = staples[i] or (b"", 0, 0)
                self.staples.add(self.context, response, first, last)
        if client_ca:
            load_authorities(self.context, client_ca, True)

    def __repr__(self) -> str:
        return f"<TlsContext {self.mark[:4].hex()}{' for clients with certificates' if self.verify else ''}>"


@cython.cclass
class TlsServer:
    """The identities of a plane. `names`: lower case, exact or "*." and a domain."""

    def __init__(
        self, default: TlsContext, names: dict | None = None, tickets: Tickets | None = None
    ):
        one: cython.pointer(SSL_CTX)
        self.default = default
        self.offers_h2 = True
        self.tickets = tickets
        self.names = {name.encode(): context for name, context in (names or {}).items()}
        pingpy_watch_hello(default.context, on_hello)
        for context in (default, *self.names.values()):
            one = cython.cast(TlsContext, context).context
            SSL_CTX_set_alpn_select_cb(one, choose_protocol, cython.NULL)
            bound_tickets(one, tickets)
            if tickets is not None:
                pingpy_watch_tickets(one, on_ticket)
                pingpy_bound_sessions(one)

    def __repr__(self) -> str:
        return f"<TlsServer {len(self.names)} names>"

    def find(self, name):
        """The identity for a server name in lower case: exact, then a wildcard above it, then the default."""
        found: object = self.names.get(name)
        while found is None:
            _, dot, name = name.partition(b".")
            if not dot:
                return self.default
            found = self.names.get(b"*." + name)
        return found

    def asks_clients(self):
        for context in (self.default, *self.names.values()):
            if cython.cast(TlsContext, context).requires_client:
                return True
        return False

    def is_misdirected(self, arena, head, secured):
        """Its host wants a client's certificate, and this connection has not been asked for it (RFC 9110 15.5.20).

        The host is chosen twice: by the handshake, which asks for the certificate, and by each request.
        """
        authority: bytes = arena.take(head.start + head.authority, head.authority_size)
        host: bytes = authority if authority.startswith(b"[") else authority.partition(b":")[0]
        wanted: TlsContext = self.find(host.lower().rstrip(b"."))
        if not wanted.requires_client:
            return False
        return secured == cython.NULL or secured.identity != cython.cast(cython.p_void, wanted)

    def accept(self):
        stream: TlsStream = new_stream(self.default.context, self, False)
        stream.secured.identity = cython.cast(cython.p_void, self.default)
        SSL_set_ex_data(stream.ssl, 0, cython.cast(cython.p_void, stream))
        return stream


@cython.cfunc
@cython.exceptval(check=False)
def on_hello(
    ssl: cython.pointer(SSL), name: cython.p_const_uchar, size: cython.size_t
) -> cython.int:
    """A client asks for a name: become who answers to it."""
    stream: TlsStream = cython.cast(TlsStream, SSL_get_ex_data(ssl, 0))
    server: TlsServer = stream.owner
    chosen: TlsContext
    if size == 0 or size > NAME_BYTES or not server.names:
        return 1
    chosen = server.find(name[:size].lower().rstrip(b"."))
    if chosen is server.default:
        return 1
    stream.secured.identity = cython.cast(cython.p_void, chosen)
    SSL_set_SSL_CTX(ssl, chosen.context)
    SSL_set_verify(ssl, chosen.verify, cython.NULL)
    return (
        SSL_set_min_proto_version(ssl, chosen.oldest) == 1
        and SSL_set1_groups_list(ssl, chosen.groups) == 1
        and SSL_set_session_id_context(ssl, chosen.mark, cython.cast(cython.uint, len(chosen.mark)))
        == 1
    )


@cython.cfunc
@cython.exceptval(check=False)
def on_ticket(
    ssl: cython.pointer(SSL),
    name: cython.p_const_uchar,
    key: cython.pointer(cython.p_const_uchar),
) -> cython.int:
    """A ticket comes (made with the key of that name), or is made (NULL)."""
    server: TlsServer = cython.cast(TlsStream, SSL_get_ex_data(ssl, 0)).owner
    return server.tickets.choose(name, key)


@cython.cfunc
@cython.exceptval(check=False)
def choose_protocol(
    ssl: cython.pointer(SSL),
    chosen: cython.pointer(cython.p_const_uchar),
    chosen_size: cython.p_uchar,
    offered: cython.p_const_uchar,
    size: cython.uint,
    argument: cython.p_void,
) -> cython.int:
    """ALPN (RFC 7301 3.2): HTTP/2 before HTTP/1.1; a client that wants neither is not meant for us."""
    server: TlsServer = cython.cast(TlsStream, SSL_get_ex_data(ssl, 0)).owner
    at: cython.uint = 0
    length: cython.uint
    found: cython.bint = False
    while at < size:
        length = offered[at]
        if at + 1 + length > size:
            break
        if length == 2 and server.offers_h2 and memcmp(offered + at + 1, b"h2", 2) == 0:
            chosen[0] = offered + at + 1
            chosen_size[0] = 2
            return SSL_TLSEXT_ERR_OK
        if length == 8 and not found and memcmp(offered + at + 1, b"http/1.1", 8) == 0:
            chosen[0] = offered + at + 1
            chosen_size[0] = 8
            found = True
        at += 1 + length
    return SSL_TLSEXT_ERR_OK if found else SSL_TLSEXT_ERR_ALERT_FATAL


def has_group(name: str) -> bool:
    """Whether libssl knows this key exchange group."""
    context = SSL_CTX_new(TLS_method())
    text: bytes = name.encode()
    known: cython.bint = SSL_CTX_set1_groups_list(context, text) == 1
    SSL_CTX_free(context)
    ERR_clear_error()
    return known
