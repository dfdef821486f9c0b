"""TLS from clients with `openssl s_client` and curl: names, versions, kinds of keys, client certificates, hosts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import trustme
from rig import until
from tls_edge import LAST_WEEK, Authority, Shown, curl, s_client

CONFIG = """
[global]
worker_threads = 1
access_log = "/run/access.log"
[network]
listen = ["127.0.0.1:80", "127.0.0.1:443"]
{tables}
[log]
format = "$request $status $termination $ssl_protocol $ssl_server_name $ssl_client_verify $ssl_client_s_dn"
[[proxy.rules]]
upstream = "http://backend:8080"
"""
ECDSA, RSA = trustme.KeyType.ECDSA, trustme.KeyType.RSA


def identities(authority: Authority) -> str:
    """The tables of the identities; the default has two kinds of keys."""
    clients = 'client_ca = "root.pem"\nclient_verify = '

    def table(names: list[str], pair: str, more: str = "") -> str:
        return f"[[network.tls]]\nserver_name = {names}\n{pair}{more}\n"

    return "".join(
        [
            table([], authority.issue("default-ec", "default.test", key_type=ECDSA)),
            table([], authority.issue("default-rsa", "default.test", key_type=RSA)),
            table(["exact.test"], authority.issue("exact", "exact.test")),
            table(["*.wild.test"], authority.issue("wild", "*.wild.test")),
            table(["new.test"], authority.issue("new", "new.test"), 'min_version = "1.3"'),
            table(["must.test"], authority.issue("must", "must.test"), f'{clients}"required"'),
            table(["may.test"], authority.issue("may", "may.test"), f'{clients}"optional"'),
        ]
    )


@pytest.fixture(scope="module")
def edge(whole_rig: Any) -> Iterator[Any]:
    """One pingpy for all; `rig.server` is it, and clients have certificates good, late, stranger."""
    rig = whole_rig
    rig.heal()
    authority = Authority(rig.directory)
    tables = identities(authority)
    authority.issue("good", "joe.test")
    authority.issue("late", "late.test", not_after=LAST_WEEK)
    authority.issue("stranger", "joe.test", issuer=authority.stranger)
    with rig.pingpy(CONFIG.format(tables=tables)) as rig.server:
        yield rig


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("exact.test", "exact.test"),
        ("EXACT.test", "exact.test"),
        ("www.wild.test", "*.wild.test"),
        ("wild.test", "default.test"),
        ("nobody.test", "default.test"),
        (None, "default.test"),
    ],
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_the_name_that_is_asked_for_decides_and_the_default_comes_last(
    edge: Any, asked: str | None, shown: str, version: str
) -> None:
    found = s_client(edge, version, *(("-servername", asked) if asked else ("-noservername",)))
    assert (found.name, found.verified) == (shown, True), found.text


def test_the_chain_is_in_order_and_leads_to_the_root_which_is_not_sent(edge: Any) -> None:
    found = s_client(edge, "-servername", "exact.test", "-verify_return_error", "-showcerts")
    leaf, middle = found.chain
    assert "exact.test" in leaf
    assert "exact.test" not in middle
    assert found.verified


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (("-tls1_3", "-sigalgs", "ECDSA+SHA256"), "id-ecPublicKey"),
        (("-tls1_3", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"), "rsaEncryption"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "id-ecPublicKey"),
        (("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "rsaEncryption"),
        (("-tls1_2", "-sigalgs", "RSA-PSS+SHA256:RSA+SHA256"), "rsaEncryption"),
    ],
)
def test_who_knows_one_kind_of_key_only_gets_that_one(
    edge: Any, options: tuple[str, ...], key: str
) -> None:
    found = s_client(edge, *options)
    assert (found.name, found.key) == ("default.test", key), found.text


@pytest.mark.parametrize(
    "options",
    [
        ("-tls1_3", "-sigalgs", "ed25519"),
        ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256", "-servername", "exact.test"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"),
        ("-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"),
        ("-tls1_2", "-cipher", "AES128-GCM-SHA256"),
        ("-groups", "P-521"),
    ],
)
def test_keys_ciphers_and_groups_that_we_do_not_have_are_refused(
    edge: Any, options: tuple[str, ...]
) -> None:
    found = s_client(edge, *options)
    assert (found.version, found.alert) == ("", "handshake failure"), found.text


@pytest.mark.parametrize(
    ("name", "option", "version"),
    [
        ("exact.test", "-tls1_2", "TLSv1.2"),
        ("exact.test", "-tls1_3", "TLSv1.3"),
        ("new.test", "-tls1_3", "TLSv1.3"),
        ("new.test", "-tls1_2", ""),
        ("exact.test", "-tls1_1", ""),
        ("exact.test", "-tls1", ""),
        ("new.test", "-tls1", ""),
    ],
)
def test_each_name_has_its_oldest_version(edge: Any, name: str, option: str, version: str) -> None:
    weak = ("-cipher", "ALL:@SECLEVEL=0") if option in ("-tls1", "-tls1_1") else ()
    found = s_client(edge, option, "-servername", name, *weak)
    assert (found.version, found.alert) == (version, "" if version else "protocol version")


def shows(edge: Any, who: str) -> tuple[str, ...]:
    folder = edge.directory
    return ("--cert", str(folder / f"{who}.pem"), "--key", str(folder / f"{who}.key"))


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize(
    ("host", "who", "alert"),
    [
        ("must.test", "", ""),
        ("must.test", "stranger", "unknown ca"),
        ("must.test", "late", "certificate expired"),
        ("may.test", "stranger", "unknown ca"),
        ("may.test", "late", "certificate expired"),
    ],
)
def test_a_client_without_a_good_certificate_is_refused_and_told_why(
    edge: Any, host: str, who: str, alert: str, version: str
) -> None:
    # With TLS 1.3 the client is done before we have looked at its certificate: its request is under way by then.
    file = edge.directory / who
    pem = f"{file}.pem"
    own = ("-cert", pem, "-cert_chain", pem, "-key", f"{file}.key") if who else ()
    request = "GET / HTTP/1.1\r\nHost: must.test\r\n\r\n"
    found = s_client(edge, version, "-ign_eof", "-servername", host, *own, say=request)
    missing = "certificate required" if version == "-tls1_3" else "handshake failure"
    assert found.alert == (alert or missing), found.text
    assert "HTTP/1.1 " not in found.text
    for protocol in ("--http1.1", "--http2"):
        before = failures(edge)
        assert curl(edge, host, protocol, *(shows(edge, who) if who else ())).status == 0
        assert failures(edge) == before + 1


def failures(edge: Any) -> float:
    """Handshakes that failed so far."""
    page = edge.get("/metrics").body.decode().splitlines()
    lines = [x for x in page if x.startswith("pingpy_tls_handshake_failures_total{")]
    return sum(float(line.split()[-1]) for line in lines)


@pytest.mark.parametrize("version", [("--tls-max", "1.2"), ("--tlsv1.3",)], ids=["1.2", "1.3"])
@pytest.mark.parametrize(
    ("host", "who", "logged"),
    [
        ("must.test", "good", "must.test SUCCESS CN=joe.test"),
        ("may.test", "good", "may.test SUCCESS CN=joe.test"),
        ("may.test", "", "may.test NONE -"),
        ("exact.test", "good", "exact.test NONE -"),  # nobody asks for it
    ],
)
def test_a_good_certificate_is_let_in_and_logged(
    edge: Any, host: str, who: str, logged: str, version: tuple[str, ...]
) -> None:
    path = f"/{host}-{who}-{version[-1]}"
    found = curl(edge, host, *version, *(shows(edge, who) if who else ()), path=path)
    assert found.status == 200, found
    log = edge.edge.path("/run/access.log")
    line = until(lambda: [x for x in log.read_text().splitlines() if path in x], 10, "it is logged")
    assert logged in line[0]


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_another_host_than_the_one_of_the_handshake_is_misdirected_where_it_asks_for_certificates(
    edge: Any, protocol: str
) -> None:
    other = ("-H", "Host: must.test", protocol)
    for who in ((), shows(edge, "good")):  # to show one to somebody else is not to have shown it
        for host in ("exact.test", "may.test"):
            assert curl(edge, host, *other, *who).status == 421
    assert curl(edge, "exact.test", "-H", "Host: may.test", protocol).status == 200
    assert (
        curl(edge, "must.test", "-H", "Host: exact.test", protocol, *shows(edge, "good")).status
        == 200
    )
    found = curl(edge, "must.test", protocol, *shows(edge, "good"))
    assert (found.status, found.protocol) == (200, "2" if protocol == "--http2" else "1.1")


def renegotiated(edge: Any, *options: str) -> Shown:
    return s_client(edge, "-servername", "exact.test", *options, say="R\n")


def test_a_renegotiation_is_refused_and_others_are_served(edge: Any) -> None:
    found = renegotiated(edge, "-tls1_2")
    assert "RENEGOTIATING" in found.text
    assert "no renegotiation" in found.text
    assert found.code != 0
    assert curl(edge, "exact.test").status == 200


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_of_one_name_is_not_resumed_under_another(edge: Any, version: str) -> None:
    """Else whoever has been at a name that asks for nothing would be let in where a certificate must be shown."""
    file = str(edge.directory / f"session{version}.pem")
    request = "GET / HTTP/1.1\r\nHost: exact.test\r\nConnection: close\r\n\r\n"

    def handshake(name: str, which: str, *own: str) -> Shown:
        options = (version, "-ign_eof", "-servername", name, which, file, *own)
        return s_client(edge, *options, say=request)

    assert "200 OK" in handshake("exact.test", "-sess_out").text
    assert "Reused, TLSv1" in handshake("exact.test", "-sess_in").text
    for name in ("may.test", "www.wild.test", "nobody.test"):
        found = handshake(name, "-sess_in")
        assert "Reused, TLSv1" not in found.text
        assert "200 OK" in found.text, found.text
    assert "HTTP/1.1 " not in handshake("must.test", "-sess_in").text
    pem = str(edge.directory / "good.pem")
    own = ("-cert", pem, "-cert_chain", pem, "-key", pem.replace(".pem", ".key"))
    assert "200 OK" in handshake("may.test", "-sess_out", *own).text
    assert "HTTP/1.1 " not in handshake("must.test", "-sess_in").text
