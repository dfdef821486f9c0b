"""Whether the files that TLS towards origins names can be read, and are what they should be."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path as FilePath

from pingpy.config.certificates import check_pair
from pingpy.config.crosscheck_tls import tls_tables
from pingpy.config.finding import Finding, Path
from pingpy.config.schema import Config


def check_upstream_certificates(
    config: Config, folder: FilePath, now: datetime
) -> Iterator[Finding]:
    """Findings about the CAs that are believed, and the certificates that are shown."""
    for path, table in tls_tables(config):
        if table.ca:
            yield from check_ca(folder / table.ca, (*path, "ca"))
        if table.certificate and table.key:
            places: tuple[Path, Path] = ((*path, "certificate"), (*path, "key"))
            yield from check_pair((table.certificate, table.key), places, folder, now)


def check_ca(file: FilePath, place: Path) -> Iterator[Finding]:
    """Findings about a file of certificates that are believed."""
    try:
        text = file.read_text(encoding="latin-1")
    except OSError as error:
        yield Finding(place, f"cannot read {file}: {error.strerror}")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        message = f"there is no certificate in {file}"
        yield Finding(place, message, "it must be PEM: -----BEGIN CERTIFICATE-----")
