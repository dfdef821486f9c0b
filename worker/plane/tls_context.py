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
    BIO,
    EVP_PKEY,
    SSL,
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
    X509,
    BIO_free,
    BIO_new_mem_buf,
    ERR_clear_error,
    EVP_PKEY_free,
    PEM_read_bio_PrivateKey,
    PEM_read_bio_X509,
    SSL_CTX_add1_chain_cert,
    SSL_CTX_add_client_CA,
    SSL_CTX_check_private_key,
    SSL_CTX_clear_chain_certs,
    SSL_CTX_free,
    SSL_CTX_get_cert_store,
    SSL_CTX_new,
    SSL_CTX_set1_groups_list,
    SSL_CTX_set_alpn_select_cb,
    SSL_CTX_set_cipher_list,
    SSL_CTX_set_min_proto_version,
    SSL_CTX_set_mode,
    SSL_CTX_set_options,
    SSL_CTX_set_read_ahead,
    SSL_CTX_set_session_cache_mode,
    SSL_CTX_set_session_id_context,
    SSL_CTX_set_verify,
    SSL_CTX_use_certificate,
    SSL_CTX_use_PrivateKey,
    SSL_get_ex_data,
    SSL_set1_groups_list,
    SSL_set_ex_data,
    SSL_set_min_proto_version,
    SSL_set_session_id_context,
    SSL_set_SSL_CTX,
    SSL_set_verify,
    TLS_method,
    X509_free,
    X509_STORE_add_cert,
    pingpy_watch_hello,
)
from cython.cimports.worker.plane.tls import TlsStream, new_stream, reason

# Mozilla's "intermediate" profile for TLS 1.2, without DHE; TLS 1.3 has only good ones.
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    b"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
GROUPS = ("X25519MLKEM768", "X25519", "P-256", "P-384")
NAME_BYTES = cython.declare(cython.size_t, 255)


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
    ):
        """`certificates`: (chain, key), PEM; `mark`: 32 bytes, the same in every process for the same identity."""
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
        SSL_CTX_set_session_cache_mode(self.context, SSL_SESS_CACHE_OFF)  # tickets do
        SSL_CTX_set_min_proto_version(self.context, self.oldest)
        ciphers: bytes = CIPHERS
        if not SSL_CTX_set_cipher_list(self.context, ciphers):
            raise ValueError(f"ciphers of TLS 1.2: {reason()}")
        if not self.groups or not SSL_CTX_set1_groups_list(self.context, self.groups):
            raise ValueError(f"no key exchange group of {groups} is to be had: {reason()}")
        SSL_CTX_set_session_id_context(self.context, mark, cython.cast(cython.uint, len(mark)))
        SSL_CTX_set_verify(self.context, self.verify, cython.NULL)
        for chain, key in certificates:
            self.load(chain, key)
        if client_ca:
            self.trust_clients(client_ca)

    def __repr__(self) -> str:
        return f"<TlsContext {self.mark[:4].hex()}{' for clients with certificates' if self.verify else ''}>"

    def load(self, chain, key):
        """A certificate with its chain, and its key."""
        bio: cython.pointer(BIO)
        private: cython.pointer(EVP_PKEY)
        good: cython.int
        self.load_chain(chain)
        bio = BIO_new_mem_buf(
            cython.cast(cython.p_const_char, key), cython.cast(cython.int, len(key))
        )
        private = PEM_read_bio_PrivateKey(bio, cython.NULL, no_password, cython.NULL)
        BIO_free(bio)
        if private == cython.NULL:
            raise ValueError(f"the key cannot be read: {reason()}")
        good = SSL_CTX_use_PrivateKey(self.context, private)
        EVP_PKEY_free(private)
        if not good or not SSL_CTX_check_private_key(self.context):
            raise ValueError(f"the key is not that of the certificate: {reason()}")
        return 0

    def load_chain(self, chain):
        """The first certificate is ours, the others lead to one that clients trust."""
        certificate: cython.pointer(X509)
        count: cython.int = 0
        good: cython.long = 1
        bio: cython.pointer(BIO) = BIO_new_mem_buf(
            cython.cast(cython.p_const_char, chain), cython.cast(cython.int, len(chain))
        )
        while good:
            certificate = PEM_read_bio_X509(bio, cython.NULL, cython.NULL, cython.NULL)
            if certificate == cython.NULL:
                break
            if count == 0:
                good = SSL_CTX_use_certificate(self.context, certificate)
                SSL_CTX_clear_chain_certs(self.context)
            else:
                good = SSL_CTX_add1_chain_cert(self.context, certificate)
            X509_free(certificate)
            count += 1
        BIO_free(bio)
        if count == 0 or not good:
            raise ValueError(f"the certificate cannot be used: {reason()}")
        ERR_clear_error()  # the end of the text is one, too
        return 0

    def trust_clients(self, authorities):
        """Certificates of clients must lead to one of these, and the clients are told which."""
        certificate: cython.pointer(X509)
        count: cython.int = 0
        bio: cython.pointer(BIO) = BIO_new_mem_buf(
            cython.cast(cython.p_const_char, authorities),
            cython.cast(cython.int, len(authorities)),
        )
        while True:
            certificate = PEM_read_bio_X509(bio, cython.NULL, cython.NULL, cython.NULL)
            if certificate == cython.NULL:
                break
            X509_STORE_add_cert(SSL_CTX_get_cert_store(self.context), certificate)
            SSL_CTX_add_client_CA(self.context, certificate)
            X509_free(certificate)
            count += 1
        BIO_free(bio)
        if count == 0:
            raise ValueError(f"there is no certificate in client_ca: {reason()}")
        ERR_clear_error()
        return 0


@cython.cclass
class TlsServer:
    """The identities of a plane. `names`: lower case, exact or "*." and a domain."""

    def __init__(self, default: TlsContext, names: dict | None = None):
        self.default = default
        self.offers_h2 = True
        self.names = {name.encode(): context for name, context in (names or {}).items()}
        SSL_CTX_set_alpn_select_cb(default.context, choose_protocol, cython.NULL)
        pingpy_watch_hello(default.context, on_hello)
        for context in self.names.values():
            SSL_CTX_set_alpn_select_cb(
                cython.cast(TlsContext, context).context, choose_protocol, cython.NULL
            )

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


@cython.cfunc
@cython.exceptval(check=False)
def no_password(
    buffer: cython.p_char, size: cython.int, writing: cython.int, argument: cython.p_void
) -> cython.int:
    """Nobody is there to type one."""
    return -1


def has_group(name: str) -> bool:
    """Whether libssl knows this key exchange group."""
    context = SSL_CTX_new(TLS_method())
    text: bytes = name.encode()
    known: cython.bint = SSL_CTX_set1_groups_list(context, text) == 1
    SSL_CTX_free(context)
    ERR_clear_error()
    return known
