"""A TLS client of libssl's own, for what the standard library does not say: KeyUpdate, renegotiation, early data."""

from __future__ import annotations

import ctypes
import ctypes.util

POINTER, LONG, INT = ctypes.c_void_p, ctypes.c_long, ctypes.c_int
TEXT = ctypes.c_char_p
SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "TLS_client_method": (POINTER, []),
    "SSL_CTX_new": (POINTER, [POINTER]),
    "SSL_CTX_free": (None, [POINTER]),
    "SSL_CTX_ctrl": (LONG, [POINTER, INT, LONG, POINTER]),
    "SSL_new": (POINTER, [POINTER]),
    "SSL_free": (None, [POINTER]),
    "SSL_set_bio": (None, [POINTER, POINTER, POINTER]),
    "SSL_set_connect_state": (None, [POINTER]),
    "SSL_do_handshake": (INT, [POINTER]),
    "SSL_read": (INT, [POINTER, TEXT, INT]),
    "SSL_write": (INT, [POINTER, TEXT, INT]),
    "SSL_key_update": (INT, [POINTER, INT]),
    "SSL_get1_session": (POINTER, [POINTER]),
    "SSL_set_session": (INT, [POINTER, POINTER]),
    "SSL_session_reused": (INT, [POINTER]),
    "SSL_SESSION_free": (None, [POINTER]),
    "SSL_SESSION_set_max_early_data": (INT, [POINTER, ctypes.c_uint32]),
    "SSL_write_early_data": (
        INT,
        [POINTER, TEXT, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)],
    ),
    "SSL_get_early_data_status": (INT, [POINTER]),
    "SSL_shutdown": (INT, [POINTER]),
    "SSL_renegotiate": (INT, [POINTER]),
    "ERR_get_error": (ctypes.c_ulong, []),
    "ERR_reason_error_string": (TEXT, [ctypes.c_ulong]),
    "BIO_s_mem": (POINTER, []),
    "BIO_new": (POINTER, [POINTER]),
    "BIO_read": (INT, [POINTER, TEXT, INT]),
    "BIO_write": (INT, [POINTER, TEXT, INT]),
}
SET_MAX_PROTO_VERSION, TLS1_2, TLS1_3 = 124, 0x0303, 0x0304
EARLY_DATA_REJECTED = 1


def library() -> ctypes.CDLL:
    """libssl, which has brought libcrypto with it."""
    found = ctypes.CDLL(ctypes.util.find_library("ssl"))
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


class LibsslClient:
    """Between two buffers: `feed` what the server has sent, `drain` what it shall get."""

    def __init__(self, newest: int = TLS1_3) -> None:
        self.lib = library()
        self.context = self.lib.SSL_CTX_new(self.lib.TLS_client_method())
        self.lib.SSL_CTX_ctrl(self.context, SET_MAX_PROTO_VERSION, newest, None)
        self.ssl = self.lib.SSL_new(self.context)
        self.incoming, self.outgoing = (
            self.lib.BIO_new(self.lib.BIO_s_mem()),
            self.lib.BIO_new(self.lib.BIO_s_mem()),
        )
        self.lib.SSL_set_bio(self.ssl, self.incoming, self.outgoing)
        self.lib.SSL_set_connect_state(self.ssl)

    def close(self) -> None:
        self.lib.SSL_free(self.ssl)
        self.lib.SSL_CTX_free(self.context)

    def feed(self, data: bytes) -> None:
        if data:
            self.lib.BIO_write(self.incoming, data, len(data))

    def drain(self) -> bytes:
        buffer = ctypes.create_string_buffer(1 << 16)
        parts = []
        while (size := self.lib.BIO_read(self.outgoing, buffer, len(buffer))) > 0:
            parts.append(buffer.raw[:size])
        return b"".join(parts)

    def shake(self) -> bool:
        """Go on with a handshake; whether it is done."""
        return bool(self.lib.SSL_do_handshake(self.ssl) == 1)

    def error(self) -> str:
        """Why the last call failed."""
        return (self.lib.ERR_reason_error_string(self.lib.ERR_get_error()) or b"").decode()

    def write(self, data: bytes) -> None:
        assert self.lib.SSL_write(self.ssl, data, len(data)) == len(data)

    def read(self) -> bytes:
        """What there is."""
        buffer = ctypes.create_string_buffer(1 << 16)
        parts = []
        while (size := self.lib.SSL_read(self.ssl, buffer, len(buffer))) > 0:
            parts.append(buffer.raw[:size])
        return b"".join(parts)

    def update_keys(self, *, asks: bool) -> None:
        """RFC 8446 4.6.3; `asks`: the server shall do the same."""
        assert self.lib.SSL_key_update(self.ssl, int(asks)) == 1
        assert self.shake()

    def say_early(self, data: bytes, before: LibsslClient) -> None:
        """Begin with that client's session and send this before the handshake, whatever the server has allowed."""
        session = self.lib.SSL_get1_session(before.ssl)
        self.lib.SSL_SESSION_set_max_early_data(session, 16384)
        assert self.lib.SSL_set_session(self.ssl, session) == 1
        self.lib.SSL_SESSION_free(session)
        sent = ctypes.c_size_t()
        assert self.lib.SSL_write_early_data(self.ssl, data, len(data), ctypes.byref(sent)) == 1

    def resumed(self) -> bool:
        return bool(self.lib.SSL_session_reused(self.ssl))

    def early_data_was_refused(self) -> bool:
        """It was sent, and not taken (RFC 8446 4.2.10); asked after the handshake."""
        return bool(self.lib.SSL_get_early_data_status(self.ssl) == EARLY_DATA_REJECTED)

    def say_goodbye(self) -> None:
        """close_notify: nothing more comes from this side (RFC 8446 6.1)."""
        assert self.lib.SSL_shutdown(self.ssl) == 0

    def renegotiate(self) -> None:
        """A ClientHello on a connection that is established (TLS 1.2)."""
        assert self.lib.SSL_renegotiate(self.ssl) == 1
        self.shake()
