"""`pingpy doctor`: what this host and this build can do, and what a configuration would meet here; `pingpy -V`.

Exit codes: 0 nothing stands in the way (notes may be worth reading), 1 something is missing that pingpy needs,
78 the configuration would be refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby

import click

from pingpy.cli import facts
from pingpy.cli.facts import Fact
from pingpy.config.certificates import NEAR_END, first_der, validity
from pingpy.config.rehearsal import rehearse
from pingpy.config.schema import Config
from pingpy.config.source import ConfigSource
from pingpy.errors import Complaint, ConfigError, Severity, render_complaints

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_CONFIG = 78
MARKS = {"ok": " ", "note": "!", "bad": "X"}


@click.command(
    help="Say what this host and this build can do, and what a configuration would meet."
)
@click.option(
    "-c", "--config", "path", metavar="FILE", help="A configuration file to look at, too."
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(path: str | None, as_json: bool) -> None:
    """The verb."""
    parent = click.get_current_context().parent
    raise SystemExit(examine(path or (parent.obj if parent else None), as_json=as_json))


def examine(path: str | None, *, as_json: bool = False) -> int:
    """Find everything out and print it; the exit code."""
    found = [*facts.build_facts(), *facts.tls_facts(), *facts.host_facts()]
    complaints: Sequence[Complaint] = ()
    if path is not None:
        more, complaints = about_configuration(path)
        found += more
    refused = any(c.severity is Severity.ERROR for c in complaints)
    code = EXIT_OK
    if any(fact.state == "bad" for fact in found):
        code = EXIT_FAILED
    if refused:
        code = EXIT_CONFIG
    if as_json:
        print(json.dumps(report(found, complaints, code), indent=2))
        return code
    print("\n".join(render(found)))
    if complaints:
        print(f"\n{render_complaints(complaints)}")
    return code


def report(found: Iterable[Fact], complaints: Iterable[Complaint], code: int) -> dict[str, object]:
    """The same for machines."""
    sections = groupby(found, key=lambda fact: fact.section)
    return {
        **{section: [fact.as_json() for fact in group] for section, group in sections},
        "complaints": [complaint.as_json() for complaint in complaints],
        "exit_code": code,
    }


def render(found: Sequence[Fact]) -> Iterable[str]:
    """Aligned, section by section; what is worth knowing is marked."""
    width = max(len(fact.name) for fact in found)
    for section, group in groupby(found, key=lambda fact: fact.section):
        yield section
        for fact in group:
            yield f" {MARKS[fact.state]} {fact.name:<{width}}  {fact.text}"


def about_configuration(path: str) -> tuple[list[Fact], Sequence[Complaint]]:
    """What -t says of it (ports are left alone: who serves them may be ourselves), and its certificates."""
    try:
        source = ConfigSource.read(path)
    except OSError as error:
        return [], [Complaint(f"cannot read it: {error.strerror}", file=path)]
    try:
        rehearsed = rehearse(source, bind=False)
    except ConfigError as error:
        return [Fact("configuration", "verdict", "would be refused", "bad")], error.complaints
    found = [Fact("configuration", "verdict", f"{path} can be used")]
    listening = ", ".join(listener.text for listener in rehearsed.plan.listeners)
    found.append(Fact("configuration", "listens on", listening))
    found.append(facts.open_files_wanted(rehearsed.plan.open_files))
    found += _certificates(rehearsed.config, source, datetime.now(UTC))
    return found, rehearsed.warnings


def _certificates(config: Config, source: ConfigSource, now: datetime) -> Iterable[Fact]:
    network = config.network
    named = [(network.ssl_certificate, "the default")] if network.ssl_certificate else []
    named += [(e.certificate, ", ".join(e.server_name) or "the default") for e in network.tls]
    for file, names in named:
        _, ends = validity(first_der((source.folder / file).read_bytes()))
        days = (ends - now).days
        text = f"{file} for {names}, until {ends:%Y-%m-%d} ({days} days)"
        yield Fact("configuration", "certificate", text, "note" if ends - now < NEAR_END else "ok")


def print_versions() -> None:
    """`pingpy -V`: what it was built with and runs on."""
    for fact in facts.build_facts():
        mark = "" if fact.state == "ok" else " (!)"
        print(f"{fact.name}: {fact.text}{mark}")
