"""Whether TLS towards origins is asked for where there is any, and can be what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pingpy.config.addresses import parse_backend
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.resolve import resolve
from pingpy.config.schema import Config
from pingpy.config.schema_routing import BackendTable, Rule, UpstreamTls

PAIRS = (("certificate", "key"), ("key", "certificate"))


def tls_tables(config: Config) -> list[tuple[Path, UpstreamTls]]:
    """Every `tls` table towards origins that is there, with its place."""
    tables: list[tuple[Path, UpstreamTls]] = []
    if "tls" in config.proxy.model_fields_set:
        tables.append((("proxy", "tls"), config.proxy.tls))
    tables += [
        (("pools", index, "tls"), pool.tls)
        for index, pool in enumerate(config.pools)
        if "tls" in pool.model_fields_set
    ]
    tables += [
        (("proxy", "rules", index, "tls"), rule.tls)
        for index, rule in enumerate(config.proxy.rules)
        if "tls" in rule.model_fields_set
    ]
    return tables


def check_tls(config: Config) -> Iterator[Finding]:
    """Findings about `tls` of [proxy], rules and pools."""
    for path, table in tls_tables(config):
        for given, missing in PAIRS:
            if getattr(table, given) and not getattr(table, missing):
                advice = f"add {missing} beside it"
                yield Finding((*path, given), f'"{given}" needs "{missing}"', advice, on_key=True)
        if not table.verify:
            message = "the origin's certificate is not looked at: whoever answers gets the requests"
            advice = "name the CA of its certificate with `ca`, its name with `server_name`"
            yield warning((*path, "verify"), message, advice)
            if table.ca:
                yield Finding((*path, "ca"), '"ca" means nothing with verify = false', on_key=True)
    yield from _unused(config)


def check_nameless(config: Config) -> Iterator[Finding]:
    """A Unix socket has no name that a certificate could be for; asked only when all names can be followed."""
    if not any("https://unix:" in text for text in _addresses(config)):
        return
    resolved = resolve(config)
    for rule in (*resolved.rules, resolved.no_match):
        pool = rule.pool
        if pool is None or pool.tls.server_name or not pool.tls.verify:
            continue
        if any(peer.scheme == "https" and peer.unix_path for peer in pool.peers):
            is_rule = rule.index < len(config.proxy.rules)
            path: Path = ("proxy", "rules", rule.index) if is_rule else ("load_balancing",)
            message = "TLS over a Unix socket: there is no host that the certificate could be for"
            yield Finding(path, message, 'add tls = { server_name = "..." }', on_key=True)


def _addresses(config: Config) -> list[str]:
    return [
        *(text for rule in config.proxy.rules for text in rule.upstream),
        *(backend.address for backend in config.load_balancing.backends),
        *(peer.address for pool in config.pools for peer in pool.peers),
    ]


def _unused(config: Config) -> Iterator[Finding]:
    """A table that no https:// origin is under."""
    secure: set[str] = set()
    backends = config.load_balancing.backends
    for pool in config.pools:
        if _any_https(peer.address for peer in pool.peers):
            secure.add(pool.name)
    for backend in backends:
        if _any_https([backend.address]):
            secure |= {backend.name, backend.group or ""}
    for index, pool in enumerate(config.pools):
        if "tls" in pool.model_fields_set and pool.name not in secure:
            yield _no_https(("pools", index, "tls"))
    for index, rule in enumerate(config.proxy.rules):
        used = "tls" in rule.model_fields_set and rule.upstream
        if used and not _reaches_https(rule, secure, backends):
            yield _no_https(("proxy", "rules", index, "tls"))


def _no_https(path: Path) -> Finding:
    return warning(path, '"tls" is not used: no origin here is https://', on_key=True)


def _reaches_https(rule: Rule, secure: set[str], backends: Iterable[BackendTable]) -> bool:
    names = {backend.name.lower() for backend in backends if backend.name in secure}
    return any(
        text.startswith("https://") or text in secure or _host(text) in names
        for text in rule.upstream
    )


def _host(text: str) -> str:
    """The host of a URL, which may be a backend's name."""
    return text.partition("://")[2].rstrip("/").partition(":")[0].lower()


def _any_https(addresses: Iterable[str]) -> bool:
    return any(parse_backend(address).scheme == "https" for address in addresses)
