"""The effective configuration: complete, with origins, and itself a configuration."""

import json
import tomllib
from pathlib import Path

import pytest

from pingpy.config.effective import as_json, as_toml, effective, toml_value
from pingpy.config.load import load
from pingpy.config.plan import plan
from pingpy.config.resolve import resolve
from pingpy.config.source import ConfigSource

SEED = Path(__file__).parents[1] / "data" / "seed_config.toml"

TEXT = """\
x_note = "mine"
[global]
drain_timeout = "2m"
[proxy]
websocket = true
set_response_header = { "X-Served By"= "a" }
[[proxy.rules]]
path = "/a"
upstream = "http://a"
timeouts = { response = 1.5 }
[[proxy.rules]]
websocket = false
upstream = "w"
[[pools]]
name = "w"
peers = [{ address = "b:1", weight = 2 }]
[[modules]]
path = "m.py"
class = "M"
options = { "a b" = [1, "\\u007f"] }
""".replace("Served By", "Served-By")

ALIASED = """\
[global]
worker_processes = 3
[timeouts]
drain = 7
[log]
level = "warn"
[proxy]
host = "upstream"
"""


def settings(text):
    return {s.path: (s.value, s.origin) for s in effective(ConfigSource("c.toml", text.encode()))}


def test_each_value_says_where_it_comes_from():
    found = settings(TEXT)
    assert found[("global", "drain_timeout")] == (120, "c.toml:3")
    assert found[("global", "drain_linger")] == (5, "default")
    assert found[("global", "worker_threads")] == ("auto", "default")
    assert found[("global", "user")] == (None, "default")
    assert found[("x_note",)] == ("mine", "c.toml:1")
    assert found[("pools", 0, "peers", 0, "weight")] == (2, "c.toml:16")
    assert found[("proxy", "rules", 0, "timeouts", "response")] == (1.5, "c.toml:10")


def test_what_a_rule_takes_from_proxy_says_so():
    found = settings(TEXT)
    assert found[("proxy", "rules", 0, "websocket")] == (True, "[proxy], c.toml:5")
    assert found[("proxy", "rules", 1, "websocket")] == (False, "c.toml:12")


def test_in_a_rule_what_is_absent_is_left_out():
    assert ("proxy", "rules", 0, "method") not in settings(TEXT)


@pytest.mark.parametrize("text", [TEXT, ALIASED, SEED.read_text(), ""])
def test_it_is_a_configuration_with_the_same_meaning(text):
    config = load(ConfigSource("c.toml", text.encode()))
    printed = as_toml(effective(ConfigSource("c.toml", text.encode())))
    again = load(ConfigSource("c.toml", printed.encode()))
    assert resolve(again) == resolve(config)
    assert planned(again) == planned(config)
    assert again.extensions == config.extensions
    assert again.modules == config.modules


def planned(config):
    return plan(config, environ={}, uid=0, cpus=2)


def test_the_printed_form():
    lines = as_toml(effective(ConfigSource("c.toml", TEXT.encode()))).splitlines()
    assert "[[proxy.rules]]" in lines
    assert "# user is not set" in lines
    assert "drain_timeout = 120" + " " * 29 + "  # c.toml:3" in lines


def test_machines_get_the_same():
    items = json.loads(as_json(effective(ConfigSource("c.toml", TEXT.encode()))))
    assert {"key": "proxy.rules[0].path", "value": ["/a"], "origin": "c.toml:8"} in items


@pytest.mark.parametrize(
    "value",
    [True, 1, 1.5, "", 'a"b\\\n\x00\x7f日', [1, [2]], {"a b": {"c": []}, "-x_1": 1}, {}],
)
def test_values_survive_their_spelling(value):
    assert tomllib.loads(f"a = {toml_value(value)}")["a"] == value
