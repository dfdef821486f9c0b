"""The file that the project began with loads as it is, byte for byte, and means what it should."""

import hashlib
from pathlib import Path

import pytest

from pingpy.config.load import examine
from pingpy.config.plan import plan
from pingpy.config.resolve import resolve
from pingpy.config.source import ConfigSource

SEED = Path(__file__).parents[1] / "data" / "seed_config.toml"


@pytest.fixture(scope="module")
def examined():
    return examine(ConfigSource.read(SEED))


def test_it_is_the_original(examined):
    assert (
        examined.source.sha256
        == hashlib.sha256(SEED.read_bytes()).hexdigest()
        == "a3b56e93f786240f4ca2b284562dd5b484ef91274bf0ad8dc3cf15a42a658c91"
    )


def test_nothing_in_it_is_remarked_on(examined):
    assert list(examined.warnings()) == []


def test_the_master_gets_four_workers_two_listeners_and_the_pid_file(examined):
    found = plan(examined.config, environ={}, uid=0, cpus=2)
    assert [listener.id for listener in found.listeners] == ["tcp4/0.0.0.0:80", "tcp6/[::]:80"]
    assert (found.worker_count, found.log_level) == (4, "info")
    assert (found.pid_file, found.pid_file_required) == ("/var/run/pingora.pid", True)


def test_rules_are_in_file_order_and_the_backends_are_the_default_pool(examined):
    resolved = resolve(examined.config)
    first, second = resolved.rules
    assert (first.conditions.paths, first.pool.algorithm) == (("/api/*",), "round_robin")
    assert [peer.address for peer in first.pool.peers] == ["backend:8080"]
    assert second.conditions.headers[0].name == "x-forwarded-for"
    assert second.conditions.headers[0].pattern is None
    assert (second.pool.name, second.pool.algorithm) == ("secondary:8080/least_conn", "least_conn")
    default = resolved.no_match.pool
    assert [(p.name, p.address, p.weight) for p in default.peers] == [
        ("backend1", "192.168.1.100:80", 2),
        ("backend2", "192.168.1.101:80", 1),
    ]


def test_every_peer_is_probed_as_the_file_says(examined):
    checks = {pool.health_check for pool in resolve(examined.config).pools}
    (check,) = checks
    assert (check.interval_seconds, check.timeout_seconds, check.path) == (10, 5, "/healthz")
    assert check.expected_status == {200, 204}
