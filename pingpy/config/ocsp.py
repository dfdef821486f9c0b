"""Reads an OCSP response (RFC 6960 4.2.1): what it says of one certificate, and from when to when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pingpy.config import der
from pingpy.config.der import Element

LARGEST_BYTES: Final = 65_536  # a response with its signer's chain has some 2,000
_REFUSALS: Final = {
    1: "malformed request",
    2: "internal error",
    3: "try later",
    5: "signature required",
    6: "unauthorized",
}
_BASIC: Final = bytes.fromhex("2b0601050507300101")  # id-pkix-ocsp-basic
_HASHES: Final = {
    bytes.fromhex("2b0e03021a"): "sha1",
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
Status = Literal["good", "revoked", "unknown"]
_STATUS: Final[dict[int, Status]] = {0x80: "good", 0xA1: "revoked", 0x82: "unknown"}


class OcspError(ValueError):
    """This is no response that could be shown with the certificate; the text says why."""


@dataclass(frozen=True, slots=True)
class Saying:
    """What a response says; `last` is None when newer information is available all the time."""

    status: Status
    first: datetime
    last: datetime | None


def saying(response: bytes, certificate: bytes) -> Saying:
    """What it says of this certificate (both DER). Raises OcspError.

    Its signature is the client's to verify: a server that shows a wrong one harms nobody but itself.
    """
    if len(response) > LARGEST_BYTES:
        raise OcspError(f"it has more than {LARGEST_BYTES} bytes")
    try:
        answers = _answers(response)
        serial, issuer = _identity(certificate)
        for answer in answers:
            id_, status, begins, *more = der.inside(answer)
            if _is_about(id_, serial, issuer):
                ends = [der.moment(der.first(e.content)) for e in more if e.tag == der.EXPLICIT_0]
                return Saying(_STATUS[status.tag], der.moment(begins), ends[0] if ends else None)
    except OcspError:
        raise
    except (ValueError, LookupError) as error:
        raise OcspError("it is no OCSP response in DER") from error
    raise OcspError("it is for another certificate")


def _answers(response: bytes) -> list[Element]:
    outer = der.elements(response)
    if len(outer) != 1:
        raise OcspError("it is no OCSP response in DER")
    status, *body = der.inside(outer[0])
    if status.tag != der.ENUMERATED:
        raise OcspError("it is no OCSP response in DER")
    refusal = int.from_bytes(status.content)
    if refusal:
        raise OcspError(f"the responder refused: {_REFUSALS.get(refusal, refusal)}")
    kind, text = der.inside(der.inside(body[0], der.EXPLICIT_0)[0])
    if kind.content != _BASIC or text.tag != der.OCTETS:
        raise OcspError("it is a response of another kind than id-pkix-ocsp-basic")
    said = der.inside(der.inside(der.first(text.content))[0])
    # They come fourth, or third where the version is left out.
    return der.inside(said[3 if said[0].tag == der.EXPLICIT_0 else 2])


def _identity(certificate: bytes) -> tuple[bytes, bytes]:
    """Serial number and the issuer's name (RFC 5280 4.1)."""
    fields = der.inside(der.inside(der.first(certificate))[0])
    if fields[0].tag == der.EXPLICIT_0:  # version is optional
        fields = fields[1:]
    return fields[0].content, fields[2].whole


def _is_about(id_: Element, serial: bytes, issuer: bytes) -> bool:
    algorithm, name_hash, _, number = der.inside(id_)
    hash_name = _HASHES.get(der.inside(algorithm)[0].content)
    if number.content != serial:
        return False
    return hash_name is None or hashlib.new(hash_name, issuer).digest() == name_hash.content
