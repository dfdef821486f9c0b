"""What pydantic found wrong, in our own words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pingpy.config.features import is_for_later
from pingpy.config.finding import Finding, Path
from pingpy.config.patterns import closest
from pingpy.config.values import ERROR_TYPE, shown
from pingpy.config.walk import field_at, header, inner_table, keys, table_at, tables

_KEY_MARK = "[key]"  # pydantic's last path element when a mapping's key is refused

# What each of pydantic's error types that our schema can produce asked for.
_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "a string",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "finite_number": "a finite number",
}


def explain(error: ValidationError) -> list[Finding]:
    """One finding for each mistake; a missing key that was merely misspelled is not named twice."""
    details = error.errors(include_url=False)
    findings = [_finding(detail) for detail in details]
    return list(_without_misspelled(details, findings))


def _finding(detail: ErrorDetails) -> Finding:
    path: Path = detail["loc"]
    kind = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    on_key = path[-1:] == (_KEY_MARK,)
    if on_key:
        path = path[:-1]
    if kind == ERROR_TYPE:
        return Finding(path, context["message"], context["advice"], on_key=on_key)
    if kind == "extra_forbidden":
        return unknown_key(path)
    if kind == "missing":
        name, _ = table_at(path)
        return Finding(path, f'missing key "{path[-1]}" in {header(name)}', _help_of(path))
    expected = _bound(kind, context, path) or _type(kind, path)
    if expected is None:
        return Finding(path, detail["msg"], _help_of(path))
    found = shown(detail["input"])
    if kind == "too_short":
        found = "an empty list"
    return Finding(path, f"expected {expected}, found {found}", _help_of(path))


def _type(kind: str, path: Path) -> str | None:
    """The type that was expected; a list of texts may be written as one text."""
    field = field_at(path)
    if kind == "tuple_type" and field is not None and inner_table(field) is None:
        return "a string or a list of strings"
    return _EXPECTED.get(kind)


def _bound(kind: str, context: dict[str, Any], path: Path) -> str | None:
    """What was expected, for the types that carry a bound or a choice."""
    match kind:
        case "greater_than_equal" | "less_than_equal":
            return _range(path)
        case "too_short":
            return "at least one"
        case "string_too_short":
            return "a text that is not empty"
        case "literal_error":
            return str(context["expected"]).replace("'", '"')
        case "string_pattern_mismatch":
            return f"a text that matches {context['pattern']}"
        case _:
            return None


def _range(path: Path) -> str | None:
    """The whole range of a number, whichever of its bounds was broken."""
    field = field_at(path)
    bounds = {} if field is None else _bounds_in(field.metadata, field.annotation)
    if not bounds:
        return None
    low, high = bounds.get("ge"), bounds.get("le")
    return f"a number from {low} to {high}" if high is not None else f"a number of at least {low}"


def _bounds_in(metadata: Sequence[Any], annotation: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    inner = [m for a in getattr(annotation, "__args__", ()) for m in getattr(a, "__metadata__", ())]
    for item in [*metadata, *inner]:
        for constraint in [item, *getattr(item, "metadata", ())]:
            for name in ("ge", "le"):
                if hasattr(constraint, name):
                    found[name] = getattr(constraint, name)
    return found


def _help_of(path: Path) -> str:
    """The key's own line of help."""
    field = field_at(path)
    return f"{path[-1]}: {field.description}" if field is not None and field.description else ""


def unknown_key(path: Path) -> Finding:
    """An unknown key: for a later version, misspelled, or of another table."""
    name, table = table_at(path)
    key = str(path[-1])
    where = "at the top level" if not name else f"in {header(name)}"
    if is_for_later(name, key):
        return Finding(path, f'"{key}" {where} is not available in this version', "", on_key=True)
    own = tuple(keys(table)) if table else ()
    advice = closest(key, own) or _elsewhere(key) or _known(own)
    return Finding(path, f'unknown key "{key}" {where}', advice, on_key=True)


def _elsewhere(key: str) -> str:
    """The tables that have this key, or else a near one."""
    homes: dict[str, list[str]] = {}
    for name, table in tables().items():
        for known in keys(table):
            homes.setdefault(known, []).append(header(name))
    if key in homes:
        return f'"{key}" belongs to {" or ".join(homes[key][:3])}'
    near = difflib.get_close_matches(key, homes, n=1, cutoff=0.75)
    return f'did you mean "{near[0]}" of {" or ".join(homes[near[0]][:3])}?' if near else ""


def _known(own: Sequence[str]) -> str:
    return f"known keys: {', '.join(own)}" if 0 < len(own) <= 12 else ""


def _without_misspelled(
    details: Sequence[ErrorDetails], findings: Sequence[Finding]
) -> Iterable[Finding]:
    unknown = {
        f.path for f, d in zip(findings, details, strict=True) if d["type"] == "extra_forbidden"
    }
    for finding, detail in zip(findings, details, strict=True):
        if detail["type"] == "missing":
            siblings = [str(p[-1]) for p in unknown if p[:-1] == finding.path[:-1]]
            if any(closest(word, (str(finding.path[-1]),)) for word in siblings):
                continue
        yield finding
