"""What no single key can know: things that exclude or need each other; names, pools and rules follow."""

from __future__ import annotations

from collections.abc import Iterator

from pingpy.config.addresses import overlap, parse_listen
from pingpy.config.crosscheck_identities import check_identities
from pingpy.config.crosscheck_pools import check_pools
from pingpy.config.crosscheck_proxy_protocol import check_proxy_protocol
from pingpy.config.crosscheck_rules import check_rules
from pingpy.config.crosscheck_tls import check_nameless, check_tls
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.log_format import check_format
from pingpy.config.patterns import closest
from pingpy.config.schema import Config
from pingpy.config.schema_routing import HealthCheck
from pingpy.config.shadow import dead_rules
from pingpy.errors import Severity

# Two spellings of one setting; only one of each pair may be used.
ALIASES: tuple[tuple[Path, Path], ...] = (
    (("global", "worker_threads"), ("global", "worker_processes")),
    (("global", "drain_timeout"), ("timeouts", "drain")),
    (("global", "log_level"), ("log", "level")),
    (("proxy", "forward_host"), ("proxy", "host")),
)

_UNUSED_BY_PROBES = {
    "http": ("service",),
    "tcp": ("path", "expected_status", "service"),
    "grpc": ("path", "expected_status"),
}


def cross_check(config: Config, *, dead: bool = True) -> list[Finding]:
    """Everything wrong or odd between keys that are each fine by themselves; `dead`: dead rules too."""
    findings = [
        *_aliases(config),
        *_listeners(config),
        *_certificates(config),
        *check_identities(config),
        *check_proxy_protocol(config),
        *_health_checks(config),
        *_modules(config),
        *check_format(config.log.format),
        *check_pools(config),
        *check_rules(config),
        *check_tls(config),
        *(dead_rules(config) if dead else ()),
    ]
    if not any(finding.severity is Severity.ERROR for finding in findings):
        findings += check_nameless(config)
    return findings


def is_set(config: Config, path: Path) -> bool:
    """Whether the file sets this key of a table of the top level."""
    table, key = path
    name = "global_" if table == "global" else str(table)
    return key in getattr(config, name).model_fields_set


def _aliases(config: Config) -> Iterator[Finding]:
    for first, second in ALIASES:
        if is_set(config, first) and is_set(config, second):
            message = f'"{second[1]}" and "{first[1]}" in [{first[0]}] are one setting'
            yield Finding(second, message, "keep one of them", on_key=True)


def _listeners(config: Config) -> Iterator[Finding]:
    network = config.network
    if not network.listen:
        yield Finding(("network", "listen"), "expected at least one address, found an empty list")
    has_certificate = bool(network.tls or network.ssl_certificate)
    seen: dict[str, str] = {}
    for index, text in enumerate(network.listen):
        path: Path = ("network", "listen", index)
        yield from _listened_twice(path, text, seen)
        if parse_listen(text)[0].scheme == "https" and not has_certificate:
            yield Finding(path, f"{text} has no certificate", "set ssl_certificate and its key")
    metrics = config.metrics
    for index, text in enumerate(metrics.listen):
        path = ("metrics", "listen", index)
        yield from _listened_twice(path, text, seen)
        if text.startswith("https://"):
            advice = f'write "{text.removeprefix("https://")}"; on loopback or an inner network'
            yield Finding(path, "the metrics page is plain HTTP on a listener of its own", advice)
    if metrics.listen and not metrics.enabled:
        path = ("metrics", "listen")
        yield warning(path, "nothing is served there: enabled = false", on_key=True)


def _listened_twice(path: Path, text: str, seen: dict[str, str]) -> Iterator[Finding]:
    """Whether an address was there before, or within another; `seen` has the entries, and learns this one's."""
    for address in parse_listen(text):
        if address.text in seen:
            first = seen[address.text]
            also = "" if first in (text, address.text) else f' (as "{first}")'
            yield Finding(path, f"{address.text} is listened on twice{also}", "remove one")
            break
        for other in seen:
            if overlap(address.text, other):
                message = f"{address.text} overlaps {other}"
                yield Finding(path, message, "keep the one for all addresses, or use another port")
        seen[address.text] = text


def _certificates(config: Config) -> Iterator[Finding]:
    network = config.network
    pairs = (("ssl_certificate", "ssl_certificate_key"), ("ssl_certificate_key", "ssl_certificate"))
    for given, missing in pairs:
        if getattr(network, given) and not getattr(network, missing):
            message = f'"{given}" needs "{missing}"'
            yield Finding(("network", given), message, f"add {missing} to [network]", on_key=True)


def _health_checks(config: Config) -> Iterator[Finding]:
    overall = config.health_check
    if overall is not None:
        yield from _health_check(("health_check",), overall, overall)
    for index, pool in enumerate(config.pools):
        own = pool.health_check
        if own is None:
            continue
        given = {key: getattr(own, key) for key in own.model_fields_set}
        merged = overall.model_copy(update=given) if overall else own
        yield from _health_check(("pools", index, "health_check"), own, merged)


def _health_check(path: Path, own: HealthCheck, merged: HealthCheck) -> Iterator[Finding]:
    """Oddities of one table; `merged` has what it takes from [health_check], too."""
    given = own.model_fields_set
    if merged.timeout > merged.interval and given & {"timeout", "interval"}:
        key = "timeout" if "timeout" in given else "interval"
        message = f"the timeout ({merged.timeout:g} s) is longer than the interval ({merged.interval:g} s)"
        yield warning((*path, key), message, f"{merged.interval:g} s is used for both")
    for key in _UNUSED_BY_PROBES[merged.type]:
        if key in given:
            message = f'"{key}" is not used by probes of type "{merged.type}"'
            yield warning((*path, key), message, on_key=True)


def _modules(config: Config) -> Iterator[Finding]:
    names: list[str] = []
    for index, module in enumerate(config.modules):
        name = module.name or module.class_.lower()
        if name in names:
            key = "name" if module.name else "class"
            yield Finding(
                ("modules", index, key),
                f'there are two modules named "{name}"',
                "give one a `name`",
            )
        names.append(name)
    tables = [((("proxy",)), config.proxy.filters)]
    rules = [(("proxy", "rules", i), rule.filters) for i, rule in enumerate(config.proxy.rules)]
    for path, filters in [*tables, *rules]:
        for position, name in enumerate(filters):
            if name not in names:
                advice = closest(name, names) or f"modules: {', '.join(names) or 'none'}"
                yield Finding((*path, "filters", position), f'there is no module "{name}"', advice)
