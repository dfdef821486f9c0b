"""From the bytes of config.toml to a Config, or to every complaint at once."""

from __future__ import annotations

import copy
import re
import tomllib
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pingpy.config.crosscheck import cross_check
from pingpy.config.explain import explain
from pingpy.config.finding import Finding, Path
from pingpy.config.locate import place_all
from pingpy.config.schema import Config
from pingpy.config.source import ConfigSource
from pingpy.errors import Complaint, ConfigError, Severity


@dataclass(frozen=True, slots=True)
class Examined:
    """A configuration that may be used, and what is odd about it."""

    source: ConfigSource
    config: Config
    findings: tuple[Finding, ...]

    def warnings(self) -> tuple[Complaint, ...]:
        """The warnings with their places; these are computed now, which is slow for a large file."""
        return place_all(self.findings, self.source.text.decode(), self.source.path)


def load(source: ConfigSource) -> Config:
    """The configuration; raises ConfigError with all complaints when it cannot be used."""
    return examine(source).config


def examine(source: ConfigSource) -> Examined:
    """Like load, and keeps the warnings."""
    raw = parse(source)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        findings = explain(error)
        findings += _cross_check_the_rest(raw, [f.path for f in findings])
    else:
        findings = cross_check(config)
        if not any(f.severity is Severity.ERROR for f in findings):
            return Examined(source, config, tuple(findings))
    raise ConfigError(place_all(findings, source.text.decode(), source.path))


def parse(source: ConfigSource) -> dict[str, Any]:
    """The file as plain values; raises ConfigError with the one mistake that stops the parser."""
    try:
        text = source.text.decode()
    except UnicodeDecodeError as error:
        before = source.text[: error.start].decode()
        raise _syntax_error(source, before, "the file is not UTF-8 at this point") from None
    if text.startswith("\ufeff"):
        raise _syntax_error(
            source, "", "the file begins with a byte order mark: save it without one"
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, place = _split_place(str(error))
        lines = text.split("\n")
        line, column = place or (len(lines), len(lines[-1]) + 1)
        before = "\n".join([*lines[: line - 1], lines[line - 1][: column - 1]])
        raise _syntax_error(source, before, message) from None


def _split_place(message: str) -> tuple[str, tuple[int, int] | None]:
    """tomllib puts the place into its message: `(at line 3, column 5)` or `(at end of document)`."""
    match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z", message)
    if match is None:
        return message, None
    text = message[: match.start()]
    place = (int(match[1]), int(match[2])) if match[1] else None
    return _plainer(text[:1].lower() + text[1:]), place


def _plainer(message: str) -> str:
    """tomllib's message, without the Python in it."""
    twice = re.fullmatch(r"cannot declare (\(.*\)) twice", message)
    if twice:
        name = ".".join(re.findall("'([^']*)'", twice[1]))
        return f"the table [{name}] is there twice"
    if message == "cannot overwrite a value":
        return "this key has a value already"
    return message


def _syntax_error(source: ConfigSource, before: str, message: str) -> ConfigError:
    line = before.count("\n") + 1
    start = before.rfind("\n") + 1
    text = source.text.decode(errors="replace").split("\n")[line - 1].rstrip("\r")
    complaint = Complaint(
        message, file=source.path, line=line, column=len(before) - start + 1, source_line=text
    )
    return ConfigError([complaint])


def _cross_check_the_rest(raw: dict[str, Any], bad: list[Path]) -> list[Finding]:
    """Cross-checks what is left without the bad keys, so that their mistakes are shown as well.

    A table that lost a key is judged no further: it would seem to lack what is only misspelled.
    """
    rest = copy.deepcopy(raw)
    for path in bad:
        _remove(rest, path)
    try:
        config = Config.model_validate(rest)
    except ValidationError:
        return []
    # What is gone may be what makes a rule narrow or uses a pool: no warnings, no dead rules.
    findings = cross_check(config, dead=False)
    damaged = {path[: _last_key(path)] for path in bad}
    return [
        finding
        for finding in findings
        if finding.severity is Severity.ERROR
        and not any(table and finding.path[: len(table)] == table for table in damaged)
    ]


def _last_key(path: Path) -> int:
    """The depth of the innermost key that is a name."""
    return max(depth for depth, part in enumerate(path) if isinstance(part, str))


def _remove(table: Any, path: Path) -> None:
    """Deletes the innermost key on the way to `path` (a list element takes its whole list along)."""
    keys = [depth for depth, part in enumerate(path) if isinstance(part, str)]
    for depth in reversed(keys):
        holder = table
        try:
            for part in path[:depth]:
                holder = holder[part]
            del holder[path[depth]]
        except (KeyError, IndexError, TypeError):
            continue
        return
