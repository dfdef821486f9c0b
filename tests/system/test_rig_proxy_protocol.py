"""PROXY headers with real peers: HAProxy and curl send them to us, nginx takes ours and those of our probes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rig import knock, until

PLACE = "192.168.1.104:8020"
CONFIG = f"""
[global]
worker_threads = 2
access_log = "/run/access.log"
[network]
listen = ["127.0.0.1:80", "127.0.0.1:8081"]
[network.proxy_protocol]
from = ["127.0.0.0/8"]
listeners = ["127.0.0.1:8081"]
[health_check]
interval = 0.3
timeout = 0.3
[[proxy.rules]]
path = "/passed-on"
upstream = "http://{PLACE}"
send_proxy_protocol = "v2"
[[proxy.rules]]
upstream = "http://192.168.1.102:8080"
"""
BAD_HEADER = "while reading PROXY protocol"


@pytest.fixture(scope="module")
def nginx(whole_rig: Any) -> Iterator[Path]:
    """An nginx that wants a PROXY header on each connection and answers with what it said; its error log."""
    rig, log = whole_rig, whole_rig.directory / "proxied.log"
    path = rig.directory / "proxied.conf"
    path.write_text(
        f"user root; daemon off; worker_processes 1; pid {rig.directory}/proxied.pid;\n"
        f"error_log {log} info;\nevents {{ worker_connections 256; }}\n"
        f"http {{ access_log off; server {{ listen {PLACE} proxy_protocol; location / {{\n"
        'return 200 "$proxy_protocol_addr $proxy_protocol_port $connection"; } } }\n'
    )
    process = rig.origin.start("nginx", "-e", log, "-c", path)
    host, port = PLACE.split(":")
    until(lambda: rig.origin.call(knock, host, int(port)), 10, "nginx listens")
    yield log
    process.terminate()
    process.wait(10)


@pytest.fixture
def haproxy(rig: Any) -> Iterator[None]:
    """HAProxy before us: version 1 on port 8091, version 2 with TLVs and a checksum on port 8092."""
    path = rig.directory / "haproxy.cfg"
    times = "timeout connect 5s\ntimeout client 30s\ntimeout server 30s"
    options = {8091: "send-proxy", 8092: "send-proxy-v2 proxy-v2-options crc32c,unique-id"}
    listens = "\n".join(
        f"listen l{port}\nmode tcp\nunique-id-format %rt\nbind 127.0.0.1:{port}\nserver s 127.0.0.1:8081 {option}"
        for port, option in options.items()
    )
    path.write_text(f"defaults\n{times}\n{listens}\n")
    process = rig.edge.start("haproxy", "-db", "-f", path)
    until(lambda: rig.edge.call(knock, "127.0.0.1", 8092), 10, "haproxy listens")
    yield
    process.terminate()
    process.wait(10)


def curl(rig: Any, source: str, url: str, *options: str) -> str:
    """What curl gets from there when it comes from that address."""
    found = rig.edge.run("curl", "-sS", "--interface", source, *options, url).stdout
    assert isinstance(found, str)
    return found


def logged(rig: Any, target: str) -> list[str]:
    """Client addresses of this target in the access log, once it is there."""
    log = rig.edge.path("/run/access.log")
    wanted = re.compile(rf'^(\S+) .*"GET {target} ', re.MULTILINE)
    return list(until(lambda: wanted.findall(log.read_text()), 10, f"{target} is logged"))


@pytest.mark.parametrize("port", [8091, 8092])
def test_behind_haproxy_the_client_is_known(rig: Any, haproxy: None, port: int) -> None:
    with rig.pingpy(CONFIG):
        for _ in range(3):  # whichever worker it is
            said = curl(rig, "127.0.0.5", f"http://127.0.0.1:{port}/by-{port}")
            assert "x-forwarded-for: 127.0.0.5" in said
        assert set(logged(rig, f"/by-{port}")) == {"127.0.0.5"}


def test_curl_says_who_it_is_and_who_says_nothing_is_turned_away(rig: Any) -> None:
    with rig.pingpy(CONFIG) as pingpy:
        said = curl(rig, "127.0.0.6", "http://127.0.0.1:8081/by-curl", "--haproxy-protocol")
        assert "x-forwarded-for: 127.0.0.6" in said
        h2 = ("--haproxy-protocol", "--http2-prior-knowledge")
        assert "x-forwarded-for: 127.0.0.6" in curl(
            rig, "127.0.0.6", "http://127.0.0.1:8081/by-h2", *h2
        )
        assert "x-forwarded-for: 127.0.0.7" in curl(rig, "127.0.0.7", "http://127.0.0.1:80/plain")
        done = rig.edge.run("curl", "-sS", "http://127.0.0.1:8081/", check=False)
        assert (done.returncode, done.stdout) == (52, "")  # closed without an answer
        told = "closed: it begins with no PROXY protocol header"
        until(lambda: told in pingpy.said(), 10, "the error log says why")


def test_nginx_behind_us_knows_the_client(rig: Any, nginx: Path) -> None:
    with rig.pingpy(CONFIG):
        before = nginx.read_text().count(BAD_HEADER)
        said = [curl(rig, f"127.0.0.{n}", "http://127.0.0.1/passed-on") for n in (5, 6, 5)]
        assert [line.split()[0] for line in said] == ["127.0.0.5", "127.0.0.6", "127.0.0.5"]
        assert len({line.split()[2] for line in said}) == 3  # no connection serves two clients
        as_h2 = curl(rig, "127.0.0.9", "http://127.0.0.1/passed-on", "--http2-prior-knowledge")
        assert as_h2.startswith("127.0.0.9 ")
        kept = curl(rig, "127.0.0.8", "http://127.0.0.1/passed-on", "http://127.0.0.1/passed-on")
        assert re.fullmatch(r"(127\.0\.0\.8 \d+ \d+)\1", kept)  # but it serves its own
        page = until(lambda: probed(rig), 10, "nginx was probed")
        assert page.endswith(" 1")
        assert nginx.read_text().count(BAD_HEADER) == before


def probed(rig: Any) -> str:
    """The line that says whether the probes of nginx succeed, once there is one."""
    lines = rig.get("/metrics").body.decode().splitlines()
    return next((x for x in lines if x.startswith("pingpy_upstream_up{") and PLACE in x), "")
