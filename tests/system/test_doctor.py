"""`pingpy doctor` and `pingpy -V`: what they say of libssl, the host and a configuration, and exit codes."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from secure_service import ROOT, Service, chain, key

from worker.plane import tls_facts
from worker.plane.tls_context import has_group

HYBRID = "X25519MLKEM768"


def told(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "pingpy", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        **more,  # type: ignore[call-overload]
    )


def fact(text: str, name: str) -> str:
    """The line of this name, without it."""
    return next(
        line[3:].removeprefix(name).strip()
        for line in text.splitlines()
        if line[3:].startswith(name)
    )


@pytest.fixture
def secure(tmp_path: Path) -> Path:
    """A configuration with a certificate."""
    issued = trustme.CA().issue_cert("localhost")
    (tmp_path / "a.pem").write_bytes(chain(issued))
    (tmp_path / "a.key").write_bytes(key(issued))
    return write(tmp_path)


def write(folder: Path, more: str = "") -> Path:
    path = folder / "c.toml"
    path.write_text(
        f'[global]\nruntime_dir = "{folder}/run"\naccess_log = "off"\n'
        f'[network]\nlisten = ["https://127.0.0.1:1443"]\n'
        f'[[network.tls]]\nserver_name = "localhost"\ncertificate = "a.pem"\nkey = "a.key"\n{more}'
    )
    return path


@pytest.mark.row("S40")
def test_it_says_which_libssl_and_whether_it_is_fips_and_post_quantum():
    done = told("doctor")
    assert done.returncode == 0, done.stdout
    assert fact(done.stdout, "libssl") == tls_facts.libssl()
    states = ("in force", "loaded, not in force", "available, not loaded", "no provider")
    if tls_facts.libssl().startswith("BoringSSL"):
        states = ("in force", "not in this build")
    assert fact(done.stdout, "FIPS") in states
    assert "X25519, P-256, P-384" in fact(done.stdout, "key exchange")
    said = fact(done.stdout, "post-quantum")
    if has_group(HYBRID):
        assert said == f"{HYBRID}, preferred"
        assert HYBRID in fact(done.stdout, "key exchange")
    else:
        assert said.startswith(f"{HYBRID} not available: OpenSSL 3.")
        assert said.endswith("needs OpenSSL 3.5")


def openssl_version() -> tuple[int, ...]:
    said = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True)
    found = re.search(r"OpenSSL (\d+)\.(\d+)", said.stdout)
    return tuple(map(int, found.groups())) if found else (0, 0)


@pytest.mark.row("S40")
@pytest.mark.parametrize("group", [HYBRID, "X25519", "P-256"])
def test_what_it_lists_is_negotiated_and_what_it_does_not_list_is_not(secure, group):
    if group == HYBRID and openssl_version() < (3, 5):
        pytest.skip("the openssl program here cannot offer it")
    with Service(secure.parent, '[[network.tls]]\ncertificate = "a.pem"\nkey = "a.key"\n') as one:
        said = one.s_client("-tls1_3", "-groups", group)
    listed = group in fact(told("doctor").stdout, "key exchange")
    assert ("Cipher is TLS_" in said) is listed, said


@pytest.mark.skipif(tls_facts.libssl().startswith("BoringSSL"), reason="it has no configuration")
def test_a_fips_module_that_is_in_force_is_seen(tmp_path):
    """The configuration of libssl decides; the provider itself need not be there to be asked for."""
    config = tmp_path / "openssl.cnf"
    config.write_text(
        "openssl_conf = all\n[all]\nalg_section = algorithms\n[algorithms]\n"
        "default_properties = fips=yes\n"
    )
    code = "from worker.plane.tls_facts import fips; print(fips())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OPENSSL_CONF": str(config)},
        check=True,
    )
    assert done.stdout.strip() == "in force"


def test_a_configuration_and_its_certificate_are_looked_at(secure):
    done = told("doctor", "-c", str(secure))
    assert done.returncode == 0, done.stdout
    assert fact(done.stdout, "verdict") == f"{secure} can be used"
    assert re.fullmatch(
        r"a\.pem for localhost, until \d{4}-\d\d-\d\d \(\d+ days\)",
        fact(done.stdout, "certificate"),
    )


def test_a_configuration_that_would_be_refused_is_told_with_its_place_and_78(secure):
    (secure.parent / "a.key").write_bytes(key(trustme.CA().issue_cert("localhost")))
    done = told("doctor", "-c", str(secure), "--json")
    assert done.returncode == 78
    said = json.loads(done.stdout)
    assert said["exit_code"] == 78
    (complaint,) = said["complaints"]
    assert (complaint["line"], complaint["column"]) == (9, 7)
    assert "the key is not that of the certificate" in complaint["message"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may raise the limit")
def test_a_limit_of_descriptors_that_is_too_low_is_noted(secure):
    done = told(
        "doctor",
        "-c",
        str(secure),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
    )
    assert "may not be raised above 256" in done.stdout


def test_dash_v_says_versions_and_the_build():
    said = told("-V").stdout
    for words in (
        "pingpy: ",
        "Python: ",
        "uvloop: ",
        "libssl: ",
        "built by: Cython 3.",
        "flags: -O",
    ):
        assert words in said
