"""`pingpy -t` and `pingpy -T`: judge a configuration, or print what it amounts to; nothing is served."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from pingpy.config.effective import as_json as settings_as_json
from pingpy.config.effective import as_toml, effective
from pingpy.config.reference import json_schema_text, reference
from pingpy.config.rehearsal import LoadUserCode, load_user_code, rehearse
from pingpy.config.sample import sample
from pingpy.config.source import ConfigSource
from pingpy.errors import Complaint, ConfigError, Severity, render_complaints

EXIT_OK = 0
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h


def read_source(path: str) -> ConfigSource:
    """The file, or a ConfigError that says why it cannot be read."""
    try:
        return ConfigSource.read(path)
    except OSError as error:
        raise ConfigError([Complaint(f"cannot read it: {error.strerror}", file=path)]) from error


def check(
    source: ConfigSource,
    strict: bool = False,
    as_json: bool = False,
    quiet: bool = False,
    *,
    bind: bool = True,
    user_code: LoadUserCode = load_user_code,
) -> int:
    """Does everything a start does except serve, and says what is wrong; the exit code."""
    try:
        rehearsed = rehearse(source, user_code=user_code, bind=bind)
        complaints: Sequence[Complaint] = rehearsed.warnings
    except ConfigError as error:
        complaints = error.complaints
    refused = any(strict or c.severity is Severity.ERROR for c in complaints)
    if as_json:
        print(json.dumps(report(source.path, complaints, ok=not refused), indent=2))
    else:
        if complaints:
            print(render_complaints(complaints), file=sys.stderr)
        print_verdict(source.path, complaints, refused=refused, quiet=quiet)
    return EXIT_CONFIG if refused else EXIT_OK


def report(path: str, complaints: Sequence[Complaint], *, ok: bool) -> dict[str, Any]:
    """The verdict for machines."""
    return {"file": path, "ok": ok, "complaints": [c.as_json() for c in complaints]}


def print_verdict(
    path: str, complaints: Sequence[Complaint], *, refused: bool, quiet: bool
) -> None:
    """One line on stderr, as nginx and HAProxy do; with -q only when something is wrong."""
    if quiet and not refused:
        return
    counts = [
        _count(sum(c.severity is severity for c in complaints), str(severity))
        for severity in Severity
    ]
    found = ", ".join(count for count in counts if count)
    verdict = "refused" if refused else "can be used"
    print(f"{path}: {verdict}{f' ({found})' if found else ''}", file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def dump(
    source: ConfigSource,
    as_json: bool = False,
    strict: bool = False,
    *,
    user_code: LoadUserCode = load_user_code,
) -> int:
    """Prints the effective configuration, each value with where it came from; the exit code is that of `check`."""
    try:
        settings = effective(source)
    except ConfigError as error:
        if as_json:
            print(json.dumps(report(source.path, error.complaints, ok=False), indent=2))
        else:
            print(error, file=sys.stderr)
        return EXIT_CONFIG
    sys.stdout.write(settings_as_json(settings) if as_json else as_toml(settings))
    # A file that would not start is shown all the same: seeing what it amounts to may be the way out.
    return check(source, strict, quiet=True, user_code=user_code)


def print_reference() -> int:
    """`pingpy config reference`: every key with its default and help, as Markdown."""
    sys.stdout.write(reference())
    return EXIT_OK


def print_sample() -> int:
    """`pingpy config sample`: a config.toml with every key as a comment."""
    sys.stdout.write(sample())
    return EXIT_OK


def print_schema() -> int:
    """`pingpy config schema`: the JSON schema, for editors that complete TOML files."""
    sys.stdout.write(json_schema_text())
    return EXIT_OK
