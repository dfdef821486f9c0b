from collections.abc import Mapping, Sequence

from worker.plane.tls_tickets import Tickets

class TlsContext:
    requires_client: bool
    def __init__(
        self,
        certificates: Sequence[tuple[bytes, bytes]],
        *,
        mark: bytes,
        client_ca: bytes = b"",
        client_verify: str = "off",
        min_version: str = "1.2",
        groups: Sequence[str] = (),
        staples: Sequence[tuple[bytes, int, int] | None] = (),
    ) -> None:
        """`certificates`: (chain, key), PEM, one of each kind; `staples`: for each of them an OCSP response in DER and
        the first and last second (since 1970) when it may be shown; `mark`: 32 bytes, the same in every process for the
        same identity. Raises ValueError with the reason for what cannot be used."""

class TlsServer:
    default: TlsContext
    offers_h2: bool
    def __init__(
        self,
        default: TlsContext,
        names: Mapping[str, TlsContext] | None = None,
        tickets: Tickets | None = None,
    ) -> None:
        """`names`: lower case, exact or "*." and a domain; who asks for none of them gets the default. `tickets`: None:
        every handshake is a full one."""

def has_group(name: str) -> bool:
    """Whether libssl knows this key exchange group."""
