"""Balancing: exact shares, down and drained peers, panic, retries, caps, and keys that stay where they are."""

import zlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pingpy.balance.ketama import ring
from pingpy.shared import Region, layout
from worker.plane import hashing
from worker.plane import table_doors as doors
from worker.plane.cells import Cells
from worker.plane.pick import Peer, Pool
from worker.plane.pick_hash import AddressHash, ConsistentHash
from worker.plane.pick_random import PowerOfTwo, Random
from worker.plane.pick_turns import LeastConnections, RoundRobin

REGION = Region.create()
CELLS = Cells(REGION, REGION.claim_slab(1, 0, "worker"))
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALL = ["RoundRobin", "LeastConnections", "Random", "PowerOfTwo", "AddressHash", "Ketama", "Pool"]


def make(kind, *weights, caps=(), worker=0, workers=1):
    """A pool of fresh peers named A, B, C ... with these weights."""
    classes = {
        "RoundRobin": RoundRobin,
        "LeastConnections": LeastConnections,
        "Random": Random,
        "PowerOfTwo": PowerOfTwo,
        "AddressHash": AddressHash,
        "Pool": Pool,
        "Ketama": lambda *a, **k: ConsistentHash(*a, ring, **k),
    }
    make.pools += 1
    name = b"pool%d" % make.pools
    pool = classes[kind](name, CELLS, worker=worker, workers=workers)
    peers = [
        Peer(
            cell=CELLS.claim_peer(name, b"%d" % number),
            text=LETTERS[number % 26].encode() + (b"%d" % (number // 26) if number > 25 else b""),
            sockaddr=b"",
            family=2,
            weight=weight,
            max_connections=caps[number] if caps else 0,
        )
        for number, weight in enumerate(weights)
    ]
    pool.set_peers(peers)
    return pool


make.pools = 0


def picks(pool, count, now_ms=0):
    return "".join(
        pool.pick_for(turn * 2654435761 % (1 << 32), None, now_ms).text.decode()
        for turn in range(count)
    )


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((2, 1), "ABAABA"),
        ((1, 1, 1), "ABCABC"),
        ((5, 1, 1), "AAABCAA" * 2),
        ((4, 2), "ABAABA"),
        ((1,), "AAA"),
        ((1, 0, 1), "ACACAC"),
    ],
)
def test_round_robin_is_smooth(weights, expected):
    assert picks(make("RoundRobin", *weights), len(expected)) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=9), st.integers(0, 30))
def test_any_run_of_a_whole_round_gives_each_its_exact_weight(weights, skip):
    if not any(weights):
        return
    pool = make("RoundRobin", *weights, worker=skip, workers=31)
    picks(pool, skip)
    assert Counter(picks(pool, sum(weights))) == Counter(
        {LETTERS[number]: weight for number, weight in enumerate(weights) if weight}
    )


def test_round_robin_stays_exact_and_smooth_over_many_rounds():
    pool = make("RoundRobin", 65_535, 1, 7)
    total = 65_535 + 1 + 7
    assert Counter(picks(pool, total * 2)) == {"A": 131_070, "B": 2, "C": 14}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(0, 8),
    st.lists(st.integers(0, 8), max_size=40),
)
def test_equal_weights_go_round_and_who_was_passed_over_is_next(count, weight, worker, tried):
    pool = make("RoundRobin", *[weight] * count, worker=worker, workers=9)
    first = worker * count // 9
    ring = [*range(first, count), *range(first)]
    for out in tried:
        out %= count
        expected = next((index for index in ring if index != out), None)
        found = pool.pick_for(0, [pool.peers[out]], 1)
        assert found is (None if expected is None else pool.peers[expected])
        if expected is not None:  # it has had its turn; who was passed over keeps his
            ring.remove(expected)
            ring.append(expected)


def test_a_weight_set_at_run_time_ends_the_round_of_equals():
    pool = make("RoundRobin", 1, 1)
    assert picks(pool, 4, 1) == "ABAB"
    CELLS.set_override(pool.peers[0].cell, 3, False)
    assert Counter(picks(pool, 40, 100)) == {"A": 30, "B": 10}
    CELLS.set_override(pool.peers[0].cell, -1, False)
    assert Counter(picks(pool, 40, 200)) == {"A": 20, "B": 20}


def test_what_was_changed_by_somebody_who_died_before_saying_so_is_seen_within_a_second():
    pool = make("RoundRobin", 1, 1)
    assert set(picks(pool, 4, 1)) == {"A", "B"}
    at = (layout.PEERS_AT + pool.peers[0].cell * layout.PEER_BYTES) // 4
    REGION.ints[at + layout.I_WEIGHT] = 1  # a weight of 0
    assert set(picks(pool, 4, 900)) == {"A", "B"}
    assert set(picks(pool, 4, 1001)) == {"B"}


def test_a_mark_that_runs_out_is_seen_although_nobody_says_so():
    pool = make("RoundRobin", 1, 1)
    for _ in range(CELLS.fail_limit):
        doors.peer_failed(CELLS, pool.peers[1].cell, 1)
    assert set(picks(pool, 4, 100)) == {"A"}
    ends = 1 + CELLS.down_ms
    assert set(picks(pool, 4, ends - 100)) == {"A"}
    assert set(picks(pool, 4, ends + 50)) == {"A", "B"}


