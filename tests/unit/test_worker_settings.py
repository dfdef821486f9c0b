"""From the configuration's units to the plane's."""

from pingpy.config.load import load
from pingpy.config.plan import plan
from pingpy.config.source import ConfigSource
from worker.settings import (
    announced_listeners,
    announcing,
    milliseconds,
    packed_networks,
    plane_settings,
)


def test_seconds_become_milliseconds_and_never_zero():
    assert milliseconds(0.25) == 250
    assert milliseconds(0.0001) == 1
    text = b'[timeouts]\nidle = "1500ms"\n[limits]\nheader_bytes = "8KiB"\nconnections = 7\n'
    settings = plane_settings(load(ConfigSource("c.toml", text)))
    assert settings["idle_ms"] == 1500
    assert settings["head_bytes"] == 8192
    assert settings["most_clients"] == 7
    assert all(isinstance(value, int) for value in settings.values())


def test_what_http2_may_hold_and_how_long_it_may_be_silent():
    default = plane_settings(load(ConfigSource("c.toml", b"")))
    assert (default["waiting_bytes"], default["client_ping_ms"]) == (64 << 20, 0)
    text = b'[limits]\nwaiting_bytes = "1MiB"\n[timeouts]\nclient_ping = 20\n'
    settings = plane_settings(load(ConfigSource("c.toml", text)))
    assert (settings["waiting_bytes"], settings["client_ping_ms"]) == (1 << 20, 20000)


def test_networks_are_packed():
    assert packed_networks(["10.1.2.3/8", "2001:db8::1"]) == [
        (bytes((10, 0, 0, 0)), 8),
        (bytes.fromhex("20010db8000000000000000000000001"), 128),
    ]
    assert packed_networks(["loopback", "unix"]) == [
        (bytes((127, 0, 0, 0)), 8),
        (bytes(15) + b"\x01", 128),
        (b"", 0),
    ]
    assert packed_networks([]) == []


def announced(lines):
    text = f'[network]\nlisten = [":80", "127.0.0.1:81", "unix:/w"]\n{lines}\n'
    config = load(ConfigSource("c.toml", text.encode()))
    made = plan(config, environ={}, uid=0, cpus=1)
    return announcing(config.network), announced_listeners(config.network, made.listeners)


def test_where_proxy_headers_are_expected():
    assert announced("") == ((), None)
    all_four = {0, 1, 2, 3}
    assert announced('proxy_protocol = "10.0.0.0/8"') == (("10.0.0.0/8",), all_four)
    metrics = '[metrics]\nlisten = "127.0.0.1:9090"'
    assert announced(f'proxy_protocol = "loopback"\n{metrics}') == (("loopback",), all_four)
    assert announced('proxy_protocol = true\ntrusted_proxies = "loopback"') == (
        ("loopback",),
        all_four,
    )
    table = '[network.proxy_protocol]\nfrom = ["loopback", "unix"]\nlisteners = [":80", "unix:/w"]'
    assert announced(table) == (("loopback", "unix"), {0, 1, 3})
