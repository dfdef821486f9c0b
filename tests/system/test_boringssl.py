"""A plane that was built with BoringSSL: handshakes with its own client and server, post-quantum ones, beside Python's
OpenSSL. `scripts/test --boringssl` runs these, and the tests with TLS of every library."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from master_rig import free_port, until
from secure_service import ROOT, SECONDS, Service, chain, key

from worker.plane import tls_facts
from worker.plane.tls_context import has_group

HYBRID = "X25519MLKEM768"
BSSL = shutil.which("bssl") or ""

pytestmark = [
    pytest.mark.skipif(
        not tls_facts.libssl().startswith("BoringSSL"),
        reason=f"the plane is built with {tls_facts.libssl()}: scripts/test --boringssl",
    ),
    pytest.mark.skipif(not BSSL, reason="there is no bssl: scripts/boringssl builds it"),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One pingpy for all, with both kinds of keys."""
    folder = tmp_path_factory.mktemp("boringssl")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tables = ""
    for kind in (trustme.KeyType.ECDSA, trustme.KeyType.RSA):
        issued = authority.issue_cert("localhost", key_type=kind)
        (folder / f"{kind.name}.pem").write_bytes(chain(issued))
        (folder / f"{kind.name}.key").write_bytes(key(issued))
        tables += f'[[network.tls]]\ncertificate = "{kind.name}.pem"\nkey = "{kind.name}.key"\n'
    with Service(folder, tables) as running:
        yield running


def bssl_client(service: Service, *options: str) -> str:
    """What `bssl client` says of a connection, and what it gets for a request."""
    command = [BSSL, "client", "-connect", f"127.0.0.1:{service.port}", "-server-name", "localhost"]
    command += ["-root-certs", str(service.folder / "ca.pem"), *options]
    done = subprocess.run(
        command,
        input="GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.row("S40")
@pytest.mark.parametrize("group", [HYBRID, "X25519", "P-256", "P-384"])
def test_each_group_is_negotiated_the_hybrid_one_too(service, group):
    said = bssl_client(service, "-curves", group)
    assert f"ECDHE group: {group}" in said, said
    assert "HTTP/1.1 204" in said, said


@pytest.mark.row("S40")
def test_the_hybrid_group_comes_first(service):
    said = bssl_client(service, "-curves", f"X25519:P-256:{HYBRID}")
    assert f"ECDHE group: {HYBRID}" in said, said


def test_a_group_that_it_has_not_is_refused(service):
    assert "ECDHE group" not in bssl_client(service, "-curves", "P-521")
    assert not has_group("X448")


@pytest.mark.parametrize(
    ("version", "said_version"), [("tls1.2", "TLSv1.2"), ("tls1.3", "TLSv1.3")]
)
def test_curl_and_bssl_agree_with_it_on_both_versions(service, version, said_version):
    said = bssl_client(service, "-min-version", version, "-max-version", version)
    assert f"Version: {said_version}" in said, said
    option = "--tlsv1.3" if version == "tls1.3" else "--tls-max"
    more = [] if version == "tls1.3" else ["1.2"]
    command = [
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{http_version}",
        option,
        *more,
    ]
    command += ["--cacert", str(service.folder / "ca.pem"), f"https://localhost:{service.port}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stdout == "204 2", done.stderr


def test_a_session_is_resumed_after_a_reload(service):
    session = str(service.folder / "session")
    assert "Resumed session: no" in bssl_client(service, "-session-out", session)
    before = len(service.lines("reload"))
    assert service.process is not None
    service.process.send_signal(signal.SIGHUP)
    until(lambda: len(service.lines("reload")) > before, SECONDS)
    assert "Resumed session: yes" in bssl_client(service, "-session-in", session)


@pytest.mark.row("S40")
def test_an_origin_that_knows_it_is_asked_for_the_hybrid_group(tmp_path: Path):
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    (tmp_path / "o.pem").write_bytes(chain(issued))
    (tmp_path / "o.key").write_bytes(key(issued))
    origin, port = free_port(), free_port()
    config = tmp_path / "config.toml"
    config.write_text(
        f'[global]\nruntime_dir = "{tmp_path}/run"\npid_file = "{tmp_path}/pid"\naccess_log = "off"\n'
        f'worker_threads = 1\nprobation = 0\n[network]\nlisten = ["127.0.0.1:{port}"]\n'
        f'[[proxy.rules]]\npath = "/*"\nupstream = "https://localhost:{origin}"\n'
        f'tls = {{ ca = "ca.pem" }}\n'
    )
    told = tmp_path / "told"
    with told.open("w") as output:
        server = subprocess.Popen(
            [
                *(BSSL, "server", "-accept", str(origin), "-loop", "-www"),
                *("-cert", str(tmp_path / "o.pem"), "-key", str(tmp_path / "o.key")),
            ],
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
        proxy = subprocess.Popen(
            [sys.executable, "-P", "-m", "pingpy", "-c", str(config)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        until((tmp_path / "pid").exists, SECONDS)
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 200")
        until(lambda: "ECDHE group:" in told.read_text(), SECONDS)
        assert f"ECDHE group: {HYBRID}" in told.read_text()
    finally:
        proxy.send_signal(signal.SIGINT)
        proxy.wait(SECONDS)
        server.terminate()
        server.wait(SECONDS)


def test_python_has_its_own_library_in_the_same_process():
    assert ssl.OPENSSL_VERSION.startswith("OpenSSL")
    mapped = Path("/proc/self/maps").read_text()
    assert "libpingpy_tls.so" in mapped
    assert "libssl.so" in mapped


def test_version_and_doctor_name_it():
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pingpy", "doctor"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    said = " ".join(done.stdout.split())
    assert "libssl BoringSSL (API " in said
    assert "FIPS not in this build" in said
    assert f"post-quantum {HYBRID}, preferred" in said
    assert done.returncode == 0
