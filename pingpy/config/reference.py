"""What is generated from the schema: the reference page for readers, the JSON schema for editors."""

from __future__ import annotations

import json
import warnings
from typing import Any, get_args

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pingpy.config.effective import plain, toml_value
from pingpy.config.schema import Config
from pingpy.config.table import EXTENSION_PREFIX, Table
from pingpy.config.walk import header, inner_table, is_listed, keys, tables


def reference() -> str:
    """Every key with its default and its line of help, as Markdown."""
    parts: list[str] = []
    for name, table in tables().items():
        rows = [
            _row(name, key, field) for key, field in keys(table).items() if not opens_section(field)
        ]
        if not name or not rows:
            continue
        parts += [f"### `{header(name)}`", "", (table.__doc__ or "").strip(), ""]
        parts += ["| key | default | |", "|---|---|---|", *rows, ""]
    return "\n".join(parts)


def opens_section(field: FieldInfo) -> bool:
    """Whether the key is only ever a table with a section of its own, never a short form."""
    return inner_table(field) is not None and (is_listed(field) or not _has_short_form(field))


def _has_short_form(field: FieldInfo) -> bool:
    """Whether something else than a table may stand for it: retry = 2."""
    metadata = list(field.metadata)
    for argument in get_args(field.annotation):
        metadata += getattr(argument, "__metadata__", ())
    return any(isinstance(item, BeforeValidator) for item in metadata)


def _row(name: str, key: str, field: FieldInfo) -> str:
    help_text = (field.description or "").replace("|", "\\|")
    written = default(name, key, field)
    shown = "(required)" if field.is_required() else f"`{written}`" if written else ""
    return f"| `{key}` | {shown} | {help_text} |"


def default(name: str, key: str, field: FieldInfo) -> str:
    """A key's default as TOML; "" where there is none that could be written."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True, validated_data={})
    value = plain((*name.split("."), key), value)
    if value is None or value is PydanticUndefined or isinstance(value, Table):
        return ""
    return toml_value(value)


def json_schema() -> dict[str, Any]:
    """The JSON schema of config.toml; keys that begin with x_ are allowed in every table."""
    with warnings.catch_warnings():
        # Defaults become lists on the way, and pydantic remarks that they are not tuples.
        warnings.simplefilter("ignore", UserWarning)
        schema = Config.model_json_schema(by_alias=True)
    schema["title"] = "pingpy config.toml"
    for table in [schema, *schema.get("$defs", {}).values()]:
        if table.get("additionalProperties") is False:
            table["patternProperties"] = {f"^{EXTENSION_PREFIX}": {}}
    return schema


def json_schema_text() -> str:
    """The JSON schema as a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
