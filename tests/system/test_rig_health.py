"""Health checks as the seed configures them: how often, what is asked, which answers count, and who gets traffic."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rig import ORIGINS, SEED, until


def quick(interval: float = 0.5, timeout: float = 0.4) -> str:
    """The seed's file with a faster check."""
    text = SEED.read_text().replace("interval = 10", f"interval = {interval}")
    return text.replace("timeout = 5", f"timeout = {timeout}")


def up(rig, address: str) -> float | None:
    """What /metrics says of a peer."""
    page = rig.get("/metrics").body.decode()
    for family in text_string_to_metric_families(page):
        if family.name == "pingpy_upstream_up":
            for sample in family.samples:
                if address in sample.labels.values():
                    return sample.value
    return None


def default_pool(rig) -> set[str]:
    """Who answers what no rule takes."""
    return {reply.origin for reply in rig.get_many("/other", 12)}


@pytest.mark.row("S18")
def test_each_peer_is_asked_once_per_interval_however_many_workers(rig):
    interval, watched = 0.5, 4.0
    with rig.pingpy(quick(interval)):
        began = time.time()
        time.sleep(watched)
        ended = time.time()
    for name in ORIGINS:
        probes = [at for at, _, _ in rig.requests_seen(name, "/healthz") if began <= at <= ended]
        assert abs(len(probes) - watched / interval) <= 2, (name, len(probes))


@pytest.mark.row("S20")
def test_the_probe_is_a_get_of_the_configured_path(rig):
    with rig.pingpy(quick()):
        until(lambda: rig.requests_seen("backend2", "/healthz"), 5, "a probe")
    assert {method for _, method, _ in rig.requests_seen("backend2", "/healthz")} == {"GET"}


@pytest.mark.row("S21")
@pytest.mark.parametrize("status", [302, 500])
def test_another_status_takes_the_peer_out_until_it_recovers(rig, status):
    with rig.pingpy(quick()):
        until(lambda: up(rig, "192.168.1.100:80") == 1, 5, "204 is well")
        assert default_pool(rig) == {"backend1", "backend2"}
        rig.make_ill("backend1", status)
        until(lambda: up(rig, "192.168.1.100:80") == 0, 5, "it is seen to be ill")
        until(lambda: default_pool(rig) == {"backend2"}, 2, "every worker has heard of it")
        rig.heal()
        until(lambda: up(rig, "192.168.1.100:80") == 1, 5, "it is seen to be well")
        until(lambda: default_pool(rig) == {"backend1", "backend2"}, 2, "it takes part again")


@pytest.mark.row("S19")
def test_a_peer_that_does_not_answer_is_out_after_interval_and_timeout(rig):
    mute = rig.own_origin("mute", "192.168.1.104:8003", "--mute")
    try:
        text = quick(1, 0.5).replace("192.168.1.101:80", "192.168.1.104:8003")
        with rig.pingpy(text):
            began = time.monotonic()
            until(lambda: up(rig, "192.168.1.104:8003") == 0, 5, "the mute one is out")
            assert time.monotonic() - began < 3 * (1 + 0.5 + 1)
            assert default_pool(rig) == {"backend1"}
    finally:
        mute.kill()
        mute.wait(5)


def test_when_all_are_ill_all_are_tried(rig):
    for name in ORIGINS:
        rig.make_ill(name, 500)
    with rig.pingpy(quick()):
        peers = [f"{host}:{port}" for host, port in ORIGINS.values()]
        until(lambda: all(up(rig, peer) == 0 for peer in peers), 10, "all are seen to be ill")
        until(
            lambda: default_pool(rig) == {"backend1", "backend2"}, 5, "every worker has heard of it"
        )
        # A single peer is never blackholed by its probe.
        assert rig.get("/api/x").origin == "backend"


def test_an_origin_without_a_health_page_still_serves(rig):
    text = quick().replace('path = "/healthz"', 'path = "/nothing-here"')
    text = text.replace("[200, 204]", "[299]")
    with rig.pingpy(text):
        until(lambda: up(rig, "192.168.1.102:8080") == 0, 5, "the probe fails")
        assert rig.get("/api/x").status == 200
