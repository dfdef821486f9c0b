"""An origin under test that speaks TLS: the standard library's, over the scripted sockets of a rig."""

from __future__ import annotations

import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import trustme

from tests.wire.plane_ends import End, Origin
from tests.wire.plane_rig import Rig
from worker.plane.proxy_doors import read
from worker.plane.tls_client import TlsClient, TlsOrigin

CA = trustme.CA()
VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


def origin_context(
    issued_to: Sequence[str],
    *,
    authority: trustme.CA = CA,
    not_after: datetime | None = None,
    wants_certificate: bool = False,
    newest: str = "1.3",
    protocols: Sequence[str] = ("h2", "http/1.1"),
) -> ssl.SSLContext:
    """What an origin shows and asks for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*issued_to, not_after=not_after).configure_cert(context)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.maximum_version = VERSIONS[newest]
        if newest == "1.0":
            context.minimum_version = VERSIONS[newest]
            context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(protocols)
    if wants_certificate:
        CA.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TlsOriginEnd(End):
    """As End, with the plain bytes in `got` and `send`. `before`: a PROXY header that came ahead of TLS."""

    def __init__(self, taken: socket.socket, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.asked_for: str | None = None
        context.sni_callback = self.notice_name  # type: ignore[assignment]
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.before = b""
        self.problem: ssl.SSLError | None = None
        self.plain = b""
        super().__init__(taken)

    def notice_name(self, _: Any, name: str | None, __: Any) -> None:
        self.asked_for = name

    @property
    def peer_name(self) -> str:
        """The subjectAltName of the certificate we were shown."""
        shown: Any = self.tls.getpeercert()
        return str(shown["subjectAltName"][0][1])

    def send(self, data: bytes) -> End:
        self.plain += data
        self.move()
        return self

    def leave(self, says_so: bool) -> None:
        """Close, with close_notify or without."""
        if says_so:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
            self.flush()
        self.socket.close()
        self.ended = "left"

    def move(self) -> bool:
        start = len(self.got)
        moved = super().move()
        raw = bytes(self.got[start:])
        del self.got[start:]
        self.incoming.write(self.without_proxy(raw))
        try:
            self.work()
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass
        except ssl.SSLError as error:
            self.problem = self.problem or error
        return self.flush() or moved

    def without_proxy(self, raw: bytes) -> bytes:
        said = read(raw) if raw.startswith(b"\r\n\r\n\0") else None
        if not isinstance(said, tuple):
            return raw
        self.before = raw[: said[0]]
        return raw[said[0] :]

    def work(self) -> None:
        if self.problem is not None:
            return
        self.tls.do_handshake()
        while self.plain:
            self.plain = self.plain[self.tls.write(self.plain) :]
        while data := self.tls.read(1 << 18):
            self.got += data

    def flush(self) -> bool:
        if not self.outgoing.pending:
            return False
        self.unsent += self.outgoing.read()
        return super().move()


class SecureOrigin(Origin):
    """As Origin; `context` None: it speaks plainly after all."""

    context: ssl.SSLContext | None = None

    def wrap(self, taken: socket.socket) -> End:
        return End(taken) if self.context is None else TlsOriginEnd(taken, self.context)


def secure_rig(
    make_rig: Callable[..., Rig],
    *,
    client: TlsClient | None = None,
    name: str = "origin.test",
    issued_to: Sequence[str] = ("origin.test",),
    plain: bool = False,
    peer: dict[str, Any] | None = None,
    route: dict[str, Any] | None = None,
    origins: int = 1,
    **how: Any,
) -> Rig:
    """A rig whose origins speak TLS, and a plane that believes our authority and wants them to have this name."""
    believer = client or TlsClient(authorities=CA.cert_pem.bytes())
    is_address = name.replace(".", "").isdigit() or ":" in name
    tls = TlsOrigin(believer, name.encode(), is_address)
    rig = make_rig(
        origins=origins,
        origin_class=SecureOrigin,
        peer={"tls": tls, **(peer or {})},
        route={"retry_attempts": 0, **(route or {})},
    )
    for origin in rig.origins:
        assert isinstance(origin, SecureOrigin)
        origin.context = None if plain else origin_context(issued_to, **how)
    return rig
