"""Certificates: readable, of their key, in date."""

import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pingpy.config.certificates import check_certificates, expiries, validity
from pingpy.config.certificates_upstream import check_upstream_certificates
from pingpy.config.load import load
from pingpy.config.source import ConfigSource

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2100, 1, 1, tzinfo=UTC)


def told(certificate, key, now=NOW):
    text = f'[network]\nssl_certificate = "{certificate}"\nssl_certificate_key = "{key}"\n'
    config = load(ConfigSource("c.toml", text.encode()))
    found = list(check_certificates(config, DATA, now))
    return [(f.path[-1], str(f.severity), f.message.replace(f"{DATA}/", "")) for f in found]


def test_a_certificate_and_its_key_are_fine():
    assert told("tls_localhost.crt", "tls_localhost.key") == []


@pytest.mark.parametrize(
    ("certificate", "key", "place", "message"),
    [
        (
            "none.crt",
            "tls_localhost.key",
            "ssl_certificate",
            "cannot read none.crt: No such file or directory",
        ),
        (
            "tls_localhost.crt",
            "tls_other.key",
            "ssl_certificate_key",
            "the key is not that of the certificate tls_localhost.crt",
        ),
        (
            "tls_localhost.crt",
            "tls_encrypted.key",
            "ssl_certificate_key",
            "tls_encrypted.key is encrypted",
        ),
    ],
)
def test_what_stops_a_start(certificate, key, place, message):
    assert told(certificate, key) == [(place, "error", message)]


def test_when_certificates_end_by_their_names_in_the_file():
    table = '[[network.tls]]\nserver_name = "b"\ncertificate = "{}"\nkey = "k"\n'
    text = '[network]\nssl_certificate = "a.crt"\nssl_certificate_key = "a.key"\n'
    text += table.format("b.crt") + table.format("none.crt").replace('"b"', '"c"')
    config = load(ConfigSource("c.toml", text.encode()))
    pem = (DATA / "tls_localhost.crt").read_bytes()
    found = expiries(config, {"a.crt": pem, "b.crt": b"-----BEGIN CERTIFICATE-----", "k": pem})
    assert list(found) == ["a.crt"]
    assert datetime.fromtimestamp(found["a.crt"], UTC) == last_day("tls_localhost.crt")
    assert expiries(load(ConfigSource("c.toml", b"")), {}) == {}


def last_day(name):
    said = ["openssl", "x509", "-enddate", "-noout", "-in", str(DATA / name)]
    text = subprocess.run(said, capture_output=True, text=True, check=True).stdout
    return datetime.strptime(text.strip(), "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)


def test_files_that_are_not_pem():
    ((place, severity, message),) = told("seed_config.toml", "tls_localhost.key")
    assert (place, severity) == ("ssl_certificate", "error")
    assert message.startswith("cannot use seed_config.toml with tls_localhost.key: ")


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (
            datetime(2000, 1, 1, tzinfo=UTC),
            "the certificate tls_localhost.crt is valid only from FIRST",
        ),
        (datetime(2200, 1, 1, tzinfo=UTC), "the certificate tls_localhost.crt expired on LAST"),
        (None, "the certificate tls_localhost.crt expires on LAST"),
    ],
)
def test_the_end_of_a_certificate_is_a_warning(now, message):
    first, last = validity(_der())
    now = now or datetime.combine(last.date(), datetime.min.time(), UTC)
    expected = message.replace("FIRST", f"{first:%Y-%m-%d}").replace("LAST", f"{last:%Y-%m-%d}")
    assert told("tls_localhost.crt", "tls_localhost.key", now) == [
        ("ssl_certificate", "warning", expected)
    ]


def test_the_dates_of_a_certificate_are_those_that_openssl_prints():
    assert validity(_der()) == (
        datetime(2026, 11, 22, 22, 14, 56, tzinfo=UTC),
        datetime(2126, 10, 29, 22, 14, 56, tzinfo=UTC),
    )


UPSTREAM = """
[proxy]
tls = {{ ca = "{0}" }}
[[proxy.rules]]
upstream = "https://a"
tls = {{ certificate = "{1}", key = "{2}" }}
"""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("tls_localhost.crt", "tls_localhost.crt", "tls_localhost.key"), []),
        (
            ("none.crt", "tls_localhost.crt", "tls_other.key"),
            [
                (("proxy", "tls", "ca"), "cannot read none.crt: No such file or directory"),
                (
                    ("proxy", "rules", 0, "tls", "key"),
                    "the key is not that of the certificate tls_localhost.crt",
                ),
            ],
        ),
        (
            ("tls_localhost.key", "tls_localhost.crt", "tls_localhost.key"),
            [(("proxy", "tls", "ca"), "there is no certificate in tls_localhost.key")],
        ),
    ],
)
def test_files_for_tls_towards_origins(files, expected):
    config = load(ConfigSource("c.toml", UPSTREAM.format(*files).encode()))
    found = check_upstream_certificates(config, DATA, datetime(2027, 1, 1, tzinfo=UTC))
    assert [(f.path, f.message.replace(f"{DATA}/", "")) for f in found] == expected


def _der():
    return ssl.PEM_cert_to_DER_cert((DATA / "tls_localhost.crt").read_text())
