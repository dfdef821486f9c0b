"""https:// upstreams with a real nginx: who is believed and who is not, who we are, names, sessions, probes."""

from __future__ import annotations

import datetime
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from rig import HOSTS, ROOT, knock, until

HOST = "192.168.1.104"
PORTS = {
    "sni": 8443,
    "late": 8444,
    "else": 8445,
    "other": 8446,
    "strict": 8447,
    "own": 8448,
    "old": 8449,
    "asking": 8450,
}
NAMES = ("a.test", "b.test", "good.test", *(f"{name}.test" for name in PORTS))
VERIFY_FAILED = "TLS with the origin failed: certificate verify failed"
SAYS = '"$ssl_server_name $ssl_session_reused $ssl_client_s_dn"'


def config(rules: str, *, health: str = "") -> str:
    """One worker, so that the second connection is that of the first."""
    return f"""
[global]
worker_threads = 1
access_log = "/run/access.log"
[network]
listen = ["127.0.0.1:80"]
[log]
format = "$request $status $termination"
[proxy]
tls = {{ ca = "origin-ca.pem" }}
{health}
{rules}
"""


def rule(path: str, upstream: str, tls: str = "") -> str:
    keys = f"tls = {{ {tls} }}\n" if tls else ""
    return f'[[proxy.rules]]\npath = "/{path}"\nupstream = "{upstream}"\n{keys}'


class SelfSigned:
    """A certificate that nobody has issued but itself, as trustme shows its own."""

    def __init__(self, name: str) -> None:
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -out -"
        )
        subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
        with tempfile.NamedTemporaryFile() as key:
            made = [*command.split(), *subject, "-keyout", key.name]
            pem = subprocess.run(made, check=True, capture_output=True).stdout
            self.private_key_pem = trustme.Blob(Path(key.name).read_bytes())
        self.cert_chain_pems = [trustme.Blob(pem)]


class Secure:
    """The nginx, its authority, and what is written where."""

    def __init__(self, rig: Any) -> None:
        self.rig = rig
        self.folder: Path = rig.directory
        self.authority, self.stranger = trustme.CA(), trustme.CA()
        self.authority.cert_pem.write_to_path(str(self.folder / "origin-ca.pem"))
        self.stranger.cert_pem.write_to_path(str(self.folder / "stranger-ca.pem"))
        shown = self.authority.issue_cert("proxy.test", common_name="proxy.test")
        self.write("proxy", shown)
        (self.folder / "hosts").write_text(HOSTS + "".join(f"{HOST} {n}\n" for n in NAMES))
        self.process = self.start()

    def write(self, name: str, certificate: trustme.LeafCert | SelfSigned) -> None:
        path = self.folder / f"{name}.pem"
        path.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(str(self.folder / f"{name}.key"))

    def server(
        self, name: str, port: int, certificate: trustme.LeafCert | SelfSigned, more: str = ""
    ) -> str:
        self.write(name, certificate)
        return (
            f"server {{ listen {HOST}:{port} ssl http2; server_name {name}; {more}\n"
            f"ssl_certificate {self.folder}/{name}.pem; ssl_certificate_key {self.folder}/{name}.key;\n"
            "location /protocol { return 200 $server_protocol; }\n"
            f"location / {{ return 200 {SAYS}; }} }}\n"
        )

    def start(self) -> Any:
        issue = self.authority.issue_cert
        past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)
        old = 'ssl_protocols TLSv1; ssl_ciphers "ALL:@SECLEVEL=0";'
        strict = f"ssl_verify_client on; ssl_client_certificate {self.folder}/origin-ca.pem;"
        servers = "".join(
            [
                self.server("a.test", PORTS["sni"], issue("a.test", HOST)),
                self.server("b.test", PORTS["sni"], issue("b.test")),
                self.server("late.test", PORTS["late"], issue("late.test", not_after=past)),
                self.server("else.test", PORTS["else"], issue("somebody.test")),
                self.server("other.test", PORTS["other"], self.stranger.issue_cert("other.test")),
                self.server("strict.test", PORTS["strict"], issue("strict.test"), strict),
                self.server("own.test", PORTS["own"], SelfSigned("own.test")),
                self.server("old.test", PORTS["old"], issue("old.test"), old),
            ]
        )
        path = self.folder / "secure.conf"
        path.write_text(
            f"user root; daemon off; worker_processes 1; pid {self.folder}/secure.pid;\n"
            f"error_log {self.folder}/secure.log;\nevents {{ worker_connections 256; }}\n"
            # One request per connection: what goes on is the session.
            f"http {{ access_log off; keepalive_timeout 0; {servers} }}\n"
        )
        process = self.rig.origin.start("nginx", "-e", self.folder / "secure.log", "-c", path)
        until(lambda: self.rig.origin.call(knock, HOST, PORTS["strict"]), 10, "nginx listens")
        return process


