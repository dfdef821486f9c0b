"""The schema seen as a tree of tables: which keys a table has, which table a key opens."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from pydantic.fields import FieldInfo

from pingpy.config.finding import Path
from pingpy.config.schema import Config
from pingpy.config.table import Table


@cache
def keys(table: type[Table]) -> dict[str, FieldInfo]:
    """The keys as they are spelled in the file."""
    return {field.alias or name: field for name, field in table.model_fields.items()}


def inner_table(field: FieldInfo) -> type[Table] | None:
    """The table that a key opens, be it one or a list of them."""
    return _table_in(field.annotation)


def is_listed(field: FieldInfo) -> bool:
    """Whether the key opens an array of tables."""
    return "tuple" in str(field.annotation)


def _table_in(annotation: Any) -> type[Table] | None:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    for argument in get_args(annotation):
        found = _table_in(argument)
        if found is not None:
            return found
    return None


def table_at(path: Path) -> tuple[str, type[Table] | None]:
    """The dotted name (without indexes) and the model of the table that holds `path`'s last key."""
    table: type[Table] | None = Config
    names: list[str] = []
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        field = keys(table).get(part) if table else None
        names.append(part)
        table = inner_table(field) if field else None
    return ".".join(names), table


def field_at(path: Path) -> FieldInfo | None:
    """The field that `path` ends in, when it ends in a key of the schema."""
    _, table = table_at(path)
    last = path[-1] if path else None
    return keys(table).get(last) if table and isinstance(last, str) else None


@cache
def tables() -> dict[str, type[Table]]:
    """Every table by its dotted name, "" for the top level, in the schema's order."""
    return dict(_tables("", Config))


def _tables(name: str, table: type[Table]) -> Iterator[tuple[str, type[Table]]]:
    yield name, table
    for key, field in keys(table).items():
        inner = inner_table(field)
        if inner is not None:
            yield from _tables(f"{name}.{key}" if name else key, inner)


def header(name: str) -> str:
    """A table as people write it: [proxy], [[proxy.rules]], or in words."""
    if not name:
        return "the top level"
    field = field_at(tuple(name.split(".")))
    return f"[[{name}]]" if field is not None and is_listed(field) else f"[{name}]"