def test_workers_begin_at_different_points():
    first = [picks(make("RoundRobin", 1, 1, 1, 1, worker=w, workers=4), 1) for w in range(4)]
    assert sorted(first) == ["A", "B", "C", "D"]
    weighted = [picks(make("RoundRobin", 2, 1, worker=w, workers=2), 3) for w in range(2)]
    assert weighted == ["ABA", "BAA"]


@pytest.mark.parametrize("kind", ALL)
def test_a_down_peer_gets_nothing_and_comes_back_within_100_ms(kind):
    pool = make(kind, 1, 1, 1)
    cell = pool.peers[1].cell
    assert "B" in picks(pool, 200, 1)
    CELLS.set_probe(cell, layout.PROBE_DOWN, 1)
    assert set(picks(pool, 200, 1)) == {"A", "C"}
    CELLS.set_probe(cell, layout.PROBE_UP, 2)
    assert "B" in picks(pool, 300, 100)


@pytest.mark.parametrize("kind", ALL)
def test_when_all_are_down_all_are_tried(kind):
    pool = make(kind, 1, 1, 1)
    for peer in pool.peers:
        CELLS.set_probe(peer.cell, layout.PROBE_DOWN, 1)
    assert set(picks(pool, 300, 1)) == {"A", "B", "C"}
    assert pool.panic
    CELLS.set_probe(pool.peers[0].cell, layout.PROBE_UP, 1)
    assert set(picks(pool, 100, 100)) == {"A"}
    assert not pool.panic


@pytest.mark.parametrize("kind", ALL)
def test_what_was_tried_is_not_picked_again(kind):
    pool = make(kind, 1, 2, 3, 4)
    tried = []
    for _ in range(4):
        peer = pool.pick_for(7, tried, 1)
        assert peer not in tried
        tried.append(peer)
    assert pool.pick_for(7, tried, 1) is None


@pytest.mark.parametrize("kind", ALL)
def test_a_retry_does_not_go_to_a_peer_that_is_down(kind):
    pool = make(kind, 1, 1, 1)
    CELLS.set_probe(pool.peers[2].cell, layout.PROBE_DOWN, 1)
    assert pool.pick_for(7, pool.peers[:2], 1) is None


@pytest.mark.parametrize("kind", ALL)
def test_weight_zero_is_drained_and_all_zero_is_nobody(kind):
    assert set(picks(make(kind, 1, 0), 100)) == {"A"}
    assert make(kind, 0, 0).pick_for() is None
    assert make(kind).pick_for() is None


@pytest.mark.parametrize("kind", ALL)
def test_weights_and_drain_marks_set_at_run_time_hold(kind):
    pool = make(kind, 1, 1)
    first, second = (peer.cell for peer in pool.peers)
    CELLS.set_override(first, 0, False)
    assert set(picks(pool, 50, 100)) == {"B"}
    CELLS.set_override(first, -1, False)
    CELLS.set_override(second, -1, True)
    assert set(picks(pool, 50, 200)) == {"A"}
    CELLS.set_override(second, -1, False)
    assert set(picks(pool, 300, 300)) == {"A", "B"}


@pytest.mark.parametrize("kind", ALL)
def test_peers_at_their_cap_are_left_out_until_all_are(kind):
    pool = make(kind, 1, 1, caps=(1, 1))
    doors.enter_peer(CELLS, pool.peers[0].cell)
    assert set(picks(pool, 50, 1)) == {"B"}
    doors.enter_peer(CELLS, pool.peers[1].cell)
    assert set(picks(pool, 300, 1)) <= {"A", "B"}
    assert pool.pick_for(1, None, 1) is not None


@pytest.mark.parametrize("kind", ["Random", "PowerOfTwo"])
def test_chance_follows_the_weights(kind):
    drawn = Counter(picks(make(kind, 1, 2, 5), 16_000))
    assert drawn["A"] == pytest.approx(2000, abs=300)
    if kind == "Random":
        assert drawn["B"] == pytest.approx(4000, abs=400)
        assert drawn["C"] == pytest.approx(10_000, abs=500)


def test_ip_hash_follows_the_weights():
    shares = Counter(
        make_ip.pick_for(hashing.hash_address(b"10.%d.%d.1" % divmod(number, 256))).text
        for make_ip in [make("AddressHash", 1, 3)]
        for number in range(6000)
    )
    assert shares[b"B"] / shares[b"A"] == pytest.approx(3, abs=0.2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6)), min_size=1, max_size=12))
def test_least_connections_picks_a_peer_with_the_least_load(members):
    pool = make("LeastConnections", *(weight for weight, _ in members))
    loads = {}
    for peer, (weight, busy) in zip(pool.peers, members, strict=True):
        for _ in range(busy):
            doors.enter_peer(CELLS, peer.cell)
        loads[peer] = busy / weight
    assert loads[pool.pick_for()] == min(loads.values())


