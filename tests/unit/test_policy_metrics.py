"""The metrics page, read by Prometheus' own parser; and that a scrape never goes backwards."""

import os
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

import pingpy
from pingpy.shared import Region, layout
from pingpy.shared.names import COUNTERS, FAMILIES
from worker.plane import table_doors as doors
from worker.plane.buffer import Arena
from worker.plane.cells import Cells
from worker.plane.table_doors import Exchange
from worker.policy.metrics import Metrics
from worker.policy.scout_counters import ScoutCounters
from worker.policy.scrape import Scrape

REQUEST = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
ARENA = Arena()


@pytest.fixture
def region():
    return Region.create()


def worker(region, slot=0):
    cells = Cells(region, region.claim_slab(1, slot, "worker"))
    cells.name_listeners(["0.0.0.0:80"])
    cells.name_routes(['/a "quoted"\\*'])
    return cells


def serve(cells, count=1, status=200, peer=None):
    exchange = Exchange(ARENA, REQUEST)
    exchange.note(status=status, route=0, started_us=0, ended_us=1500)
    if peer is not None:
        exchange.attempt(b"a:1", peer, status, connect_us=100, header_us=200, response_us=300)
    for _ in range(count):
        exchange.count(cells)


def page(region, cells, now=1000.0):
    return Metrics(region, cells, clock=lambda: now).page()


def parsed(text):
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(families, name, **labels):
    family = next(f for f in families.values() if any(s.name == name for s in f.samples))
    found = [
        s.value for s in family.samples if s.name == name and labels.items() <= s.labels.items()
    ]
    assert len(found) == 1, (name, labels, family.samples)
    return found[0]


def test_the_page_is_what_prometheus_reads(region):
    cells = worker(region)
    peer = cells.claim_peer(b"p", b"a:1")
    cells.name_peer(peer, "p", "a:1")
    serve(cells, 3, peer=peer)
    doors.enter_peer(cells, peer)
    region.master_set("pingpy_generation", None, 5)
    region.master_add("pingpy_reload_total", {"result": "ok"})
    families = parsed(page(region, cells))
    labels = {"listener": "0.0.0.0:80", "route": '/a "quoted"\\*'}
    assert value(families, "pingpy_requests_total", **labels, method="GET", code="200") == 3
    count = value(families, "pingpy_request_duration_seconds_count", **labels)
    assert count == value(families, "pingpy_request_duration_seconds_bucket", **labels, le="+Inf")
    assert count == 3
    assert value(families, "pingpy_request_duration_seconds_bucket", **labels, le="0.001") == 0
    assert value(families, "pingpy_request_duration_seconds_bucket", **labels, le="0.0025") == 3
    assert value(families, "pingpy_request_duration_seconds_sum", **labels) == 0.0045
    target = {"pool": "p", "target": "a:1"}
    assert value(families, "pingpy_upstream_requests_total", **target, code="200") == 3
    assert value(families, "pingpy_upstream_active", **target) == 1
    assert value(families, "pingpy_upstream_up", **target) == 1
    assert value(families, "pingpy_generation") == 5
    assert value(families, "pingpy_reload_total", result="ok") == 1
    assert value(families, "pingpy_build_info", version=pingpy.__version__) == 1
    assert value(families, "pingpy_process_start_time_seconds") > 1.7e9


def test_when_certificates_end(region):
    cells = worker(region)
    text = Metrics(region, cells, expiries={"/etc/a.crt": 1.8e9, 'b"': 1.9e9}).page()
    families = parsed(text)
    name = "pingpy_cert_expiry_timestamp_seconds"
    assert value(families, name, certificate="/etc/a.crt") == 1.8e9
    assert value(families, name, certificate='b"') == 1.9e9
    assert name not in parsed(page(region, cells))


