"""Whose X-Forwarded-For is believed: networks that end within an octet, and fields that Connection takes away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.wire.plane_rig import Rig
from worker.settings import packed_networks

ASK = b"GET /local HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %b\r\n%b\r\n"


def client_of(make_rig: Callable[..., Rig], networks: list[str], forwarded: bytes) -> str:
    rig = make_rig(trusted=packed_networks(["loopback", *networks]))
    rig.response(rig.client(ASK % (forwarded, b"")))
    return rig.lines(1)[0].client


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.16.0.0/12", "10.31.255.255", "10.32.0.0"),
        ("10.16.0.0/12", "10.16.0.0", "10.15.255.255"),
        ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
        ("128.0.0.0/1", "255.0.0.1", "126.0.0.1"),
        ("192.0.2.6/31", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.6"),
        ("2001:db8:8000::/33", "2001:db8:ffff::1", "2001:db8:7fff::1"),
    ],
)
def test_a_network_ends_at_its_last_bit(
    make_rig: Callable[..., Rig], network: str, inside: str, outside: str
) -> None:
    behind = b"203.0.113.9, "
    assert client_of(make_rig, [network], behind + inside.encode()) == "203.0.113.9"
    assert client_of(make_rig, [network], behind + outside.encode()) == outside


def test_a_field_that_ends_at_this_hop_says_nothing_of_the_client(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(trusted=packed_networks(["loopback"]))
    rig.response(rig.client(ASK % (b"203.0.113.9", b"Connection: x-forwarded-for\r\n")))
    assert rig.lines(1)[0].client == "127.0.0.1"
