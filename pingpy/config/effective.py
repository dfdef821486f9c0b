"""The effective configuration: every key with its value, and where that comes from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from pingpy.config.crosscheck import ALIASES, is_set
from pingpy.config.finding import Path
from pingpy.config.load import examine
from pingpy.config.locate import Positions
from pingpy.config.schema_routing import Proxy, RouteDefaults, Rule
from pingpy.config.source import ConfigSource
from pingpy.config.table import Table
from pingpy.config.walk import inner_table, keys
from pingpy.errors import dotted

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key: its value as config.toml would say it (None: not set), and its origin."""

    path: Path
    value: Any
    origin: str


def effective(source: ConfigSource) -> list[Setting]:
    """Every setting in the order of the schema; raises ConfigError when the file is refused."""
    config = examine(source).config
    positions = Positions(source.text.decode())
    replaced = {first for first, second in ALIASES if is_set(config, second)}
    return list(_Lister(source.path, positions, config.proxy, replaced).table((), config))


class _Lister:
    """Walks the tables of one configuration."""

    def __init__(
        self, file: str, positions: Positions, proxy: Proxy, replaced: Collection[Path]
    ) -> None:
        self._file = file
        self._positions = positions
        self._proxy = proxy
        self._replaced = replaced  # keys whose default does not count: their other name is set

    def table(self, path: Path, table: Table) -> Iterator[Setting]:
        """The keys of a table, then the tables in it."""
        fields = {
            key: (name, inner_table(field) is not None)
            for name, field in type(table).model_fields.items()
            for key in [field.alias or name]
            for field in [keys(type(table))[key]]
        }
        for key, (name, is_table) in fields.items():
            if not is_table:
                yield from self._key((*path, key), name, table)
        for key, value in table.extensions.items():
            yield Setting((*path, key), value, self._origin((*path, key)))
        for key, (name, is_table) in fields.items():
            if is_table:
                yield from self._inner((*path, key), getattr(table, name))

    def _inner(self, path: Path, value: Any) -> Iterator[Setting]:
        if isinstance(value, Table):
            yield from self.table(path, value)
        for index, element in enumerate(value if isinstance(value, tuple) else ()):
            yield from self.table((*path, index), element)

    def _key(self, path: Path, name: str, table: Table) -> Iterator[Setting]:
        if name in table.model_fields_set:
            yield Setting(path, plain(path, getattr(table, name)), self._origin(path))
            return
        inherits = isinstance(table, Rule) and name in RouteDefaults.model_fields
        if inherits and name in self._proxy.model_fields_set:
            value = plain(path, getattr(self._proxy, name))
            yield Setting(path, value, f"[proxy], {self._origin(('proxy', path[-1]))}")
            return
        value = None if path in self._replaced else plain(path, getattr(table, name))
        if value not in (None, [], {}) or not _is_element(path):
            yield Setting(path, value, DEFAULT)

    def _origin(self, path: Path) -> str:
        line = self._positions.line(path)
        return f"{self._file}:{line}" if line else self._file


def _is_element(path: Path) -> bool:
    """Whether the key is in an element of an array: there, what is absent is left out."""
    return any(isinstance(part, int) for part in path)


def plain(path: Path, value: Any) -> Any:
    """A value as TOML has it: lists for tuples, whole numbers without .0, "auto" for the CPUs."""
    if path == ("global", "worker_threads") and value is None:
        return "auto"
    if isinstance(value, tuple):
        return [plain((), item) for item in value]
    if isinstance(value, dict):
        return {key: plain((), item) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def as_toml(settings: list[Setting]) -> str:
    """The settings as a file that could be used in place of the original, origins as comments."""
    lines: list[str] = []
    last: Path | None = ()
    for setting in settings:
        table = setting.path[:-1]
        if table != last:
            header = ".".join(_bare(part) for part in table if isinstance(part, str))
            lines += ["", f"[[{header}]]" if isinstance(table[-1], int) else f"[{header}]"]
            last = table
        key = _bare(str(setting.path[-1]))
        if setting.value is None:
            lines.append(f"# {key} is not set")
        else:
            lines.append(f"{f'{key} = {toml_value(setting.value)}':<48}  # {setting.origin}")
    return "\n".join(lines).lstrip("\n") + "\n"


def as_json(settings: list[Setting]) -> str:
    """The settings for machines."""
    items = [{"key": dotted(s.path), "value": s.value, "origin": s.origin} for s in settings]
    return json.dumps(items, indent=2, default=str) + "\n"


def toml_value(value: Any) -> str:
    """A value in TOML's spelling, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_bare(key)} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return str(value)


def _bare(key: str) -> str:
    """A key, quoted where TOML wants it."""
    plain_key = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if plain_key else toml_value(key)
