"""One pingpy that speaks TLS on loopback, its certificates by trustme, and clients that say what they were shown."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp
from free_ports import free_port
from master_rig import until

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0  # for what takes a moment on a machine that has nothing else to do


class Service:
    """`folder` has its files; `tls` is the text of its [[network.tls]] tables."""

    def __init__(self, folder: Path, tls: str, *, own: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.path = folder / "config.toml"
        self.log_path = folder / "errors"
        self.path.write_text(
            f'[global]\nruntime_dir = "{folder}/run"\npid_file = "{folder}/pid"\n'
            f'access_log = "off"\nworker_threads = 1\nprobation = 0\n{own}\n'
            f'[network]\nlisten = ["https://127.0.0.1:{self.port}"]\n{tls}\n'
            '[[proxy.rules]]\npath = "/*"\nrespond = 204\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:
        with self.log_path.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pingpy", "-c", str(self.path)],
                stdout=errors,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        until(lambda: (self.folder / "pid").exists() or self.process.poll() is not None, SECONDS)
        assert self.process.poll() is None, self.log()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise

    def log(self) -> str:
        return self.log_path.read_text()

    def lines(self, words: str) -> list[str]:
        """Of the log, those with these words."""
        return [line for line in self.log().splitlines() if words in line]

    def shown(self, name: str = "localhost") -> int:
        """The serial number of the certificate that a client gets."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown).serial_number

    def s_client(self, *options: str) -> str:
        """What `openssl s_client` says of a connection."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *options]
        done = subprocess.run(
            command, input="Q\n", capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr


def serial(issued: trustme.LeafCert) -> int:
    """Of a certificate."""
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number


def chain(issued: trustme.LeafCert) -> bytes:
    """Its PEM text, with what it was issued by."""
    return b"".join(blob.bytes() for blob in issued.cert_chain_pems)


def key(issued: trustme.LeafCert) -> bytes:
    """Its private key's PEM text."""
    return issued.private_key_pem.bytes()


def ocsp_response(authority: trustme.CA, issued: trustme.LeafCert, *, days: int = 7) -> bytes:
    """What the authority says of it: good, from an hour (with negative days: ten days) ago for so many days."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()),
        issuer=issuer,
        algorithm=SHA256(),
        cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now - (timedelta(hours=1) if days > 0 else timedelta(days=10)),
        next_update=now + timedelta(days=days),
        revocation_time=None,
        revocation_reason=None,
    )
    signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
    named = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer)
    return named.sign(signer, SHA256()).public_bytes(Encoding.DER)
