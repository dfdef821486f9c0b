"""Which upstream names do not resolve just now; that is never a reason not to start."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from pingpy.config.addresses import parse_backend, parse_upstream
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.schema import Config

# All names are looked up at once, and after this long we do not wait for the rest.
TIMEOUT_SECONDS = 3.0
MAX_NAMES = 200


def unresolved(
    config: Config,
    look_up: Callable[[str], object] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Iterator[Finding]:
    """A warning for each host name that has no address, at the first key that uses it."""
    names = _names(config)
    wanted = list(names)[:MAX_NAMES]
    problems = _look_up_all(wanted, look_up or _look_up, timeout_seconds)
    for name in wanted:
        problem = problems.get(name, "no answer in time")
        if problem:
            message = f'the name "{name}" does not resolve: {problem}'
            yield warning(
                names[name], message, "until it does, requests to it are answered with 502"
            )


def _names(config: Config) -> dict[str, Path]:
    """Every host name of an upstream, and the first key that has it."""
    found: dict[str, Path] = {}
    backends = config.load_balancing.backends
    own = {backend.name.lower() for backend in backends}
    for index, rule in enumerate(config.proxy.rules):
        for position, text in enumerate(rule.upstream):
            if "://" in text:
                host = parse_upstream(text).host
                if host not in own:
                    found.setdefault(host, ("proxy", "rules", index, "upstream", position))
    for index, backend in enumerate(backends):
        path: Path = ("load_balancing", "backends", index, "address")
        found.setdefault(parse_backend(backend.address).host, path)
    for index, pool in enumerate(config.pools):
        for number, peer in enumerate(pool.peers):
            path = ("pools", index, "peers", number, "address")
            found.setdefault(parse_backend(peer.address).host, path)
    return {name: path for name, path in found.items() if name and not _is_address(name)}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _look_up(name: str) -> object:
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)


def _look_up_all(
    names: Sequence[str], look_up: Callable[[str], object], timeout_seconds: float
) -> dict[str, str]:
    """What went wrong with each name ("" for nothing); names without an answer in time are absent."""
    problems: dict[str, str] = {}

    def ask(name: str) -> None:
        try:
            look_up(name)
        except OSError as error:
            problems[name] = error.strerror or str(error)
        else:
            problems[name] = ""

    # Daemons: a resolver that hangs must not keep the program from ending.
    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + timeout_seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(problems)
