"""Whether the OCSP responses that the configuration names can be shown with their certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path as FilePath

from pingpy.config.certificates import first_der
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.ocsp import OcspError, Saying, saying
from pingpy.config.schema import Config

ADVICE = "it must be DER, and for this certificate: openssl ocsp ... -respout FILE"


def check_ocsp(config: Config, folder: FilePath, now: datetime) -> Iterator[Finding]:
    """Findings about every response; of a certificate that cannot be used somebody else speaks."""
    for index, entry in enumerate(config.network.tls):
        if entry.ocsp is None:
            continue
        place: Path = ("network", "tls", index, "ocsp")
        file = folder / entry.ocsp
        try:
            response = file.read_bytes()
        except OSError as error:
            yield Finding(place, f"cannot read {file}: {error.strerror}")
            continue
        try:
            certificate = first_der((folder / entry.certificate).read_bytes())
        except (OSError, ValueError):
            continue
        try:
            said = saying(response, certificate)
        except OcspError as error:
            yield Finding(place, f"the OCSP response {file}: {error}", ADVICE)
        else:
            yield from _about(said, file, place, now)


def _about(said: Saying, file: FilePath, place: Path, now: datetime) -> Iterator[Finding]:
    if said.last is not None and now > said.last:
        message = f"the OCSP response {file} expired at {said.last:%Y-%m-%d %H:%M} UTC"
        yield warning(place, message, "it is not stapled until there is a new one")
    elif now < said.first:
        message = f"the OCSP response {file} is valid only from {said.first:%Y-%m-%d %H:%M} UTC"
        yield warning(place, message, "it is not stapled before; is the clock right?")
    if said.status != "good":
        yield warning(place, f"the OCSP response {file} says: {said.status}")
