"""The reference page and the JSON schema have every key, and the schema agrees with the loader."""

from pingpy.config.reference import json_schema, reference
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
