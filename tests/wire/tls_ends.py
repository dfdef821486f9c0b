"""The client's end of a TLS connection to a plane under test: the standard library's TLS over a scripted socket."""

from __future__ import annotations

import socket
import ssl

import trustme

from tests.wire.plane_ends import End
from worker.plane.tls_context import TlsContext

AUTHORITY = trustme.CA()


def pem(certificate: trustme.LeafCert) -> tuple[bytes, bytes]:
    """Its chain and its key."""
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return chain, certificate.private_key_pem.bytes()


def identity(*names: str, mark: bytes = b"m", **how: object) -> TlsContext:
    """An identity of a server with a certificate for these names."""
    issued = AUTHORITY.issue_cert(*(names or ("localhost",)))
    return TlsContext([pem(issued)], mark=mark * 32, **how)  # type: ignore[arg-type]


def client_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that trusts our authority, and shows this certificate."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


class TlsEnd(End):
    """As End, with plain bytes in `got` and `send`; `problem`: what went wrong with TLS."""

    def __init__(
        self,
        connected: socket.socket,
        context: ssl.SSLContext,
        name: str,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=name or None, session=session
        )
        self.problem: ssl.SSLError | None = None
        self.closed_well = False
        self._plain = b""
        self._over = False
        super().__init__(connected)

    def send(self, data: bytes) -> End:
        self._plain += data
        self.move()
        return self

    def move(self) -> bool:
        raw = len(self.got)
        moved = super().move()
        ciphertext = bytes(self.got[raw:])
        del self.got[raw:]
        if ciphertext:
            self._incoming.write(ciphertext)
        if self.ended and not self._over:
            self._over = True
            self._incoming.write_eof()
        try:
            self._work()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.problem = self.problem or error
        if self._outgoing.pending:
            self.unsent += self._outgoing.read()
            super().move()
            return True
        return moved

    def _work(self) -> None:
        if self.problem is not None:
            return
        self.tls.do_handshake()
        while self._plain:
            self._plain = self._plain[self.tls.write(self._plain) :]
        while True:
            data = self.tls.read(1 << 16)
            if not data:
                self.closed_well = True  # an end that was not announced is an SSLEOFError
                return
            self.got += data
