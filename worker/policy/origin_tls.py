"""TLS towards origins as configured: one TlsClient for each way to speak it, one name for each origin."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import replace

from pingpy.config.resolved import ResolvedTls
from pingpy.errors import Complaint, ConfigError
from worker.plane.tls_client import TlsClient, TlsOrigin

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class OriginTls:
    """Makes what peers need; `secrets`: the files' bytes by the names that the configuration gives them. Raises
    ConfigError for what cannot be used."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._secrets = secrets
        self._clients: dict[ResolvedTls, TlsClient] = {}

    def origin(self, tls: ResolvedTls, host: str) -> TlsOrigin:
        """For a peer whose URL has this host; "" for a Unix socket."""
        name = server_name(tls, host)
        return TlsOrigin(self.client(tls), name.encode("ascii"), is_address(name))

    def verified(self, host: str) -> TlsOrigin:
        """For a peer of a hook's, which the configuration says nothing about."""
        return self.origin(ResolvedTls(), host)

    def client(self, tls: ResolvedTls) -> TlsClient:
        """The one for these settings; whose certificate is asked for is the origin's affair."""
        settings = replace(tls, server_name=None)
        if settings not in self._clients:
            self._clients[settings] = self._client(settings)
        return self._clients[settings]

    def _client(self, tls: ResolvedTls) -> TlsClient:
        authorities, chain, key = (
            self._secrets[name] if name else b"" for name in (tls.ca, tls.certificate, tls.key)
        )
        try:
            return TlsClient(
                verify=tls.verify,
                authorities=authorities,
                chain=chain,
                key=key,
                min_version=tls.min_version,
            )
        except ValueError as error:
            raise ConfigError([Complaint(f"TLS towards origins: {error}")]) from error


def server_name(tls: ResolvedTls, host: str) -> str:
    """Whom the certificate must be for."""
    return tls.server_name or host.rstrip(".")


def is_address(name: str) -> bool:
    """Whether this is an address and no host name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def named(tls: ResolvedTls, host: str) -> ResolvedTls:
    """With the name that the certificate of this host's peer must be for."""
    return replace(tls, server_name=server_name(tls, host))


class ProbeContexts:
    """The same for the standard library, which probes use."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._secrets = secrets
        self._made: dict[tuple[ResolvedTls, str], ssl.SSLContext] = {}

    def get(self, tls: ResolvedTls, protocol: str) -> ssl.SSLContext:
        """Made once: loading the host's certificates takes longer than a probe. Raises ssl.SSLError."""
        key = (replace(tls, server_name=None), protocol)
        if key not in self._made:
            self._made[key] = self._make(*key)
        return self._made[key]

    def _make(self, tls: ResolvedTls, protocol: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols([protocol])
        context.minimum_version = VERSIONS[tls.min_version]
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif tls.ca:
            context.load_verify_locations(cadata=self._secrets[tls.ca].decode("ascii", "ignore"))
        else:
            context.load_default_certs()
        if tls.certificate and tls.key:
            self._show(context, self._secrets[tls.certificate], self._secrets[tls.key])
        return context

    def _show(self, context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
        """The standard library takes these from files only: from one that nobody else can open."""
        fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
        with os.fdopen(fd, "wb") as file:
            file.write(chain + b"\n" + key)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{fd}")
