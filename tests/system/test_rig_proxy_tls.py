"""PROXY headers before TLS: from curl and HAProxy where we trust them, from others not; ours before TLS to nginx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rig import knock, until
from tls_edge import Authority, Fetched, curl

HOST, PORT = "192.168.1.104", 8021
CONFIG = """
[global]
worker_threads = 2
access_log = "off"
[network]
listen = ["127.0.0.1:80", "127.0.0.1:8081", "127.0.0.1:8443"]
[network.proxy_protocol]
from = ["127.0.0.5", "127.0.0.1"]
listeners = ["127.0.0.1:8081", "127.0.0.1:8443"]
[[network.tls]]
{pair}
[[proxy.rules]]
path = "/passed-on*"
upstream = "https://192.168.1.104:8021"
send_proxy_protocol = "v2"
tls = {{ ca = "root.pem", server_name = "nginx.test" }}
[[proxy.rules]]
path = "/as-h2"
rewrite = "/passed-on"
upstream = "https://192.168.1.104:8021"
upstream_protocol = "h2"
send_proxy_protocol = "v2"
tls = {{ ca = "root.pem", server_name = "nginx.test" }}
[[proxy.rules]]
upstream = "http://192.168.1.102:8080"
"""


@pytest.fixture(scope="module")
def edge(whole_rig: Any) -> Iterator[Any]:
    """Pingpy in front of an nginx that wants a PROXY header and then TLS, behind a HAProxy that sends version 2."""
    rig = whole_rig
    authority = Authority(rig.directory)
    pair = authority.issue("front", "front.test")
    authority.issue("nginx", "nginx.test")
    nginx = start_nginx(rig)
    haproxy = start_haproxy(rig)
    with rig.pingpy(CONFIG.format(pair=pair)) as rig.server:
        yield rig
    for process in (haproxy, nginx):
        process.terminate()
        process.wait(10)


def start_nginx(rig: Any) -> Any:
    path, log = rig.directory / "proxied-tls.conf", rig.directory / "proxied-tls.log"
    says = '"$proxy_protocol_addr $server_protocol $ssl_protocol $connection"'
    path.write_text(
        f"user root; daemon off; worker_processes 1; pid {rig.directory}/proxied-tls.pid;\n"
        f"error_log {log} info;\nevents {{ worker_connections 256; }}\n"
        f"http {{ access_log off; server {{ listen {HOST}:{PORT} proxy_protocol ssl http2;\n"
        "ssl_protocols TLSv1.3;\n"
        f"ssl_certificate {rig.directory}/nginx.pem; ssl_certificate_key {rig.directory}/nginx.key;\n"
        f"location / {{ return 200 {says}; }} }} }}\n"
    )
    process = rig.origin.start("nginx", "-e", log, "-c", path)
    until(lambda: rig.origin.call(knock, HOST, PORT), 10, "nginx listens")
    return process


def start_haproxy(rig: Any) -> Any:
    path = rig.directory / "haproxy-tls.cfg"
    times = "timeout connect 5s\ntimeout client 30s\ntimeout server 30s"
    server = "server s 127.0.0.1:8443 send-proxy-v2 proxy-v2-options crc32c,unique-id"
    listen = "listen l\nmode tcp\nunique-id-format %rt\nbind 127.0.0.1:9443"
    path.write_text(f"defaults\n{times}\n{listen}\n{server}\n")
    process = rig.edge.start("haproxy", "-db", "-f", path)
    until(lambda: rig.edge.call(knock, "127.0.0.1", 9443), 10, "haproxy listens")
    return process


def fetch(edge: Any, source: str, port: int, *options: str, path: str = "/") -> Fetched:
    return curl(edge, "front.test", "--interface", source, *options, port=port, path=path)


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
@pytest.mark.parametrize("port", [8081, 8443])
def test_a_header_of_version_1_from_a_trusted_network_comes_before_the_hello(
    edge: Any, port: int, protocol: str
) -> None:
    found = fetch(edge, "127.0.0.5", port, protocol, "--haproxy-protocol")
    assert (found.status, found.protocol) == (200, "2" if protocol == "--http2" else "1.1")
    assert "x-forwarded-for: 127.0.0.5" in found.body


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_a_header_of_version_2_from_haproxy_comes_before_the_hello(
    edge: Any, protocol: str
) -> None:
    for source in ("127.0.0.8", "127.0.0.9", "127.0.0.8"):
        found = fetch(edge, source, 9443, protocol)
        assert found.status == 200
        assert f"x-forwarded-for: {source}" in found.body


def test_others_may_not_say_who_they_are_and_are_who_they_are(edge: Any) -> None:
    assert fetch(edge, "127.0.0.7", 8443, "--haproxy-protocol").status == 0
    found = fetch(edge, "127.0.0.7", 8443)
    assert found.status == 200
    assert "x-forwarded-for: 127.0.0.7" in found.body


def test_a_hello_without_the_header_is_turned_away_where_one_must_come(edge: Any) -> None:
    for port in (8081, 8443):
        assert fetch(edge, "127.0.0.5", port).status == 0
    told = "closed: it begins with no PROXY protocol header"
    until(lambda: told in edge.server.said(), 10, "the error log says why")


@pytest.mark.parametrize(("path", "protocol"), [("/passed-on", "HTTP/1.1"), ("/as-h2", "HTTP/2.0")])
def test_ours_comes_before_tls_and_each_client_has_connections_of_its_own(
    edge: Any, path: str, protocol: str
) -> None:
    connections = set()
    for source in ("127.0.0.8", "127.0.0.9"):
        found = fetch(edge, source, 9443, path=path)
        assert found.status == 200, (found, edge.server.said()[-2000:])
        address, spoken, version, connection = found.body.split()
        assert (address, spoken, version) == (source, protocol, "TLSv1.3")
        connections.add(connection)
    assert len(connections) == 2