def test_least_connections_takes_turns_by_weight_among_idle_peers():
    assert picks(make("LeastConnections", 2, 1), 6) == "ABAABA"
    assert picks(make("LeastConnections", 1, 1, 1), 6) == "ABCABC"


def test_least_connections_counts_other_workers_requests():
    pool = make("LeastConnections", 1, 1)
    other = Cells(REGION, REGION.claim_slab(1, 1, "worker"))
    doors.enter_peer(other, pool.peers[0].cell)
    assert set(picks(pool, 10)) == {"B"}


def test_many_peers_are_sampled_well():
    pool = make("LeastConnections", *[1] * 500)
    for peer in pool.peers[::2]:
        doors.enter_peer(CELLS, peer.cell)
    idle = set(pool.peers[1::2])
    assert all(pool.pick_for() in idle for _ in range(300))


def test_power_of_two_prefers_the_idle():
    pool = make("PowerOfTwo", 1, 1)
    for _ in range(5):
        doors.enter_peer(CELLS, pool.peers[0].cell)
    assert Counter(picks(pool, 1000))["B"] > 950


@pytest.mark.parametrize("kind", ["AddressHash", "Ketama"])
def test_keys_stay_when_another_peer_goes_down(kind):
    pool = make(kind, 1, 1, 1, 1)
    before = {key: pool.pick_for(key, None, 1) for key in range(0, 1 << 32, (1 << 21) + 1)}
    gone = pool.peers[2]
    CELLS.set_probe(gone.cell, layout.PROBE_DOWN, 1)
    after = {key: pool.pick_for(key, None, 100) for key in before}
    moved = {key for key in before if before[key] is not after[key]}
    assert moved == {key for key, peer in before.items() if peer is gone}
    assert len({after[key] for key in moved}) == 3
    CELLS.set_probe(gone.cell, layout.PROBE_UP, 1)
    assert {key: pool.pick_for(key, None, 200) for key in before} == before


def test_a_consistent_hash_moves_few_keys_when_a_peer_joins():
    small, large = make("Ketama", *[1] * 9), make("Ketama", *[1] * 10)
    keys = [zlib.crc32(b"%d" % number) for number in range(5000)]
    moved = [key for key in keys if small.pick_for(key).text != large.pick_for(key).text]
    assert 0.04 < len(moved) / len(keys) < 0.18
    assert {large.pick_for(key).text for key in moved} == {b"J"}


def test_set_peers_keeps_objects_and_retires_the_rest():
    pool = make("RoundRobin", 1, 1, 1)
    first, second, third = pool.peers
    pool.set_peers([first, third])
    assert second.retired
    assert not first.retired
    assert set(picks(pool, 20)) == {"A", "C"}
    pool.set_peers([first, second])
    assert not second.retired
    assert third.retired


def test_a_pool_without_peers_is_pending_until_it_has_some():
    pool = RoundRobin(b"pending", CELLS)
    assert pool.pending
    assert pool.pick_for() is None
    pool.set_peers([])
    assert not pool.pending


class Last:
    """Picks the last one, or what it is told."""

    answer = None

    def pick(self, session, peers):
        self.seen = (session, [peer.text for peer in peers])
        return self.answer or peers[-1]


def test_a_balancer_of_the_users_sees_only_who_may_be_picked():
    chooser = Last()
    pool = make("RoundRobin", 1, 1, 0, 1)
    own = RoundRobin(b"custom", CELLS, custom=chooser)
    assert own.pick_custom_for("session") is None
    own.set_peers(pool.peers)
    first, second, drained, last = pool.peers
    assert own.pick_custom_for("session") is last
    assert chooser.seen == ("session", [b"A", b"B", b"D"])
    assert own.pick_custom_for("session", [last], 1) is second
    CELLS.set_probe(second.cell, layout.PROBE_DOWN, 1)
    assert own.pick_custom_for("session", [last], 100) is first
    assert own.pick_custom_for("session", [last, first], 100) is None
    chooser.answer = drained
    with pytest.raises(ValueError, match="one of the peers"):
        own.pick_custom_for("session", None, 100)


def test_a_peer_coming_back_gets_no_credit_for_the_time_away():
    pool = make("RoundRobin", 1, 1)
    CELLS.set_probe(pool.peers[1].cell, layout.PROBE_DOWN, 1)
    picks(pool, 100, 1)
    CELLS.set_probe(pool.peers[1].cell, layout.PROBE_UP, 1)
    assert Counter(picks(pool, 20, 100)) == {"A": 10, "B": 10}


def test_hashes_agree_with_their_definitions():
    for data in (b"", b"a", b"/path?query", bytes(range(256))):
        assert hashing.crc32(data) == zlib.crc32(data)
    octets, expected = [10, 1, 2], 89
    for octet in octets:
        expected = (expected * 113 + octet) % 6271
    assert hashing.hash_address(b"10.1.2.3") == hashing.hash_address(b"10.1.2.99") == expected
    assert hashing.hash_address(b"2001:db8::1") != hashing.hash_address(b"2001:db8::2")
    assert hashing.hash_address(b"") == 89