def test_every_family_has_help_and_type_once_and_is_declared(region):
    cells = worker(region)
    serve(cells)
    text = page(region, cells)
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(names)) == len(names)
    assert set(names) <= {family.name for family in FAMILIES}
    helps = [line.split()[2] for line in text.splitlines() if line.startswith("# HELP")]
    assert helps == names
    samples = {line.split("{")[0].split()[0] for line in text.splitlines() if line[0] != "#"}
    suffixes = ("_bucket", "_sum", "_count")
    bases = {
        name.removesuffix(next((s for s in suffixes if name.endswith(s)), "")) for name in samples
    }
    assert bases == set(names)
    assert {name for name, _ in COUNTERS} <= set(names)


# What people chart of other proxies, and must find here by these names, labels included.
CHARTED = [
    "pingpy_requests_total{listener,route,method,code}",
    "pingpy_request_duration_seconds",
    "pingpy_upstream_requests_total{pool,target,code}",
    "pingpy_upstream_connect_seconds",
    "pingpy_upstream_ttfb_seconds",
    "pingpy_upstream_duration_seconds",
    "pingpy_upstream_active",
    "pingpy_upstream_queue",
    "pingpy_upstream_up",
    "pingpy_upstream_ejected",
    "pingpy_upstream_retries_total{reason}",
    "pingpy_upstream_resets_total{reason}",
    "pingpy_connections{state}",
    "pingpy_reload_total{result}",
    "pingpy_upgrade_total{result}",
    "pingpy_config_last_reload_successful",
    "pingpy_config_last_reload_timestamp_seconds",
    "pingpy_generation",
    "pingpy_draining_workers",
    "pingpy_draining_connections",
    "pingpy_worker_restarts_total{reason}",
    "pingpy_worker_heartbeat_age_seconds",
    "pingpy_worker_rss_bytes",
    "pingpy_worker_loop_lag_seconds",
    "pingpy_dns_resolutions_total{result}",
    "pingpy_dns_age_seconds{name}",
    "pingpy_probes_total{result}",
    "pingpy_tls_handshakes_total{version,resumed}",
    "pingpy_tls_handshake_failures_total{reason}",
    "pingpy_violations_total{side,protocol,reason}",
    "pingpy_cert_expiry_timestamp_seconds",
]


@pytest.mark.parametrize("wanted", CHARTED)
def test_the_names_that_people_chart(region, wanted):
    name, _, labels = wanted.rstrip("}").partition("{")
    assert name in {family.name for family in FAMILIES}
    cells = worker(region)
    peer = cells.claim_peer(b"p", b"a:1")
    cells.name_peer(peer, "p", "a:1")
    serve(cells, peer=peer)
    region.master_add("pingpy_reload_total", {"result": "ok"})
    region.master_add("pingpy_upgrade_total", {"result": "ok"})
    region.master_add("pingpy_worker_restarts_total", {"reason": "died"})
    scout = ScoutCounters(region, region.claim_slab(1, -1, "scout"))
    scout.looked_up(ok=True)
    scout.probed(ok=False)
    scout.ages({"a:1": 3.5})
    found = [s for family in parsed(page(region, cells)).values() for s in family.samples]
    if labels:
        shown = [sample.labels.keys() for sample in found if sample.name == name]
        assert shown
        assert all(set(labels.split(",")) <= names for names in shown)


def test_any_worker_answers_with_the_sum_of_all(region):
    first, second = worker(region, 0), worker(region, 1)
    serve(first, 2)
    serve(second, 5)
    for cells in (first, second):
        assert value(parsed(page(region, cells)), "pingpy_requests_total", code="200") == 7


