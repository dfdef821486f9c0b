"""Makes what the plane shows to TLS clients from the configuration and the bytes of its certificates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from pingpy.config.certificates import first_der
from pingpy.config.crosscheck_identities import identity
from pingpy.config.ocsp import saying
from pingpy.config.schema import Config, Tls
from pingpy.errors import Complaint, ConfigError
from pingpy.log import logger
from pingpy.shared import TicketKeys
from worker.plane.tls_context import TlsContext, TlsServer, has_group
from worker.plane.tls_tickets import Tickets

FOR_EVER = 1 << 62  # a response without nextUpdate does not expire (RFC 6960 4.2.2.1)


def tls_server(
    config: Config, secrets: Mapping[str, bytes], keys: TicketKeys | None = None
) -> TlsServer | None:
    """None where no certificate is configured. Raises ConfigError for what libssl refuses.

    Entries with the same names are one identity with several certificates (ECDSA and RSA side by side).
    Without `keys` no session is resumed.
    """
    entries = list(config.network.tls)
    if config.network.ssl_certificate and config.network.ssl_certificate_key:
        entries.insert(
            0,
            Tls(certificate=config.network.ssl_certificate, key=config.network.ssl_certificate_key),
        )
    if not entries:
        return None
    together: dict[tuple[str, ...], list[Tls]] = {}
    for entry in entries:
        together.setdefault(identity(entry), []).append(entry)
    made = {names: _identity(group, secrets) for names, group in together.items()}
    default = made.get((), next(iter(made.values())))
    seconds = config.network.ticket_lifetime
    tickets = Tickets(keys.octets, seconds) if keys is not None and seconds else None
    by_name = {name.lower(): context for names, context in made.items() for name in names}
    return TlsServer(default, by_name, tickets)


def _identity(entries: list[Tls], secrets: Mapping[str, bytes]) -> TlsContext:
    """Where entries of one identity differ in more than their certificates, the last one that says something counts."""
    first = entries[0]
    said = {key: getattr(entry, key) for entry in entries for key in sorted(entry.model_fields_set)}
    authorities = secrets[said["client_ca"]] if said.get("client_ca") else b""
    verify = said.get("client_verify", "off")
    groups = said.get("groups", ())
    if missing := [group for group in groups if not has_group(group)]:
        logger.warning("libssl has no key exchange groups %s", ", ".join(missing))
    try:
        return TlsContext(
            [(secrets[entry.certificate], secrets[entry.key]) for entry in entries],
            staples=[_staple(entry, secrets) for entry in entries],
            mark=_mark((*identity(first), verify), authorities),
            client_ca=authorities,
            client_verify=verify,
            min_version=said.get("min_version", "1.2"),
            groups=groups,
        )
    except ValueError as error:
        names = ", ".join(first.server_name) or "the default"
        raise ConfigError(
            [Complaint(f"certificate {first.certificate} ({names}): {error}")]
        ) from error


def _staple(entry: Tls, secrets: Mapping[str, bytes]) -> tuple[bytes, int, int] | None:
    """The response to show with an entry's certificate, and when. Raises ValueError."""
    if entry.ocsp is None:
        return None
    response = secrets[entry.ocsp]
    said = saying(response, first_der(secrets[entry.certificate]))
    last = FOR_EVER if said.last is None else int(said.last.timestamp())
    return response, int(said.first.timestamp()), last


def _mark(texts: Iterable[str], authorities: bytes) -> bytes:
    """Tells sessions of one identity from another's; the same in every worker of every generation."""
    digest = hashlib.sha256(authorities)
    for text in texts:
        digest.update(b"\0" + text.encode())
    return digest.digest()
