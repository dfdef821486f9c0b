"""OCSP responses: what they say of a certificate, and which of them are refused or only warned about."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st
from trustme import CA

from pingpy.config.certificates import first_der
from pingpy.config.certificates_ocsp import check_ocsp
from pingpy.config.load import load
from pingpy.config.ocsp import OcspError, saying
from pingpy.config.source import ConfigSource

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
AUTHORITY = CA()
ISSUER = x509.load_pem_x509_certificate(AUTHORITY.cert_pem.bytes())
ISSUER_KEY = load_pem_private_key(AUTHORITY.private_key_pem.bytes(), None)
ISSUED = AUTHORITY.issue_cert("localhost")
OTHER = AUTHORITY.issue_cert("localhost")


def chain(issued=ISSUED):
    return issued.cert_chain_pems[0].bytes()


def response(issued=ISSUED, *, first=NOW, last=NOW + WEEK, hash_by=SHA1, revoked=False):
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=x509.load_pem_x509_certificate(chain(issued)),
        issuer=ISSUER,
        algorithm=hash_by(),
        cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
        this_update=first.replace(tzinfo=None),
        next_update=None if last is None else last.replace(tzinfo=None),
        revocation_time=first.replace(tzinfo=None) if revoked else None,
        revocation_reason=None,
    )
    by_hash = ocsp.OCSPResponderEncoding.HASH
    signed = builder.responder_id(by_hash, ISSUER).sign(ISSUER_KEY, SHA256())
    return signed.public_bytes(Encoding.DER)


@pytest.mark.parametrize("hash_by", [SHA1, SHA256])
def test_a_response_says_how_long_its_certificate_is_good(hash_by):
    said = saying(response(hash_by=hash_by), first_der(chain()))
    assert (said.status, said.first, said.last) == ("good", NOW, NOW + WEEK)


def test_a_response_may_have_no_end_and_may_be_bad_news():
    assert saying(response(last=None), first_der(chain())).last is None
    assert saying(response(revoked=True), first_der(chain())).status == "revoked"


def refused(kind):
    builder = ocsp.OCSPResponseBuilder
    return builder.build_unsuccessful(kind).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (response(OTHER), "it is for another certificate"),
        (refused(ocsp.OCSPResponseStatus.TRY_LATER), "the responder refused: try later"),
        (b"", "it is no OCSP response in DER"),
        (b"-----BEGIN OCSP RESPONSE-----\n", "it is no OCSP response in DER"),
        (first_der(chain()), "it is no OCSP response in DER"),
        (response()[:-1], "it is no OCSP response in DER"),
        (response() + b"\0", "it is no OCSP response in DER"),
        (bytes(70_000), "it has more than 65536 bytes"),
    ],
)
def test_what_cannot_be_shown(data, why):
    with pytest.raises(OcspError, match=why):
        saying(data, first_der(chain()))


@given(st.integers(0, 1 << 30), st.integers(0, 255))
def test_a_damaged_response_never_raises_anything_else(place, value):
    data = bytearray(response(last=None))
    data[place % len(data)] = value
    with contextlib.suppress(OcspError):
        saying(bytes(data), first_der(chain()))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (response(), []),
        (response(OTHER), [("error", "it is for another certificate")]),
        (response(first=NOW - 2 * WEEK, last=NOW - WEEK), [("warning", "expired at 2026-11-18")]),
        (response(first=NOW + WEEK, last=None), [("warning", "is valid only from 2026-12-02")]),
        (response(revoked=True), [("warning", "says: revoked")]),
        (None, [("error", "No such file or directory")]),
    ],
)
def test_what_is_said_about_a_file(tmp_path, data, expected):
    (tmp_path / "c.pem").write_bytes(chain())
    if data is not None:
        (tmp_path / "c.ocsp").write_bytes(data)
    text = '[[network.tls]]\ncertificate = "c.pem"\nkey = "c.key"\nocsp = "c.ocsp"\n'
    config = load(ConfigSource("c.toml", text.encode()))
    found = list(check_ocsp(config, tmp_path, NOW))
    assert [str(f.severity) for f in found] == [severity for severity, _ in expected]
    for finding, (_, words) in zip(found, expected, strict=True):
        assert finding.path == ("network", "tls", 0, "ocsp")
        assert words in finding.message
