"""What the rig's TLS tests share: an authority with an intermediate, certificates on disk, `openssl s_client`, curl."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme

LAST_WEEK = datetime.now(UTC) - timedelta(days=7)


class Authority:
    """A root, an intermediate that issues everything, and a stranger; all it makes lies in `folder` as PEM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root, self.stranger = trustme.CA(), trustme.CA()
        self.middle = self.root.create_child_ca()
        self.root.cert_pem.write_to_path(str(folder / "root.pem"))

    def issue(self, file: str, name: str, **how: Any) -> str:
        """FILE.pem (with its chain) and FILE.key for this name; as two lines of a table of config.toml."""
        issuer = how.pop("issuer", self.middle)
        made = issuer.issue_cert(name, common_name=name, **how)
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        (self.folder / f"{file}.pem").write_bytes(chain)
        made.private_key_pem.write_to_path(str(self.folder / f"{file}.key"))
        return f'certificate = "{file}.pem"\nkey = "{file}.key"\n'


@dataclass(frozen=True)
class Shown:
    """What `openssl s_client` tells of a handshake."""

    code: int
    text: str

    def _one(self, pattern: str) -> str:
        found = re.search(pattern, self.text, re.MULTILINE)
        return found[1] if found else ""

    @property
    def version(self) -> str:
        """ "TLSv1.3"; "" when there was no handshake."""
        return self._one(r"^(?:New|Reused), (TLSv1\.\d), Cipher is ")

    @property
    def cipher(self) -> str:
        return self._one(r"^(?:New|Reused), TLSv1\.\d, Cipher is (\S+)")

    @property
    def chain(self) -> list[str]:
        """Subjects, as they came."""
        return re.findall(r"^ ?\d+ s:(.*)$", self.text, re.MULTILINE)

    @property
    def name(self) -> str:
        """The common name of the first certificate."""
        return self._one(r"^ ?0 s:.*CN ?= ?(\S+)$")

    @property
    def key(self) -> str:
        """The kind of its key."""
        return self._one(r"^ ?0 s:[^\n]*\n[^\n]*\n   a:PKEY: ([^,]*),")

    @property
    def alpn(self) -> str:
        return self._one(r"^ALPN protocol: (\S+)$")

    @property
    def group(self) -> str:
        return self._one(r"^Server Temp Key: (?:ECDH, )?([^,]+),")

    @property
    def verified(self) -> bool:
        return "Verification: OK" in self.text

    @property
    def alert(self) -> str:
        """What the server said instead: "protocol version"."""
        return self._one(r":(?:tlsv1|tlsv13|sslv3) alert ([a-z ]+):")


def s_client(rig: Any, *options: str, port: int = 443, say: str = "") -> Shown:
    """One handshake from inside the edge, and what is said on it."""
    command = rig.edge.inside(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}"),
        *("-CAfile", rig.directory / "root.pem", *options),
    )
    done = subprocess.run(
        command,
        input=say,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    return Shown(done.returncode, done.stdout + done.stderr)


@dataclass(frozen=True)
class Fetched:
    """What curl got: status 0 when there was no answer, then `problem` says why."""

    status: int
    protocol: str
    body: str
    problem: str


def curl(rig: Any, host: str, *options: str, path: str = "/", port: int = 443) -> Fetched:
    """https://HOST/PATH from 127.0.0.1, whoever HOST is; our root is believed."""
    said = rig.edge.run(
        *("curl", "-sS", "--max-time", "50", "--resolve", f"{host}:{port}:127.0.0.1"),
        *("--cacert", str(rig.directory / "root.pem"), "-w", "\n%{http_code} %{http_version}"),
        *(*options, f"https://{host}:{port}{path}"),
        check=False,
    )
    body, _, last = said.stdout.rpartition("\n")
    status, protocol = last.split()
    return Fetched(int(status), protocol, body, said.stderr)
