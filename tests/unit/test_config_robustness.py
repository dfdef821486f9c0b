"""Whatever a file says, the answer is a configuration or complaints with places; never another error."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pingpy.config.effective import toml_value
from pingpy.config.load import examine
from pingpy.config.plan import plan
from pingpy.config.resolve import resolve
from pingpy.config.source import ConfigSource
from pingpy.config.walk import field_at, inner_table, is_listed, keys, tables
from pingpy.errors import ConfigError

SEED = (Path(__file__).parents[1] / "data" / "seed_config.toml").read_bytes()
KEYS = [(name, key) for name, table in tables().items() for key in keys(table)]

WORDS = st.sampled_from(
    [
        "a",
        "*",
        "/",
        "/*/*",
        "http://a",
        "http://[::",
        "unix:/x",
        ":80",
        "[::]:80",
        "web",
        "GET",
        "1s",
        "A:",
        "=",
        "$host",
        "\\1",
        "a:b",
        "10.0.0.0/8",
        "2xx",
        "upstream",
        "https://x:443",
        "x:y",
    ]
) | st.just("A: b")
SCALARS = st.booleans() | st.integers(-5, 70000) | st.floats(0, 1e9) | WORDS | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
SETTINGS = st.lists(st.tuples(st.sampled_from(KEYS), VALUES), min_size=1, max_size=6)


def judge(text):
    """The configuration in all its forms, or complaints; each complaint must know its place."""
    source = ConfigSource("c.toml", text)
    try:
        examined = examine(source)
        complaints = examined.warnings()
        resolve(examined.config)
        plan(examined.config, environ={}, uid=0, cpus=1)
    except ConfigError as error:
        complaints = error.complaints
        assert complaints
    for complaint in complaints:
        assert complaint.message
        assert complaint.render()
    return complaints


def nested(settings):
    """The settings as one value, so that tables may be written in any order."""
    root = {}
    for (name, key), value in settings:
        table = root
        path = ()
        for part in name.split(".") if name else ():
            path = (*path, part)
            fresh = [{}] if is_listed(field_at(path)) else {}
            inner = table.setdefault(part, fresh)
            table = inner[0] if isinstance(inner, list) and inner else inner
            if not isinstance(table, dict):
                return root
        table[key] = value
    return root


@given(SETTINGS)
def test_any_value_of_any_key(settings):
    text = "".join(
        f"{toml_value(key)} = {toml_value(value)}\n" for key, value in nested(settings).items()
    )
    for complaint in judge(text.encode()):
        assert complaint.line > 0


@given(st.integers(0, len(SEED)), st.integers(0, 40), st.binary(max_size=6))
def test_a_damaged_file(at, cut, inserted):
    judge(SEED[:at] + inserted + SEED[at + cut :])


@pytest.mark.parametrize("size", range(0, len(SEED), 37))
def test_a_file_that_ends_too_soon(size):
    judge(SEED[:size])


def test_every_table_of_the_schema_is_tried():
    assert ("proxy.rules", "rewrite") in KEYS
    assert all(inner_table(field_at(tuple(name.split(".")))) for name in tables() if name)
