"""Whether the CAs of clients' certificates can be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath

from pingpy.config.certificates_upstream import check_ca
from pingpy.config.finding import Finding
from pingpy.config.schema import Config


def check_client_authorities(config: Config, folder: FilePath) -> Iterator[Finding]:
    """Findings about `client_ca` of [[network.tls]]."""
    for index, entry in enumerate(config.network.tls):
        if entry.client_ca:
            yield from check_ca(folder / entry.client_ca, ("network", "tls", index, "client_ca"))
