"""Counting: what a request was, the shared peers, passive marking, and the plain counters' names."""

import array

import pytest

from pingpy.shared import COUNTERS, Region, layout
from pingpy.shared.names import FAMILIES
from worker.plane import cells as plane_cells
from worker.plane import table_doors as doors
from worker.plane.buffer import Arena
from worker.plane.cells import Cells
from worker.plane.table_doors import Exchange
from worker.policy.scrape import Scrape

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def arena():
    return Arena()


@pytest.fixture
def region():
    return Region.create()


@pytest.fixture
def cells(region):
    made = Cells(region, region.claim_slab(1, 0, "worker"))
    made.name_listeners(["127.0.0.1:80"])
    made.name_routes(["/a", "default"])
    return made


def totals(region):
    scrape = Scrape(region)
    read = scrape.totals()
    found = {}
    for key, kind, at in scrape.series:
        values = read.sums[at : at + layout.VALUES[kind]].tolist()
        found[key.decode()] = values if kind == layout.HISTOGRAM else values[0]
    return found


def test_the_plain_counters_have_the_names_that_the_enum_says():
    numbered = {member.name: int(member) for member in plane_cells.Counter}
    assert numbered.pop("C_COUNTERS") == len(COUNTERS)
    assert sorted(numbered.values()) == list(range(len(COUNTERS)))
    for name, number in numbered.items():
        metric, labels = COUNTERS[number]
        words = metric + " ".join(labels.values())
        assert name.split("_")[-1].lower()[:4] in words


