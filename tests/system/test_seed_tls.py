"""The seed's own file with real certificates at its two paths: TLS and plain on one port, TLS alone on 443."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from rig import SEED, until
from tls_edge import Authority, curl, s_client

CERTIFICATE, KEY = "/etc/ssl/certs/pingora.crt", "/etc/ssl/private/pingora.key"
WITH_443 = SEED.read_text().replace('"[::]:80"]', '"[::]:80", "0.0.0.0:443"]')


def place(rig: Any, certificate: str, key: str) -> None:
    """Put these files of the authority's where the seed looks for them."""
    shutil.copy(rig.directory / f"{certificate}.pem", rig.edge.path(CERTIFICATE))
    shutil.copy(rig.directory / f"{key}.key", rig.edge.path(KEY))


@pytest.fixture
def certified(rig: Any) -> Iterator[Any]:
    """A certificate for localhost with an intermediate at the seed's paths, and one of somebody else's beside it."""
    authority = Authority(rig.directory)
    authority.issue("seed", "localhost")
    authority.issue("else", "else.test")
    place(rig, "seed", "seed")
    yield rig
    rig.make_certificate()


@pytest.mark.row("S9")
def test_the_unchanged_file_serves_tls_and_plain_on_the_same_port(certified: Any) -> None:
    with certified.pingpy():
        for options, url in (("-sSk", "https://localhost:80"), ("-sS", "http://localhost:80")):
            for family in ("-4", "-6"):
                said = certified.edge.run("curl", options, family, f"{url}/api/x").stdout
                assert said.startswith("GET /api/x\nhost: localhost")
        assert curl(certified, "localhost", path="/api/x", port=80).status == 200
        assert curl(certified, "localhost", "--http2", path="/api/x", port=80).protocol == "2"
        found = s_client(certified, "-alpn", "h2", port=80)
        assert (found.name, found.alpn, found.verified) == ("localhost", "h2", True)


@pytest.mark.row("S9")
def test_on_443_openssl_sees_leaf_and_chain_two_versions_and_h2(certified: Any) -> None:
    with certified.pingpy(WITH_443):
        for option, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            found = s_client(certified, option, "-alpn", "h2", "-verify_return_error")
            assert (found.version, found.alpn) == (version, "h2")
            assert (found.name, len(found.chain), found.verified) == ("localhost", 2, True)
        for option in ("-tls1", "-tls1_1"):
            found = s_client(certified, option, "-cipher", "ALL:@SECLEVEL=0")
            assert (found.version, found.alert) == ("", "protocol version")
        plain = certified.edge.run("curl", "-sS", "http://localhost:443/api/x").stdout
        assert plain.startswith("This port speaks TLS")
        assert certified.get("/api/x").status == 200


@pytest.mark.row("S9")
def test_a_key_of_another_certificate_refuses_the_start(certified: Any) -> None:
    place(certified, "seed", "else")
    server = certified.pingpy()
    until(server.ended, 20, "it gives up")
    assert server.process.returncode == 78
    said = server.said()
    assert f"the key is not that of the certificate {CERTIFICATE}" in said
    assert "ssl_certificate_key" in said  # the line is shown
    assert not certified.edge.path("/run/pingora.pid").exists()