def test_connections_workers_and_vital_signs(region):
    first, second = worker(region, 0), worker(region, 1)
    doors.set_gauges(first, 10, 4, 3)
    doors.set_gauges(second, 5, 1, 2)
    old = region.slab(second.slab)
    old.draining, old.beat_us, old.rss_bytes, old.loop_lag_us = 1, 998_500_000, 4096, 2500
    families = parsed(page(region, first))
    assert value(families, "pingpy_connections", state="active") == 5
    assert value(families, "pingpy_connections", state="idle") == 10
    assert value(families, "pingpy_upstream_idle_connections") == 5
    assert value(families, "pingpy_workers") == 2
    assert value(families, "pingpy_draining_workers") == 1
    assert value(families, "pingpy_draining_connections") == 5
    assert value(families, "pingpy_worker_heartbeat_age_seconds", slot="1") == 1.5
    assert value(families, "pingpy_worker_rss_bytes", slot="1") == 4096
    assert value(families, "pingpy_worker_loop_lag_seconds", slot="1") == 0.0025


def test_a_peer_that_is_down_is_not_up(region):
    cells = worker(region)
    peer = cells.claim_peer(b"p", b"a:1")
    cells.name_peer(peer, "p", "a:1")
    cells.set_probe(peer, layout.PROBE_DOWN, 1)
    assert value(parsed(page(region, cells)), "pingpy_upstream_up", target="a:1") == 0
    assert value(parsed(page(region, cells)), "pingpy_upstream_ejected", target="a:1") == 0


def test_a_peer_that_failed_often_is_ejected_for_a_while(region):
    cells = worker(region)
    peer = cells.claim_peer(b"p", b"a:1")
    cells.name_peer(peer, "p", "a:1")
    for _ in range(cells.fail_limit):
        doors.peer_failed(cells, peer, 1_000_000)
    for seconds, ejected in ((1000, 1), (1001, 1), (1100, 0)):
        families = parsed(page(region, cells, now=seconds))
        assert value(families, "pingpy_upstream_ejected", target="a:1") == ejected
        assert value(families, "pingpy_upstream_up", target="a:1") == 1 - ejected


def test_of_two_masters_the_younger_ones_gauge_counts(region):
    cells = worker(region)
    region.master_set("pingpy_generation", None, 9)
    region.master_add("pingpy_reload_total", {"result": "ok"})
    heir = Region.attach(os.dup(region.fd))
    heir.master_set("pingpy_generation", None, 4)
    heir.master_add("pingpy_reload_total", {"result": "ok"})
    families = parsed(page(region, cells))
    assert value(families, "pingpy_generation") == 4
    assert value(families, "pingpy_reload_total", result="ok") == 2
    heir.close()


def test_a_reader_remembers_where_series_are_and_notices_new_owners(region):
    scrape = Scrape(region)
    reader = worker(region, 9)
    metrics = Metrics(region, reader)
    expected = 0
    for turn in range(5):
        cells = worker(region, 0)
        serve(cells, turn + 1)
        serve(cells, turn + 1, status=500 + turn)
        expected += 2 * (turn + 1)
        for _ in range(2):
            families = parsed(metrics.page())
            total = sum(s.value for s in families["pingpy_requests"].samples)
            assert total == expected
        region.retire_slab(cells.slab)
        total = sum(s.value for s in parsed(metrics.page())["pingpy_requests"].samples)
        assert total == expected
    assert scrape.totals().sums.buffer_info()[1] == len(scrape.totals().present)


def test_scrapes_during_folds_never_go_backwards_nor_double(region):
    reader = worker(region, 99)
    scrape = Scrape(region)
    rounds, each = 60, 7
    failure = []

    def fold():
        try:
            for number in range(rounds):
                cells = worker(region, number)
                serve(cells, each)
                region.retire_slab(cells.slab)
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=fold)
    thread.start()
    last = 0
    while True:
        running = thread.is_alive()
        totals = scrape.totals()
        count = sum(
            totals.sums[at]
            for key, _, at in scrape.series
            if key.startswith(b"pingpy_requests_total") and totals.present[at]
        )
        assert last <= count <= rounds * each
        last = count
        if not running:
            break
    thread.join()
    assert failure == []
    assert last == rounds * each
    assert reader.value(0) == 0