@pytest.fixture(scope="module")
def secure(whole_rig: Any) -> Iterator[Secure]:
    made = Secure(whole_rig)
    yield made
    made.process.terminate()
    made.process.wait(10)
    (made.folder / "hosts").write_text(HOSTS)


def answer(rig: Any, path: str) -> tuple[int, str]:
    """Status and body."""
    reply = rig.get(path)
    return reply.status, reply.body.decode()


def ending(rig: Any, path: str, *, last: bool = False) -> str:
    """The ending in the first (or last) access log line of this path, once there is one."""
    log = rig.edge.path("/run/access.log")
    start = f"GET {path} HTTP/1.1 502 "

    def found() -> list[str]:
        return (
            [x for x in log.read_text().splitlines() if x.startswith(start)] if log.exists() else []
        )

    return str(until(found, 10, f"{path} is logged")[-1 if last else 0].removeprefix(start))


@pytest.mark.row("S12")
def test_the_certificate_is_asked_for_by_name_and_the_session_goes_on(
    rig: Any, secure: Secure
) -> None:
    rules = rule("a", "https://a.test:8443") + rule("b", "https://b.test:8443")
    with rig.pingpy(config(rules + rule("address", f"https://{HOST}:8443"))):
        until(lambda: answer(rig, "/a")[0] == 200, 10, "the name is resolved")
        assert answer(rig, "/a") == (200, "a.test r ")
        assert answer(rig, "/b") == (200, "b.test . ")
        assert answer(rig, "/b") == (200, "b.test r ")
        # an address is verified, too, and is no server name
        assert answer(rig, "/address") == (200, " . ")
        assert answer(rig, "/address") == (200, " r ")


def test_the_protocol_is_agreed_on(rig: Any, secure: Secure) -> None:
    rules = rule("protocol1", "https://a.test:8443") + 'rewrite = "/protocol"\n'
    rules += rule("protocol2", "https://a.test:8443")
    rules += 'rewrite = "/protocol"\nupstream_protocol = "h2"\n'
    with rig.pingpy(config(rules)):
        until(lambda: answer(rig, "/protocol1")[0] == 200, 10, "the name is resolved")
        assert answer(rig, "/protocol1") == (200, "HTTP/1.1")
        assert answer(rig, "/protocol2") == (200, "HTTP/2.0")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("late", "certificate has expired"),
        ("else", "hostname mismatch"),
        ("other", "unable to get local issuer certificate"),
        ("own", "self-signed certificate"),
    ],
)
@pytest.mark.row("S12")
def test_a_certificate_that_is_not_good_is_a_502_with_its_cause(
    rig: Any, secure: Secure, name: str, why: str
) -> None:
    upstream = f"https://{name}.test:{PORTS[name]}"
    rules = rule(name, upstream) + rule("anybody", upstream, "verify = false")
    with rig.pingpy(config(rules)) as pingpy:
        assert "whoever answers gets the requests" in pingpy.said()
        until(lambda: answer(rig, "/anybody")[0] == 200, 10, "the name is resolved")
        assert answer(rig, f"/{name}")[0] == 502
        until(lambda: f"{VERIFY_FAILED} ({why})" in said(pingpy), 10, "the error log says why")
        assert ending(rig, f"/{name}") == "tls_failed"
        assert answer(rig, "/anybody")[0] == 200


@pytest.mark.row("S12")
def test_an_address_that_the_certificate_does_not_name_and_a_version_of_long_ago(
    rig: Any, secure: Secure
) -> None:
    rules = rule("address", f"https://{HOST}:{PORTS['else']}")
    rules += rule("old", f"https://old.test:{PORTS['old']}")
    causes = {
        "/address": f"{VERIFY_FAILED} (IP address mismatch)",
        "/old": "TLS with the origin failed: tlsv1 alert protocol version",
    }
    with rig.pingpy(config(rules)) as pingpy:
        for path, cause in causes.items():
            until(
                lambda p=path: "not been resolved" not in last_cause(rig, pingpy, p), 10, "a name"
            )
            assert last_cause(rig, pingpy, path).endswith(f"502: {cause} at {HOST}:{port_of(path)}")
            assert ending(rig, path, last=True) == "tls_failed"