def test_every_plain_counter_belongs_to_a_family():
    assert {name for name, _ in COUNTERS} <= {family.name for family in FAMILIES}
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_the_constants_of_the_plane_are_those_of_the_layout(region, cells):
    peer = cells.claim_peer(b"p", b"a")
    at = (layout.PEERS_AT + peer * layout.PEER_BYTES) // 4
    doors.enter_peer(cells, peer)
    assert region.ints[at + layout.I_IN_FLIGHT] == 1
    cells.set_probe(peer, layout.PROBE_DOWN, 5)
    assert region.ints[at + layout.I_PROBE] == layout.PROBE_DOWN
    assert region.words[at // 2 + layout.P_PROBED_MS] == 5
    assert region.words[at // 2 + layout.P_HASH] == layout.peer_hash(b"p", b"a")


def test_plain_counters_begin_at_zero_and_add_up(region, cells):
    assert totals(region)["pingpy_log_dropped_total"] == 0
    doors.add(cells, plane_cells.Counter.C_LOG_DROPPED, 3)
    doors.add(cells, plane_cells.Counter.C_LOG_DROPPED, 4)
    assert totals(region)["pingpy_log_dropped_total"] == 7
    assert cells.value(plane_cells.Counter.C_LOG_DROPPED) == 7


def test_a_request_is_counted_under_what_it_was(region, cells, arena):
    exchange = Exchange(arena, REQUEST)
    exchange.note(status=200, route=0, started_us=0, ended_us=700)
    for _ in range(3):
        exchange.count(cells)
    exchange.note(status=404, route=1, ended_us=2_000_000)
    exchange.count(cells)
    exchange.note(status=400, route=-1, listener=9, method=0)
    exchange.count(cells)
    found = totals(region)
    labels = 'listener="127.0.0.1:80",route="/a",method="GET",code="200"'
    assert found[f"pingpy_requests_total{{{labels}}}"] == 3
    labels = 'listener="127.0.0.1:80",route="default",method="GET",code="404"'
    assert found[f"pingpy_requests_total{{{labels}}}"] == 1
    labels = 'listener="none",route="none",method="other",code="400"'
    assert found[f"pingpy_requests_total{{{labels}}}"] == 1
    durations = found['pingpy_request_duration_seconds{listener="127.0.0.1:80",route="/a"}']
    assert durations[layout.BOUNDS_US.index(1000)] == 3
    assert durations[-1] == 2100


@pytest.mark.parametrize(
    ("us", "bucket"),
    [(0, 0), (100, 0), (101, 1), (60_000_000, 17), (60_000_001, 18), (-5, 0)],
)
def test_a_duration_falls_into_the_bucket_whose_bound_it_does_not_exceed(
    region, cells, arena, us, bucket
):
    exchange = Exchange(arena, REQUEST)
    exchange.note(status=200, route=0, started_us=0, ended_us=us)
    exchange.count(cells)
    values = totals(region)['pingpy_request_duration_seconds{listener="127.0.0.1:80",route="/a"}']
    assert values[:-1].index(1) == bucket
    assert values[-1] == max(us, 0)


def test_attempts_are_counted_by_peer_and_status(region, cells, arena):
    first, second = (cells.claim_peer(b"p", name) for name in (b"a:1", b"b:1"))
    cells.name_peer(first, "p", "a:1")
    cells.name_peer(second, "p", "b:1")
    exchange = Exchange(arena, REQUEST)
    exchange.note(status=200, route=0)
    exchange.attempt(b"a:1", first, connect_us=300)
    exchange.attempt(b"b:1", second, 200, connect_us=10, header_us=5000, response_us=6000)
    exchange.attempt(b"b:1", second, 200, reused=True, connect_us=10, header_us=70, response_us=80)
    exchange.count(cells)
    found = totals(region)
    assert found['pingpy_upstream_requests_total{pool="p",target="a:1",code="none"}'] == 1
    assert found['pingpy_upstream_requests_total{pool="p",target="b:1",code="200"}'] == 2
    assert sum(found['pingpy_upstream_connect_seconds{pool="p"}'][:-1]) == 2
    assert found['pingpy_upstream_ttfb_seconds{pool="p"}'][-1] == 5070
    assert found['pingpy_upstream_duration_seconds{pool="p"}'][-1] == 6080


def test_many_kinds_of_requests_are_all_counted(region, arena):
    cells = Cells(region, region.claim_slab(1, 1, "worker"))
    cells.name_routes([f"/{number}" for number in range(300)])
    exchange = Exchange(arena, REQUEST)
    for number in range(300):
        for status in (200, 301, 404, 500):
            exchange.note(status=status, route=number)
            exchange.count(cells)
            exchange.count(cells)
    found = totals(region)
    requests = [value for key, value in found.items() if key.startswith("pingpy_requests_total")]
    assert len(requests) == 1200
    assert set(requests) == {2}


def test_a_flood_of_series_ends_in_other_and_loses_no_count(region, arena):
    cells = Cells(region, region.claim_slab(1, 1, "worker"))
    cells.name_routes([f"/{number}/" + "x" * 100 for number in range(6000)])
    exchange = Exchange(arena, REQUEST)
    for number in range(6000):
        exchange.note(status=200, route=number)
        exchange.count(cells)
    found = totals(region)
    other = 'listener="(other)",route="(other)",method="(other)",code="(other)"'
    assert found[f"pingpy_requests_total{{{other}}}"] > 0
    assert found["pingpy_metric_series_overflowed_total"] > 0
    requests = [value for key, value in found.items() if key.startswith("pingpy_requests_total")]
    assert sum(requests) == 6000


def test_a_peer_has_one_cell_for_all_processes(region, cells):
    other = Cells(region, region.claim_slab(1, 1, "worker"))
    peer = cells.claim_peer(b"p", b"a:1")
    assert other.claim_peer(b"p", b"a:1") == peer
    assert other.claim_peer(b"q", b"a:1") != peer
    doors.enter_peer(cells, peer)
    doors.enter_peer(other, peer)
    assert doors.in_flight(cells, peer) == doors.in_flight(other, peer) == 2
    doors.leave_peer(other, peer)
    assert doors.in_flight(cells, peer) == 1


def test_peers_whose_hashes_collide_have_cells_of_their_own(region, cells, monkeypatch):
    numbers = iter([65_536 + 65_535, 2 * 65_536 + 65_535, 65_536 + 65_535])
    monkeypatch.setattr(layout, "peer_hash", lambda pool, address: next(numbers))
    claimed = [cells.claim_peer(b"p", b"%d" % number) for number in range(3)]
    assert claimed == [65_535, 0, 65_535]


def test_a_full_neighbourhood_is_no_cell_and_no_harm(region, cells, monkeypatch):
    numbers = iter(range(65_536, 100 * 65_536 * 65_536, 65_536))
    monkeypatch.setattr(layout, "peer_hash", lambda pool, address: next(numbers))
    claimed = [cells.claim_peer(b"p", b"a") for _ in range(layout.PEER_PROBES + 1)]
    assert claimed[:-1] == list(range(layout.PEER_PROBES))
    assert claimed[-1] == -1
    doors.enter_peer(cells, -1)
    doors.peer_failed(cells, -1, 0)
    assert doors.in_flight(cells, -1) == 0
    assert doors.usable(cells, -1, 0)


def test_a_killed_workers_requests_stop_counting(region, cells):
    other = Cells(region, region.claim_slab(1, 1, "worker"))
    peer = cells.claim_peer(b"p", b"a")
    doors.enter_peer(cells, peer)
    for _ in range(5):
        doors.enter_peer(other, peer)
    region.retire_slab(other.slab)
    assert doors.in_flight(cells, peer) == 1
    doors.leave_peer(cells, peer)
    assert doors.in_flight(cells, peer) == 0


def test_a_probe_takes_a_peer_out_and_brings_it_back(cells):
    peer = cells.claim_peer(b"p", b"a")
    assert doors.usable(cells, peer, 0)
    cells.set_probe(peer, layout.PROBE_DOWN, 1)
    assert not doors.usable(cells, peer, 1)
    cells.set_probe(peer, layout.PROBE_UP, 2)
    assert doors.usable(cells, peer, 2)
    assert cells.peer_state(peer, 2) == (0, True, layout.PROBE_UP, 0)


def test_failures_in_a_row_mark_a_peer_down_longer_each_time(cells):
    peer = cells.claim_peer(b"p", b"a")
    now, pauses = 1_000, []
    for _ in range(5):
        for _ in range(cells.fail_limit):
            assert doors.usable(cells, peer, now)
            doors.peer_failed(cells, peer, now)
        left = cells.peer_state(peer, now)[3]
        pauses.append(left)
        assert not doors.usable(cells, peer, now + left - 1)
        now += left
        assert doors.usable(cells, peer, now)
    assert pauses == [10_000, 20_000, 40_000, 60_000, 60_000]


def test_a_success_ends_a_row_of_failures_and_the_back_off(cells):
    peer = cells.claim_peer(b"p", b"a")
    for _ in range(10):
        doors.peer_failed(cells, peer, 1)
        doors.peer_failed(cells, peer, 1)
        doors.peer_worked(cells, peer)
    assert doors.usable(cells, peer, 1)
    for _ in range(3):
        doors.peer_failed(cells, peer, 1)
    doors.peer_worked(cells, peer)
    for _ in range(3):
        doors.peer_failed(cells, peer, 20_000)
    assert cells.peer_state(peer, 20_000)[3] == 10_000


def test_failures_far_apart_mark_nothing(cells):
    peer = cells.claim_peer(b"p", b"a")
    for turn in range(20):
        doors.peer_failed(cells, peer, turn * (cells.fail_window_ms // 2 + 1))
    assert doors.usable(cells, peer, 20 * cells.fail_window_ms)


def test_failures_of_all_workers_count_together(region, cells):
    other = Cells(region, region.claim_slab(1, 1, "worker"))
    peer = cells.claim_peer(b"p", b"a")
    for one in (cells, other, cells):
        doors.peer_failed(one, peer, 1)
    assert not doors.usable(other, peer, 1)


def test_gauges_and_sums_by_hand(region, cells):
    doors.set_gauges(cells, 7, 3, 2)
    slab = region.slab(cells.slab)
    assert (slab.connections, slab.active, slab.idle_upstream) == (7, 3, 2)
    word = cells.counter("pingpy_dns_resolutions_total", {"result": "ok"})
    cells.add_word(word, 2)
    assert totals(region)['pingpy_dns_resolutions_total{result="ok"}'] == 2


def test_adding_words_stays_within_bounds():
    words = memoryview(array.array("q", [1, 2, 3]))
    with pytest.raises(IndexError):
        plane_cells.add_words(
            words,
            array.array("q", [3]),
            array.array("q", [0]),
            array.array("q", [0]),
            bytearray(1),
        )
