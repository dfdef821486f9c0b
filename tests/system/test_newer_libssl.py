"""With a libssl that has them: the hybrid post-quantum key exchange, and FIPS in force, in real handshakes.

PINGPY_LIBSSL names the folder of such a libssl, as `scripts/newer_libssl` makes it; else the system's must be one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from secure_service import ROOT, Service, chain, key

from pingpy.cli.facts import POST_QUANTUM

pytestmark = pytest.mark.system
NEWER = os.environ.get("PINGPY_LIBSSL", "")
TLS = '[[network.tls]]\ncertificate = "web.pem"\nkey = "web.pem"\n{more}'
GET = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CHACHA = "TLS_CHACHA20_POLY1305_SHA256"
FIPS = """openssl_conf = begin
.include {folder}/fipsmodule.cnf
[begin]
providers = providers
alg_section = algorithms
[providers]
fips = fips_sect
base = base
[base]
activate = 1
[algorithms]
default_properties = fips=yes
"""


def openssl(*arguments: str, say: str = "") -> str:
    """What the program of that libssl says."""
    program = f"{NEWER}/openssl" if NEWER else "openssl"
    done = subprocess.run(
        [program, *arguments], input=say, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def pingpy(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pingpy", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes of the test meet that libssl."""
    if NEWER:
        monkeypatch.setenv("LD_LIBRARY_PATH", NEWER)
    if f"{POST_QUANTUM}, preferred" not in pingpy("doctor"):
        pytest.skip(f"libssl has no {POST_QUANTUM}: see scripts/newer_libssl, and PINGPY_LIBSSL")


def serving(folder: Path, more: str = "") -> Service:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "web.pem").write_bytes(chain(issued) + key(issued))
    return Service(folder, TLS.format(more=more))


def visit(service: Service, *options: str) -> str:
    """One request on a connection of its own."""
    address = f"127.0.0.1:{service.port}"
    trust = ("-CAfile", str(service.folder / "ca.pem"), "-verify_return_error")
    start = ("s_client", "-connect", address, "-servername", "localhost", "-ign_eof")
    return openssl(*start, *trust, *options, say=GET)


def resumed(service: Service, *options: str) -> bool:
    """Whether the session of one visit goes on in the next."""
    kept = str(service.folder / "session")
    Path(kept).unlink(missing_ok=True)
    assert "HTTP/1.1 204" in visit(service, *options, "-sess_out", kept)
    said = visit(service, *options, "-sess_in", kept)
    assert "HTTP/1.1 204" in said, said
    return "Reused, TLSv1" in said


def test_the_hybrid_group_is_agreed_on_with_whoever_has_it(newer: None, tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        for options in (["-groups", POST_QUANTUM], []):
            said = visit(service, *options)
            assert f"Negotiated TLS1.3 group: {POST_QUANTUM}" in said, said
            assert "Verification: OK" in said
            assert "HTTP/1.1 204" in said
        for options in (["-groups", "X25519"], ["-groups", "P-256"], ["-tls1_2"]):
            said = visit(service, *options)
            assert POST_QUANTUM not in said
            assert "HTTP/1.1 204" in said, said
        assert resumed(service, "-groups", POST_QUANTUM)
        assert resumed(service, "-tls1_2")
        assert service.lines("[warn]") == []


def test_it_can_be_all_that_is_agreed_on(newer: None, tmp_path: Path) -> None:
    with serving(tmp_path, f'groups = ["{POST_QUANTUM}"]\nmin_version = "1.3"\n') as service:
        assert "HTTP/1.1 204" in visit(service)
        said = visit(service, "-groups", "X25519")
        assert "alert handshake failure" in said, said
        assert service.lines("closed: TLS handshake: no suitable key share")


def test_fips_in_force(newer: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the module's own self-tests passed, and nothing that it does not approve of."""
    if not NEWER:
        pytest.skip("the system has no FIPS module: see scripts/newer_libssl, and PINGPY_LIBSSL")
    module = f"{NEWER}/fips.so"
    said = openssl("fipsinstall", "-module", module, "-out", str(tmp_path / "fipsmodule.cnf"))
    assert "INSTALL PASSED" in said, said
    assert "no provider" in "".join(x for x in pingpy("doctor").splitlines() if "FIPS" in x)
    monkeypatch.setenv("OPENSSL_MODULES", NEWER)
    (tmp_path / "fips.cnf").write_text(FIPS.format(folder=tmp_path))
    with monkeypatch.context() as server:
        server.setenv("OPENSSL_CONF", str(tmp_path / "fips.cnf"))
        assert "in force" in "".join(x for x in pingpy("doctor").splitlines() if "FIPS" in x)
        service = serving(tmp_path)
        service.__enter__()
    try:
        for options in (["-groups", "P-256"], ["-groups", "P-256", "-tls1_2"]):
            assert "HTTP/1.1 204" in visit(service, *options)
        assert resumed(service, "-groups", "P-256")
        assert resumed(service, "-groups", "P-256", "-tls1_2")
        for options in (["-groups", "X25519"], ["-groups", "P-256", "-ciphersuites", CHACHA]):
            said = visit(service, *options)
            assert "alert handshake failure" in said, said
    finally:
        service.__exit__()