@pytest.mark.row("S12")
@pytest.mark.parametrize(
    ("version", "alert"),
    [
        ("-tls1_2", "sslv3 alert handshake failure"),
        ("-tls1_3", "tlsv13 alert certificate required"),
    ],
)
def test_an_origin_that_ends_the_connection_for_want_of_a_certificate(
    rig: Any, secure: Secure, version: str, alert: str
) -> None:
    """With TLS 1.3 it says so when we have sent the request already (RFC 8446 4.4.2.4)."""
    place, folder = f"{HOST}:{PORTS['asking']}", rig.directory
    own = ("-cert", folder / "a.test.pem", "-key", folder / "a.test.key")
    believed = ("-CAfile", folder / "origin-ca.pem", "-Verify", "2", "-verify_return_error")
    origin = rig.origin.start(
        *("openssl", "s_server", "-accept", place, "-www", version, *own, *believed),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    shown = 'server_name = "a.test", certificate = "proxy.pem", key = "proxy.key"'
    rules = rule("without", f"https://{place}", 'server_name = "a.test"')
    rules += rule("with", f"https://{place}", shown)
    try:
        with rig.pingpy(config(rules)) as pingpy:
            until(lambda: answer(rig, "/with")[0] == 200, 10, "s_server answers")
            cause = last_cause(rig, pingpy, "/without")
            assert cause.endswith(f"502: TLS with the origin failed: {alert} at {place}")
            assert ending(rig, "/without") == "tls_failed"
    finally:
        origin.kill()
        origin.wait(10)


def port_of(path: str) -> int:
    return PORTS["else" if path == "/address" else path[1:]]


IN_OTHER_WORDS = {
    "(Hostname": "(hostname",
    "self signed": "self-signed",
    "tlsv1 alert certificate required": "tlsv13 alert certificate required",
}


def last_cause(rig: Any, pingpy: Any, path: str) -> str:
    """What the error log says of a request that is answered with 502."""
    before = pingpy.said().count(f"GET {path} answered")
    assert answer(rig, path)[0] == 502
    until(
        lambda: pingpy.said().count(f"GET {path} answered") > before, 10, "the error log says why"
    )
    return str([x for x in said(pingpy).splitlines() if f"GET {path} answered" in x][-1])


def said(pingpy: Any) -> str:
    """What the error log says, in OpenSSL's words."""
    text = str(pingpy.said())
    for boringssl, openssl in IN_OTHER_WORDS.items():
        text = text.replace(boringssl, openssl)
    return text


def test_the_name_and_the_authority_can_be_others(rig: Any, secure: Secure) -> None:
    rules = rule("named", "https://else.test:8445", 'server_name = "somebody.test"')
    rules += rule("stranger", "https://other.test:8446", 'ca = "stranger-ca.pem"')
    with rig.pingpy(config(rules)):
        for path, name in (("/named", "somebody.test"), ("/stranger", "other.test")):
            until(lambda path=path: answer(rig, path)[0] == 200, 10, "the name is resolved")
            assert answer(rig, path)[1].startswith(f"{name} ")


def test_an_origin_that_wants_a_certificate(rig: Any, secure: Secure) -> None:
    shown = 'certificate = "proxy.pem", key = "proxy.key"'
    rules = rule("without", "https://strict.test:8447")
    rules += rule("with", "https://strict.test:8447", shown)
    with rig.pingpy(config(rules)):
        until(lambda: answer(rig, "/with")[0] == 200, 10, "the name is resolved")
        assert "CN=proxy.test" in answer(rig, "/with")[1]
        assert answer(rig, "/without")[0] == 400  # it is nginx who answers so


def test_probes_believe_whom_requests_believe(rig: Any, secure: Secure) -> None:
    health = "[health_check]\ninterval = 0.3\ntimeout = 0.3"
    shown = 'certificate = "proxy.pem", key = "proxy.key"'
    rules = rule("a", "https://a.test:8443") + rule("late", "https://late.test:8444")
    rules += rule("with", "https://strict.test:8447", shown)
    rules += rule("anybody", "https://other.test:8446", "verify = false")
    wanted = {8443: "1", 8444: "0", 8446: "1", 8447: "1"}
    with rig.pingpy(config(rules, health=health)) as pingpy:
        until(lambda: marks(rig) == wanted, 15, f"all are probed: {marks(rig)}")
        assert "certificate has expired" in pingpy.said()


def marks(rig: Any) -> dict[int, str]:
    """By port, what /metrics says of this host's peers."""
    lines = rig.get("/metrics").body.decode().splitlines()
    found = [x for x in lines if x.startswith("pingpy_upstream_up{") and HOST in x]
    return {port: x.rpartition(" ")[2] for x in found for port in PORTS.values() if f":{port}" in x}


def test_a_file_that_cannot_be_used_stops_the_start(rig: Any, secure: Secure) -> None:
    text = config(rule("a", "https://a.test:8443", 'ca = "none.pem"'))
    path = rig.directory / "unusable.toml"
    path.write_text(text)
    done = rig.edge.run(
        *("env", f"PYTHONPATH={ROOT}", sys.executable, "-P", "-m", "pingpy", "-t", "-c", path),
        check=False,
    )
    assert done.returncode == 78
    assert "none.pem: No such file or directory" in done.stderr
