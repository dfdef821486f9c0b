"""TLS towards origins: whom to believe, who we are there, what each origin is called, and the session to go on with."""

import cython
from cython.cimports.worker.plane.openssl import (
    SSL,
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
    SSL_MODE_ENABLE_PARTIAL_WRITE,
    SSL_MODE_RELEASE_BUFFERS,
    SSL_OP_NO_COMPRESSION,
    SSL_OP_NO_RENEGOTIATION,
    SSL_SESSION,
    SSL_VERIFY_NONE,
    SSL_VERIFY_PEER,
    TLS1_2_VERSION,
    TLS1_3_VERSION,
    ERR_clear_error,
    SSL_CTX_free,
    SSL_CTX_new,
    SSL_CTX_set_min_proto_version,
    SSL_CTX_set_mode,
    SSL_CTX_set_options,
    SSL_CTX_set_read_ahead,
    SSL_CTX_set_session_cache_mode,
    SSL_CTX_set_verify,
    SSL_get_ex_data,
    SSL_set_ex_data,
    TLS_method,
)
from cython.cimports.worker.plane.openssl_boring import pingpy_widen
from cython.cimports.worker.plane.openssl_client import (
    SSL_SESS_CACHE_CLIENT,
    SSL_SESS_CACHE_NO_INTERNAL,
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
    X509_VERIFY_PARAM,
    SSL_CTX_sess_set_new_cb,
    SSL_CTX_set_default_verify_paths,
    SSL_get0_param,
    SSL_SESSION_free,
    SSL_set_alpn_protos,
    SSL_set_session,
    SSL_set_tlsext_host_name,
    X509_VERIFY_PARAM_set1_host,
    X509_VERIFY_PARAM_set1_ip_asc,
    X509_VERIFY_PARAM_set_hostflags,
)
from cython.cimports.worker.plane.tls import TlsStream, new_stream, reason
from cython.cimports.worker.plane.tls_pem import load_authorities, load_pair

# ALPN (RFC 7301 3.1)
HTTP1 = b"\x08http/1.1"
H2 = b"\x02h2"


@cython.cclass
class TlsClient:
    """One way to speak TLS to origins; a pool has one."""

    def __cinit__(self):
        self.context = SSL_CTX_new(TLS_method())
        if self.context == cython.NULL:
            raise ValueError(f"libssl makes no context: {reason()}")

    def __dealloc__(self):
        if self.context != cython.NULL:
            SSL_CTX_free(self.context)

    def __init__(
        self,
        *,
        verify: cython.bint = True,
        authorities: bytes = b"",
        chain: bytes = b"",
        key: bytes = b"",
        min_version: str = "1.2",
    ):
        modes: cython.long = (
            SSL_MODE_ENABLE_PARTIAL_WRITE
            | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
            | SSL_MODE_RELEASE_BUFFERS
        )
        self.verify = verify
        ERR_clear_error()
        SSL_CTX_set_options(self.context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION)
        SSL_CTX_set_mode(self.context, modes)
        SSL_CTX_set_read_ahead(self.context, 1)
        SSL_CTX_set_min_proto_version(
            self.context, TLS1_3_VERSION if min_version == "1.3" else TLS1_2_VERSION
        )
        SSL_CTX_set_verify(
            self.context, SSL_VERIFY_PEER if verify else SSL_VERIFY_NONE, cython.NULL
        )
        # libssl's own cache is by session, not by origin: each TlsOrigin keeps its own.
        SSL_CTX_set_session_cache_mode(
            self.context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
        )
        SSL_CTX_sess_set_new_cb(self.context, keep_session)
        pingpy_widen(self.context)
        if verify and authorities:
            load_authorities(self.context, authorities, False)
        elif verify and not SSL_CTX_set_default_verify_paths(self.context):
            raise ValueError(f"the system's certificates cannot be used: {reason()}")
        if chain:
            load_pair(self.context, chain, key)

    def __repr__(self) -> str:
        return f"<TlsClient {'verifies' if self.verify else 'believes anybody'}>"


@cython.cclass
class TlsOrigin:
    """One origin. The session belongs to the identities of both sides, hence lives here."""

    def __init__(self, client: TlsClient, name: bytes, is_address: cython.bint):
        if client.verify and not name:
            raise ValueError("an origin whose certificate is verified needs a name")
        self.client = client
        self.name = name
        self.is_address = is_address

    def __dealloc__(self):
        if self.session != cython.NULL:
            SSL_SESSION_free(self.session)

    def __repr__(self) -> str:
        kept = " with a session" if self.session != cython.NULL else ""
        return f"<TlsOrigin {self.name.decode()}{kept}>"

    def connect(self, h2):
        stream: TlsStream = new_stream(self.client.context, self, True)
        param: cython.pointer(X509_VERIFY_PARAM) = SSL_get0_param(stream.ssl)
        name: cython.p_const_char = self.name
        protocol: bytes = H2 if h2 else HTTP1
        good: cython.bint = True
        SSL_set_ex_data(stream.ssl, 0, cython.cast(cython.p_void, stream))
        if self.client.verify and self.is_address:
            good = X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1
        elif self.client.verify:
            X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
            good = X509_VERIFY_PARAM_set1_host(param, name, len(self.name)) == 1
        if good and self.name and not self.is_address:  # RFC 6066 3: an address is no server name
            good = SSL_set_tlsext_host_name(stream.ssl, name) == 1
        if SSL_set_alpn_protos(stream.ssl, protocol, cython.cast(cython.uint, len(protocol))):
            good = False  # of all the functions of libssl this one says 0 when all is well
        if not good:
            raise ValueError(f"{self.name.decode()} cannot be asked for: {reason()}")
        if self.session != cython.NULL:
            SSL_set_session(stream.ssl, self.session)
        return stream

    def forget(self):
        if self.session != cython.NULL:
            SSL_SESSION_free(self.session)
            self.session = cython.NULL
        return 0


@cython.cfunc
@cython.exceptval(check=False)
def keep_session(ssl: cython.pointer(SSL), session: cython.pointer(SSL_SESSION)) -> cython.int:
    """The origin gave a session (with TLS 1.3 after the handshake); 1: it is ours to free."""
    origin: TlsOrigin = cython.cast(TlsStream, SSL_get_ex_data(ssl, 0)).owner
    if origin.session != cython.NULL:
        SSL_SESSION_free(origin.session)
    origin.session = session
    return 1
