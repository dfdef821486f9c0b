"""Everything that a start does except serve; the same way for `pingpy -t`, for a start and for a reload's checker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path as FilePath

from pingpy.config.as_user import complaints_as_user
from pingpy.config.certificates import check_certificates
from pingpy.config.certificates_clients import check_client_authorities
from pingpy.config.certificates_ocsp import check_ocsp
from pingpy.config.certificates_upstream import check_upstream_certificates
from pingpy.config.finding import Finding
from pingpy.config.host import check_host
from pingpy.config.load import examine
from pingpy.config.locate import Positions
from pingpy.config.lookups import unresolved
from pingpy.config.patterns import ALGORITHMS
from pingpy.config.plan import Plan, plan
from pingpy.config.schema import Config
from pingpy.config.source import ConfigSource
from pingpy.errors import Complaint, ConfigError, Severity
from pingpy.loading import load_class, load_modules

LoadUserCode = Callable[[Config, FilePath], object]


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """A configuration that this host can serve, the master's plan, and the warnings."""

    config: Config
    plan: Plan
    warnings: tuple[Complaint, ...]


def load_user_code(config: Config, folder: FilePath) -> None:
    """Loads every module and custom balancer, as a worker does; raises ConfigError."""
    load_modules(config.modules, folder, config)
    for where, name in custom_algorithms(config):
        module, _, class_name = name.partition(":")
        load_class(module, class_name, folder, where=where)


def custom_algorithms(config: Config) -> list[tuple[tuple[str | int, ...], str]]:
    """Each "module:Class" that is named as an algorithm, with the first key that names it."""
    places: list[tuple[tuple[str | int, ...], str | None]] = [
        (("load_balancing", "algorithm"), config.load_balancing.algorithm),
        (("proxy", "load_balancing"), config.proxy.load_balancing),
        *((("pools", i, "algorithm"), pool.algorithm) for i, pool in enumerate(config.pools)),
        *(
            (("proxy", "rules", i, "load_balancing"), rule.load_balancing)
            for i, rule in enumerate(config.proxy.rules)
        ),
    ]
    first: dict[str, tuple[str | int, ...]] = {}
    for path, name in places:
        if name is not None and name not in ALGORITHMS:
            first.setdefault(name, path)
    return [(path, name) for name, path in first.items()]


def rehearse(
    source: ConfigSource,
    *,
    held: Collection[str] = (),
    user_code: LoadUserCode = load_user_code,
    look_up_names: bool = True,
    strict: bool = False,
    bind: bool = True,
) -> Rehearsed:
    """Checks all that can be checked; raises ConfigError with all complaints, warnings included.

    `held`: ids of the listeners that we have already and that are not bound once more; without `bind` none is.
    """
    examined = examine(source)
    config = examined.config
    folder = source.folder
    the_plan = plan(config)
    if not bind:
        held = {listener.id for listener in the_plan.listeners}
    now = datetime.now(UTC)
    findings: list[Finding] = [
        *examined.findings,
        *check_certificates(config, folder, now),
        *check_ocsp(config, folder, now),
        *check_upstream_certificates(config, folder, now),
        *check_client_authorities(config, folder),
        *check_host(config, the_plan, held),
        *(unresolved(config) if look_up_names else ()),
    ]
    complaints: tuple[Complaint, ...] = ()
    if config.modules or custom_algorithms(config):
        complaints = complaints_as_user(
            lambda: user_code(config, folder), the_plan.user, the_plan.group
        )
    placed = _placed(findings, complaints, source)
    if any(strict or c.severity is Severity.ERROR for c in placed):
        raise ConfigError(placed)
    return Rehearsed(config, the_plan, placed)


def _placed(
    findings: Sequence[Finding], complaints: Sequence[Complaint], source: ConfigSource
) -> tuple[Complaint, ...]:
    """Everything with its place: in the configuration, or where a user's module says it is."""
    if not findings and not complaints:
        return ()
    positions = Positions(source.text.decode())
    placed = [positions.place(finding, source.path) for finding in findings]
    for complaint in complaints:
        if complaint.file:
            placed.append(complaint)
            continue
        at = Finding(complaint.path, complaint.message, complaint.help, complaint.severity)
        placed.append(positions.place(at, source.path))
    return tuple(
        replace(c, file=c.file or source.path)
        for c in sorted(
            placed, key=lambda c: (c.file != source.path, c.line == 0, c.line, c.column)
        )
    )
