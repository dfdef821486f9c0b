"""OCSP responses as `openssl s_client -status` gets them, and what -t says of those that cannot be shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from secure_service import ROOT, Service, chain, key, ocsp_response, serial

AUTHORITY = trustme.CA()
KINDS = {"rsa": trustme.KeyType.RSA, "ecdsa": trustme.KeyType.ECDSA}
VERSIONS = ("-tls1_2", "-tls1_3")
SIGNATURES = {
    "rsa": ("-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"),
    "ecdsa": ("-sigalgs", "ECDSA+SHA256"),
}


def table(name: str, *, names: str = "", stapled: bool = True) -> str:
    """One [[network.tls]]."""
    more = f'ocsp = "{name}.ocsp"\n' if stapled else ""
    more += f'server_name = "{names}"\n' if names else ""
    return f'[[network.tls]]\ncertificate = "{name}.pem"\nkey = "{name}.key"\n{more}'


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Both kinds by default; one name whose response has expired, one that has none."""
    folder = tmp_path_factory.mktemp("stapling")
    issued = {
        kind: AUTHORITY.issue_cert("localhost", key_type=type_) for kind, type_ in KINDS.items()
    }
    issued["late"] = AUTHORITY.issue_cert("late.test")
    issued["bare"] = AUTHORITY.issue_cert("bare.test")
    for name, one in issued.items():
        (folder / f"{name}.pem").write_bytes(chain(one))
        (folder / f"{name}.key").write_bytes(key(one))
        days = -1 if name == "late" else 7
        (folder / f"{name}.ocsp").write_bytes(ocsp_response(AUTHORITY, one, days=days))
    AUTHORITY.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = (
        table("rsa")
        + table("ecdsa")
        + table("late", names="late.test")
        + table("bare", names="bare.test", stapled=False)
    )
    with Service(folder, tls) as running:
        running.issued = issued
        yield running


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_certificate_comes_with_its_own_response(service, kind, version):
    said = service.s_client(
        *("-status", version, *SIGNATURES[kind], "-CAfile", str(service.folder / "ca.pem"))
    )
    assert "OCSP Response Status: successful (0x0)" in said
    assert "Cert Status: good" in said
    assert f"Serial Number: {serial(service.issued[kind]):X}" in said.replace(
        "Number: 0", "Number: "
    )
    assert "Verify return code: 0 (ok)" in said


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["late.test", "bare.test"])
def test_where_there_is_none_to_show_none_is_shown(service, name, version):
    said = service.s_client("-status", version, "-servername", name)
    assert "OCSP response: no response sent" in said
    assert "BEGIN CERTIFICATE" in said


def test_a_client_that_does_not_ask_gets_none(service):
    assert "OCSP" not in service.s_client("-tls1_3")


def test_the_expired_one_was_warned_about(service):
    (line,) = service.lines("expired at")
    assert "late.ocsp" in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"nonsense", "it is no OCSP response in DER"),
        (None, "No such file or directory"),
        ("other", "it is for another certificate"),
    ],
)
def test_a_bad_file_is_told_with_its_place(tmp_path: Path, content, words):
    one, other = (AUTHORITY.issue_cert("localhost") for _ in range(2))
    (tmp_path / "a.pem").write_bytes(chain(one))
    (tmp_path / "a.key").write_bytes(key(one))
    if content is not None:
        data = ocsp_response(AUTHORITY, other) if content == "other" else content
        (tmp_path / "a.ocsp").write_bytes(data)
    config = tmp_path / "c.toml"
    config.write_text(f'[network]\nlisten = "unix:{tmp_path}/s"\n{table("a")}')
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pingpy", "-t", "-c", str(config)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 78
    assert f"{config}:6:8: " in done.stderr, done.stderr
    assert words in done.stderr
