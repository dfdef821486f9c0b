"""The reference page and the JSON schema have every key, and the schema agrees with the loader."""

import re
import tomllib

import pytest
from click.testing import CliRunner

from pingpy.cli.verbs import config
from pingpy.config.load import load
from pingpy.config.reference import default, json_schema, json_schema_text, opens_section, reference
from pingpy.config.sample import sample
from pingpy.config.source import ConfigSource
from pingpy.config.walk import header, inner_table, keys, table_at, tables


def test_every_key_has_one_line_of_help():
    for name, table in tables().items():
        for key, field in keys(table).items():
            assert field.description, f"{header(name)} {key}"
            assert "\n" not in field.description


def test_the_page_has_every_key_and_its_default():
    page = reference()
    for name, table in tables().items():
        for key, field in keys(table).items():
            if name and inner_table(field) is None:
                assert f"\n| `{key}` |" in page
    assert "| `probation` | `10` |" in page
    assert '| `worker_threads` | `"auto"` |' in page
    assert "| `address` | (required) |" in page
    assert "| `queue` |  |" in page


def test_the_sample_is_an_empty_file_until_a_key_is_uncommented():
    assert tomllib.loads(sample()) == {}
    load(ConfigSource("sample.toml", sample().encode()))


def test_the_sample_has_every_key_with_its_default():
    text = re.sub(r"^#(?=\[|\w+ = )", "", sample(), flags=re.MULTILINE)
    found = tomllib.loads(text)
    for name, table in tables().items():
        for key, field in keys(table).items():
            if not name or opens_section(field):
                continue
            written = default(name, key, field)
            if written:
                assert innermost(found, name)[key] == tomllib.loads(f"it = {written}")["it"]
            else:
                assert f"\n#{key} =\n" in text


def innermost(document, name):
    """The table of this dotted name; of a list of tables the only one."""
    for part in name.split("."):
        document = document[part]
        document = document[0] if isinstance(document, list) else document
    return document


def test_headers_are_spelled_as_in_the_file():
    assert header("proxy") == "[proxy]"
    assert header("proxy.rules") == "[[proxy.rules]]"
    assert header("proxy.rules.timeouts") == "[proxy.rules.timeouts]"
    assert header("") == "the top level"


def test_a_path_leads_to_its_table():
    name, table = table_at(("pools", 0, "peers", 3, "weight"))
    assert name == "pools.peers"
    assert "weight" in keys(table)
    assert table_at(("nowhere", "at", "all")) == ("nowhere.at", None)


def test_the_json_schema_refuses_unknown_keys_but_not_those_of_modules():
    schema = json_schema()
    rule = schema["$defs"]["Rule"]
    assert rule["additionalProperties"] is False
    assert rule["patternProperties"] == {"^x_": {}}
    assert set(schema["properties"]) == set(keys(tables()[""]))


def test_the_json_schema_knows_the_short_forms():
    rule = json_schema()["$defs"]["Rule"]["properties"]
    assert {"type": "string"} in rule["path"]["anyOf"]
    assert "integer" in str(rule["retry"])


@pytest.mark.parametrize(
    ("what", "said"), [("reference", reference), ("sample", sample), ("schema", json_schema_text)]
)
def test_the_command_prints_each(what, said):
    result = CliRunner().invoke(config, [what])
    assert (result.exit_code, result.output) == (0, said())
