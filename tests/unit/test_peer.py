"""Peers as hooks name them."""

import pytest

from pingpy.peer import Peer


def test_address_reads_as_in_logs():
    assert Peer("192.0.2.1", 80).address == "192.0.2.1:80"
    assert Peer("2001:db8::1", 443, tls=True).address == "[2001:db8::1]:443"
    assert Peer("unix:/run/app.sock").address == "unix:/run/app.sock"


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("192.0.2.1", 65536), ("unix:/a", 1)])
def test_an_impossible_port_is_refused(host, port):
    with pytest.raises(ValueError, match="port"):
        Peer(host, port)


def test_peers_that_may_share_a_connection_are_equal():
    assert Peer("192.0.2.1", 80) == Peer("192.0.2.1", 80)
    assert Peer("192.0.2.1", 80) != Peer("192.0.2.1", 80, group="tenant")
