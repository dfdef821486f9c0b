"""Whether each rule leads somewhere, and whether what it names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pingpy.config.addresses import parse_backend, parse_upstream
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.log_format import variables_in
from pingpy.config.patterns import closest
from pingpy.config.resolve import takes_upstream_host
from pingpy.config.schema import Config
from pingpy.config.schema_routing import BackendTable, RouteDefaults, Rule

_DESTINATIONS = ("upstream", "redirect", "respond")
_NEED_UPSTREAM = (
    "rewrite",
    "load_balancing",
    "retry",
    "send_proxy_protocol",
    "upstream_protocol",
    "tls",
)
REDIRECT_VARIABLES = ("scheme", "host", "request_uri", "uri", "args")


@dataclass(frozen=True, slots=True)
class _Names:
    """What an upstream may name: backends, also as the host of a URL, and pools and groups."""

    backends: dict[str, BackendTable]
    hosts: dict[str, BackendTable]
    sets: set[str]

    @classmethod
    def of(cls, config: Config) -> _Names:
        backends = {backend.name: backend for backend in config.load_balancing.backends}
        hosts = {name.lower(): backend for name, backend in backends.items()}
        groups = {backend.group for backend in backends.values() if backend.group}
        return cls(backends, hosts, groups | {pool.name for pool in config.pools})


def check_rules(config: Config) -> Iterator[Finding]:
    """Findings about [proxy] and [[proxy.rules]]."""
    names = _Names.of(config)
    yield from _headers(("proxy",), config.proxy)
    for index, rule in enumerate(config.proxy.rules):
        path: Path = ("proxy", "rules", index)
        yield from _headers(path, rule)
        yield from _conditions(path, rule)
        yield from _destination(path, rule)
        yield from _upstream(path, rule, names)
        yield from _rewrite(path, rule)
        yield from _redirect(path, rule)
    yield from _grpc(config)
    yield from _metrics_page(config)


def _headers(path: Path, table: RouteDefaults) -> Iterator[Finding]:
    """Header names are compared without case, so X-A and x-a in one table are one name."""
    for key in table.model_fields_set:
        if not key.endswith("_header"):
            continue
        seen: set[str] = set()
        for name in getattr(table, key):
            if name.lower() in seen:
                yield Finding((*path, key), f'the header "{name}" is in "{key}" twice')
            seen.add(name.lower())
        if key == "set_request_header":
            hosts = [
                v
                for n, values in table.set_request_header.items()
                if n.lower() == "host"
                for v in values
            ]
            if len(hosts) > 1:
                yield Finding((*path, key), "a request has exactly one Host header")


def _conditions(path: Path, rule: Rule) -> Iterator[Finding]:
    if rule.header_value is not None and (len(rule.header) != 1 or ":" in rule.header[0]):
        advice = 'write header = "Name: value"'
        yield Finding(
            (*path, "header_value"), '"header_value" needs a single `header` without a value', advice,
            on_key=True,
        )  # fmt: skip
    if takes_upstream_host(rule) and rule.forward_host is not None:
        yield Finding(
            (*path, "host"), 'host = "upstream" and "forward_host" are one setting',
            'for a client\'s Host that is "upstream" write host = ["upstream", "upstream.*"]',
        )  # fmt: skip
    for key in ("host", "path", "method", "header", "query", "upstream"):
        if key in rule.model_fields_set and not getattr(rule, key):
            yield Finding((*path, key), f'"{key}" is an empty list', "leave the key out")


def _destination(path: Path, rule: Rule) -> Iterator[Finding]:
    given = [key for key in _DESTINATIONS if key in rule.model_fields_set]
    if not given:
        message = "the rule leads nowhere"
        yield Finding(path, message, "add `upstream`, `redirect` or `respond`", on_key=True)
    for key in given[1:]:
        message = f'"{given[0]}" and "{key}" exclude each other'
        yield Finding((*path, key), message, "keep one of them", on_key=True)
    if "upstream" not in given:
        for key in _NEED_UPSTREAM:
            if key in rule.model_fields_set:
                yield Finding((*path, key), f'"{key}" needs "upstream"', on_key=True)


def _upstream(path: Path, rule: Rule, names: _Names) -> Iterator[Finding]:
    addresses: set[str] = set()
    for position, text in enumerate(rule.upstream):
        place: Path = (*path, "upstream", position)
        if "://" in text or text.startswith("unix:"):
            url = parse_upstream(text)
            backend = names.hosts.get(url.host)
            if (
                backend is not None
                and url.port_given
                and parse_backend(backend.address).port != url.port
            ):
                message = f'"{url.host}" is a backend: its address {backend.address} is used'
                yield warning(place, message, f'write "{backend.name}", or rename the backend')
            key = text if backend is None else backend.address
            address = url.text if backend is None else parse_backend(key).text
        elif text in names.backends:
            address = parse_backend(names.backends[text].address).text
        elif text in names.sets:
            address = text
            if len(rule.upstream) > 1:
                message = f'the pool "{text}" cannot be part of a list'
                yield Finding(place, message, "name it alone, or list URLs")
        else:
            yield _unknown_name(place, text, names)
            continue
        if address in addresses:
            yield Finding(place, f"{address} is in this list twice")
        addresses.add(address)


def _unknown_name(path: Path, text: str, names: _Names) -> Finding:
    known = sorted(names.sets | names.backends.keys())
    listed = f"defined: {', '.join(known[:12])}" if known else "no pool or backend is defined"
    advice = closest(text, known) or f'{listed}; for a host write "http://{text}"'
    return Finding(path, f'there is no pool or backend "{text}"', advice)


def _rewrite(path: Path, rule: Rule) -> Iterator[Finding]:
    rewrite = rule.rewrite
    if rewrite is None:
        return
    place: Path = (*path, "rewrite")
    if rewrite.regex is None:
        yield from _stars(place, rewrite.to, rule)
        return
    try:
        regex = re.compile(rewrite.regex)
    except re.error as error:
        yield Finding((*place, "regex"), f"the regular expression is wrong: {error}")
        return
    for number, name, other in re.findall(r"\\(?:(\d+)|g<(\w+)>|(.?))", rewrite.to):
        wanted = number or name
        known = int(wanted) <= regex.groups if wanted.isdigit() else wanted in regex.groupindex
        if other not in ("", "\\") or not (wanted or other):
            message = f'"\\{other}" means nothing here'
            yield Finding(
                (*place, "to"),
                message,
                r"write \1 or \g<name> for a group, a double backslash for one",
            )
        elif wanted and not known:
            yield Finding((*place, "to"), f'the regular expression has no group "{wanted}"')


def _stars(place: Path, text: str, rule: Rule) -> Iterator[Finding]:
    """Each * must have one in `path` to take its text from."""
    stars = text.count("*")
    if not stars:
        return
    if len(rule.path) != 1:
        message = "a * stands for one of `path`, and the rule does not have exactly one path"
        yield Finding(place, message)
    elif rule.path[0].count("*") < stars:
        yield Finding(place, f'"{text}" has more * than the path "{rule.path[0]}"')


def _redirect(path: Path, rule: Rule) -> Iterator[Finding]:
    if rule.redirect is None:
        return
    place: Path = (*path, "redirect")
    to = rule.redirect.to
    yield from _stars(place, to, rule)
    for name in variables_in(to):
        if name not in REDIRECT_VARIABLES:
            known = ", ".join(f"${variable}" for variable in REDIRECT_VARIABLES)
            yield Finding(place, f"unknown variable ${name}", f"known: {known}")
    if not to.startswith(("/", "$", "http://", "https://")):
        yield Finding(
            place, f'"{to}" is neither a URL nor a path', 'did you mean "https://' + to + '"?'
        )


def _grpc(config: Config) -> Iterator[Finding]:
    """gRPC is HTTP/2 (its trailers and its framing are); a rule cannot ask for both it and HTTP/1.1."""
    tables: list[tuple[Path, RouteDefaults]] = [(("proxy",), config.proxy)]
    tables += [(("proxy", "rules", i), rule) for i, rule in enumerate(config.proxy.rules)]
    for path, table in tables:
        if table.grpc and table.upstream_protocol == "http1":
            message = "gRPC needs HTTP/2 to the origin"
            yield Finding((*path, "upstream_protocol"), message, "leave the key out")
        grpc = config.proxy.grpc if table.grpc is None else table.grpc
        if table.grpc_web and not grpc:
            yield Finding((*path, "grpc_web"), '"grpc_web" needs "grpc"', "add grpc = true")


def _metrics_page(config: Config) -> Iterator[Finding]:
    """The page is served before any rule, so a rule for its path never sees those who may read it."""
    page = config.metrics.path
    if not config.metrics.enabled or config.metrics.listen:
        return
    for index, rule in enumerate(config.proxy.rules):
        if page in rule.path:
            path: Path = ("proxy", "rules", index, "path")
            message = f"{page} is the metrics page for those that [metrics] allows"
            yield warning(path, message, "move it with [metrics] path, or set enabled = false")
