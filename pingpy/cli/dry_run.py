"""`pingpy reload --dry-run --diff`: what a reload would change, without doing it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from pingpy.config.load import load
from pingpy.config.plan import plan
from pingpy.config.rehearsal import rehearse
from pingpy.config.schema import Config
from pingpy.config.source import ConfigSource
from pingpy.errors import ConfigError

EXIT_REFUSED = 4
EXIT_USAGE = 2


def dry_run(path: str | None, running: dict[str, Any], *, diff: bool, as_json: bool) -> int:
    """Judge the file as a reload would, and compare it with what runs (`running`: the answer to the verb config).

    Without an instance it is judged as for a start; there is nothing to compare it with then.
    """
    if diff and running.get("code"):
        print(f"pingpy: {running.get('text', '')}", file=sys.stderr)
        return int(running["code"])
    path = path or running.get("path")
    if path is None:
        print("pingpy: which file? (-c FILE)", file=sys.stderr)
        return EXIT_USAGE
    try:
        source = ConfigSource.read(path)
        new = rehearse(source, held=running.get("held", ()), look_up_names=False).config
    except OSError as error:
        print(f"pingpy: cannot read {path}: {error.strerror}", file=sys.stderr)
        return EXIT_REFUSED
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_REFUSED
    changes: list[dict[str, str]] = []
    if diff:
        old = load(ConfigSource(str(running["path"]), str(running["config"]).encode()))
        changes = list(differences(old, new))
    if as_json:
        print(json.dumps({"ok": True, "changes": changes}, indent=2))
    else:
        for change in changes:
            print(f"{change['change']} {change['kind']} {change['name']}")
        print(f"{path}: can be used" + (f", {len(changes)} changes" if diff else ""))
    return 0


def differences(old: Config, new: Config) -> Iterator[dict[str, str]]:
    """Listeners, rules and pools that come (+), go (-) or change (~)."""
    sides = (old, new)
    listeners = [{p.id: p for p in plan(side).listeners} for side in sides]
    yield from _compare("listener", *listeners)
    rules = [{_rule_name(i, rule): rule for i, rule in enumerate(s.proxy.rules)} for s in sides]
    yield from _compare("rule", *rules)
    pools = [{pool.name: pool for pool in side.pools} for side in sides]
    yield from _compare("pool", *pools)
    peers = [{peer.name: peer for peer in side.load_balancing.backends} for side in sides]
    yield from _compare("backend", *peers)
    tables = [
        {name: getattr(side, name) for name in type(side).model_fields if name not in _DETAILED}
        for side in sides
    ]
    for change in _compare("table", *tables):
        yield {**change, "name": f"[{change['name'].rstrip('_')}]"}


_DETAILED = ("network", "proxy", "pools", "load_balancing")


def _rule_name(index: int, rule: Any) -> str:
    keys = ("host", "method", "path", "header")
    values = {key: getattr(rule, key, None) for key in keys}
    parts = [
        f"{key}={','.join(value) if isinstance(value, tuple) else value}"
        for key, value in values.items()
        if value
    ]
    return f"{index + 1} ({', '.join(parts) or 'everything'})"


def _compare(kind: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[dict[str, str]]:
    for name in [*old, *(n for n in new if n not in old)]:
        if name not in new:
            change = "-"
        elif name not in old:
            change = "+"
        elif old[name] != new[name]:
            change = "~"
        else:
            continue
        yield {"change": change, "kind": kind, "name": name}
