"""Balancers for hooks: shares, peers that are down, and the ring's points."""

from collections import Counter
from types import SimpleNamespace

import pytest

from pingpy.balance import Ketama, LeastBusy, RoundRobin
from pingpy.balance.ketama import MOST_POINTS, POINTS_PER_WEIGHT, points_of, ring
from pingpy.peer import Peer

A, B, C = (Peer("10.0.0.1", port) for port in (1, 2, 3))


def ports(balancer, count):
    return [balancer.pick(None).port for _ in range(count)]


def test_round_robin_is_smooth_and_skips_who_is_down():
    balancer = RoundRobin({A: 2, B: 1, C: 0})
    assert ports(balancer, 6) == [1, 2, 1, 1, 2, 1]
    balancer.down(A)
    assert set(ports(balancer, 4)) == {2}
    balancer.up(A)
    assert Counter(ports(balancer, 30))[1] == pytest.approx(20, abs=1)
    balancer.down(A)
    balancer.down(B)
    assert set(ports(balancer, 6)) == {1, 2}


def test_least_busy_counts_and_takes_turns():
    balancer = LeastBusy([A, B])
    assert ports(balancer, 4) == [1, 2, 1, 2]
    balancer.done(B)
    balancer.done(B)
    assert ports(balancer, 2) == [2, 2]
    balancer.done(C)
    assert sorted(ports(balancer, 2)) == [1, 2]


def test_ketama_keeps_keys_and_leaves_them_to_others_when_down():
    balancer = Ketama([A, B, C])
    sessions = [SimpleNamespace(request=SimpleNamespace(target=f"/{n}")) for n in range(500)]
    before = [balancer.pick(session) for session in sessions]
    assert Counter(before).keys() == {A, B, C}
    balancer.down(B)
    after = [balancer.pick(session) for session in sessions]
    assert all((a is b) == (a is not B) for a, b in zip(before, after, strict=True))
    keyed = Ketama([A, B, C], key=lambda session: b"one key")
    assert len({keyed.pick(session) for session in sessions}) == 1


def test_bad_weights_are_refused():
    with pytest.raises(ValueError, match="above 0"):
        RoundRobin({A: 0})
    with pytest.raises(ValueError, match="0 or more"):
        RoundRobin({A: -1})


def test_points_are_those_of_nginx():
    # ngx_http_upstream_init_chash: crc32(host "\\0" port previous), previous as four little-endian bytes
    import zlib

    first = zlib.crc32(b"127.0.0.1\x008001" + bytes(4))
    second = zlib.crc32(b"127.0.0.1\x008001" + first.to_bytes(4, "little"))
    assert list(points_of(b"127.0.0.1:8001", 2)) == [first, second]
    assert list(points_of(b"unix:/run/a", 1)) == [zlib.crc32(b"/run/a\x00" + bytes(4))]
    assert list(points_of(b"name", 1)) == [zlib.crc32(b"name\x00" + bytes(4))]


def test_a_ring_is_sorted_proportional_and_bounded():
    points, owners = ring([(b"a:1", 1), (b"b:1", 3), (b"c:1", 0)])
    assert list(points) == sorted(set(points))
    shares = Counter(owners)
    assert shares[0] == pytest.approx(POINTS_PER_WEIGHT, abs=2)
    assert shares[1] == pytest.approx(3 * POINTS_PER_WEIGHT, abs=2)
    assert 2 not in shares
    assert ring([]) == (points[:0], owners[:0])


def test_huge_weights_are_scaled_down_together(monkeypatch):
    monkeypatch.setattr("pingpy.balance.ketama.MOST_POINTS", 2000)
    shares = Counter(ring([(b"a:1", 65_535), (b"b:1", 65_535), (b"c:1", 1)])[1])
    assert sum(shares.values()) <= 2001
    assert shares[0] == pytest.approx(shares[1], abs=2)
    assert shares[2] == 1
    assert MOST_POINTS >= 1_000_000
