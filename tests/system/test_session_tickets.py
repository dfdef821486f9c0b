"""A client's TLS session goes on in every worker, after reloads, upgrades and new keys, not under another identity."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from matrix_rig import Mixed, Real, until

from pingpy.shared import ticket_keys as layout

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
VERSIONS = ["tls1_2", "tls1_3"]
INNER = """[[network.tls]]
server_name = "in.test"
certificate = "web.pem"
key = "web.pem"
client_ca = "{authority}.pem"
client_verify = "{verify}"
"""


class Secure(Real):
    """The matrix's pingpy with a certificate: the default, and in.test where clients show one of their own."""

    def __init__(self, folder: Path, lifetime: str = "12h", **settings: Any) -> None:
        self.lifetime = lifetime
        for name, authority in (("authority", AUTHORITY), ("stranger", STRANGER)):
            authority.cert_pem.write_to_path(str(folder / f"{name}.pem"))
        for name in ("web", "joe"):
            issued = AUTHORITY.issue_cert("localhost", "in.test")
            issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
        super().__init__(folder, **settings)

    def write(self, *, authority: str = "authority", verify: str = "required", **how: Any) -> None:
        super().write(body=INNER.format(authority=authority, verify=verify), **how)
        own = (
            '[network]\nssl_certificate = "web.pem"\nssl_certificate_key = "web.pem"\n'
            f'ticket_lifetime = "{self.lifetime}"'
        )
        text = self.path.read_text().replace("[network]", own)
        self.path.write_text(
            text.replace('format = "', 'format = "$worker $ssl_session_reused $ssl_protocol ')
        )

    def visit(
        self, version: str, session: Path | None = None, *more: str, name: str = "localhost"
    ) -> Visit:
        """One request over a connection of its own."""
        number = len(list(self.folder.glob("session-*")))
        saved = self.folder / f"session-{number}"
        saved.touch()
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", f"-{version}"]
        command += ["-servername", name, "-CAfile", "authority.pem", "-verify_return_error"]
        command += ["-ign_eof", "-sess_out", saved.name, *more]
        if session is not None:
            command += ["-sess_in", session.name]
        request = f"GET /bytes/10/{number} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
        done = subprocess.run(
            command,
            input=request,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        # With TLS 1.2 openssl writes a session that was not resumed, only.
        kept = saved if saved.stat().st_size or session is None else session
        return Visit(number, kept, done.stdout + done.stderr)

    def answered_by(self, visits: list[Visit]) -> list[tuple[str, ...]]:
        """What the access log says of these: the worker, whether it resumed, the protocol, the generation."""

        def found() -> list[tuple[str, ...]]:
            text = "".join(path.read_text() for path in self.folder.glob("access.log*"))
            lines = [
                re.findall(
                    rf"^(\S+) (\S+) (\S+) (\d+) 200 /bytes/10/{v.number}$", text, re.MULTILINE
                )
                for v in visits
            ]
            return [line[0] for line in lines if line]

        until(lambda: len(found()) == len(visits))
        return found()


@dataclass
class Visit:
    """What openssl said; `session`: what to go on with."""

    number: int
    session: Path
    said: str

    @property
    def resumed(self) -> bool:
        """Whether it was; the request must have been answered either way."""
        assert "HTTP/1.1 200" in self.said, self.said
        kinds = set(re.findall(r"^(New|Reused), TLSv", self.said, re.MULTILINE))
        assert len(kinds) == 1, self.said
        return kinds == {"Reused"}

    @property
    def key(self) -> str:
        """The name of the key that the ticket it has now was made with: the first 16 bytes, RFC 5077 4."""
        name = r"TLS session ticket:\s+0000 - ((?:[0-9a-f]{2}[ -]){16})"
        # TLS 1.2: openssl shows a renewed ticket without writing it; 1.3: it writes it without showing it.
        return str((re.findall(name, self.said) or re.findall(name, self.saved))[-1])

    @property
    def saved(self) -> str:
        """The session in words."""
        command = ["openssl", "sess_id", "-noout", "-text", "-in", str(self.session)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    rig = Secure(tmp_path_factory.mktemp("tickets"))
    rig.start()
    yield rig
    rig.stop()


def reload(rig: Secure) -> int:
    """To the file as it is; the generation that serves then."""
    wanted = rig.current() + 1
    assert rig.tell("reload", timeout=60)["code"] == 0
    until(lambda: rig.settled_on(wanted))
    return wanted


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_is_resumed_by_every_worker(shared, version):
    first = shared.visit(version)
    assert not first.resumed
    named = version.upper().replace("_", ".").replace("S1", "Sv1")
    counter = f'pingpy_tls_handshakes_total{{version="{named}",resumed="true"}}'
    before = shared.scrape()[counter]
    visits = [shared.visit(version, first.session) for _ in range(24)]
    assert all(visit.resumed for visit in visits)
    assert shared.scrape()[counter] - before == 24
    lines = shared.answered_by(visits)
    assert {line[0] for line in lines} == {"0", "1"}
    assert {line[1] for line in lines} == {"r"}
    assert {line[2] for line in lines} == {named}


def test_29_sessions_are_resumed_after_a_reload_and_after_an_upgrade(tmp_path):
    rig = Secure(tmp_path, probation=1)
    rig.start()
    try:
        with Mixed(rig) as load:
            first = [rig.visit(version) for version in VERSIONS]
            assert not any(visit.resumed for visit in first)
            key = {visit.key for visit in first}
            rig.signal("HUP")
            until(lambda: rig.current() == 2 and rig.serves(2))
            second = [rig.visit(v, one.session) for v, one in zip(VERSIONS, first, strict=True)]
            assert all(visit.resumed for visit in second)
            master = rig.owner()
            assert rig.tell("upgrade", timeout=120)["code"] == 0
            until(lambda: rig.owner() != master and rig.serves(3), 60)
            for sessions in (first, second):
                third = [
                    rig.visit(v, one.session) for v, one in zip(VERSIONS, sessions, strict=True)
                ]
                assert all(visit.resumed for visit in third)
            assert not any(visit.resumed for visit in map(rig.visit, VERSIONS))
        load.nothing_lost()
        assert {visit.key for visit in third} == key
        assert {line[3] for line in rig.answered_by(second)} == {"2"}
        assert {line[3] for line in rig.answered_by(third)} == {"3"}
    finally:
        rig.stop()


def test_the_keys_are_in_no_file_and_in_no_log(tmp_path):
    rig = Secure(tmp_path, lifetime="1s", log_level="debug")
    rig.start()
    try:
        known: set[bytes] = set()
        for seen in range(2):
            until(lambda seen=seen: rig.log().count("new key for TLS session tickets") > seen)
            known |= keys_of(rig.owner())
        assert rig.tell("upgrade", timeout=120)["code"] == 0
        until(lambda: rig.settled_on(2), 60)
        known |= keys_of(rig.owner())
        assert len(known) >= 5
        shown = str(rig.tell("status")) + str(rig.tell("workers")) + str(rig.tell("config"))
        files = [path for path in rig.folder.rglob("*") if path.is_file()]
        assert rig.log_path in files
        texts = [shown.encode(), *(path.read_bytes() for path in files)]
        for key in known:
            forms = (key, key.hex().encode(), base64.b64encode(key)[:40])
            assert not any(form in text for form in forms for text in texts)
    finally:
        rig.stop()


def keys_of(master: int) -> set[bytes]:
    """The secret halves of all slots, read out of the master's memory file."""
    for link in Path(f"/proc/{master}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # others come and go
            if "memfd:pingpy-tickets" in os.readlink(link):
                page = link.read_bytes()
    at = [layout.SLOTS_AT + n * layout.SLOT_BYTES for n in range(layout.SLOTS)]
    return {page[a + layout.NAME_BYTES : a + layout.KEY_BYTES] for a in at}


def test_after_a_rotation_the_old_key_decrypts_and_after_the_next_it_does_not(tmp_path):
    rig = Secure(tmp_path, lifetime="10s")
    rig.start()
    try:
        latest: dict[str, Visit] = {}
        until(lambda: renewed(rig, latest), 120)
        assert "a new key for TLS session tickets is in force" in rig.log()
        until(lambda: not any(v.resumed for v in resume(rig, latest).values()), 120)
        assert "handshake" not in rig.log()
    finally:
        rig.stop()


def resume(rig: Secure, sessions: dict[str, Visit]) -> dict[str, Visit]:
    return {version: rig.visit(version, one.session) for version, one in sessions.items()}


def renewed(rig: Secure, latest: dict[str, Visit]) -> bool:
    """Whether the key has changed since `latest`, and its sessions went on with tickets of the new one.

    On a slow machine they may be too old by the time that the change is noticed: then there is a next one.
    """
    fresh = {version: rig.visit(version) for version in VERSIONS}
    keys = {visit.key for visit in fresh.values()}
    if latest and len(keys) == 1 and {visit.key for visit in latest.values()}.isdisjoint(keys):
        again = resume(rig, latest)
        if all(v.resumed for v in again.values()) and {v.key for v in again.values()} == keys:
            return True
    latest.update(fresh)
    return False


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_goes_on_where_a_certificate_of_the_client_is_asked_for(shared, version):
    first = shared.visit(version)
    refused = shared.visit(version, first.session, name="in.test")
    assert "HTTP/1.1" not in refused.said
    assert "Reused" not in refused.said
    shown = shared.visit(version, first.session, "-cert", "joe.pem", name="in.test")
    assert not shown.resumed
    assert shared.visit(version, shown.session, "-cert", "joe.pem", name="in.test").resumed
    assert not shared.visit(version, shown.session).resumed  # nor the other way round


@pytest.mark.parametrize("version", VERSIONS)
def test_a_reload_with_another_client_ca_ends_the_sessions_of_that_name(tmp_path, version):
    rig = Secure(tmp_path)
    rig.start()
    try:
        other = rig.visit(version)
        inner = rig.visit(version, None, "-cert", "joe.pem", name="in.test")
        reload(rig)
        assert rig.visit(version, inner.session, "-cert", "joe.pem", name="in.test").resumed
        rig.write(authority="stranger")
        reload(rig)
        refused = rig.visit(version, inner.session, "-cert", "joe.pem", name="in.test")
        assert "HTTP/1.1" not in refused.said
        assert rig.visit(version, other.session).resumed
    finally:
        rig.stop()


def test_a_lifetime_of_0_is_no_tickets_and_may_come_with_a_reload(tmp_path):
    rig = Secure(tmp_path)
    rig.start()
    try:
        first = {version: rig.visit(version) for version in VERSIONS}
        rig.lifetime = "0s"
        rig.write()
        reload(rig)
        for version, visit in first.items():
            refused = rig.visit(version, visit.session)
            assert not refused.resumed
            assert "TLS session ticket:" not in refused.said
    finally:
        rig.stop()


def test_early_data_is_not_taken(shared):
    first = shared.visit("tls1_3")
    (shared.folder / "early").write_text("GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n")
    again = shared.visit("tls1_3", first.session, "-early_data", "early")
    assert again.resumed
    assert "Early data was not sent" in again.said
    assert "Max Early Data: 0" in again.saved
