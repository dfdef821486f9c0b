"""The configuration's numbers as the plane takes them: milliseconds, bytes, packed networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from pingpy.config.addresses import parse_listen
from pingpy.config.plan import ListenerPlan
from pingpy.config.schema import Config, Network

LOOPBACK = ("127.0.0.0/8", "::1/128")
# Stands for clients of Unix sockets, which have no address.
UNIX = (b"", 0)


def plane_settings(config: Config) -> dict[str, int]:
    """Every setting of the plane, by its name there."""
    limits, timeouts = config.limits, config.timeouts
    return {
        "head_bytes": limits.header_bytes,
        "header_count": limits.header_count,
        "request_line_bytes": limits.request_line_bytes,
        "header_ms": milliseconds(timeouts.header),
        "body_ms": milliseconds(timeouts.body),
        "idle_ms": milliseconds(timeouts.idle),
        "send_ms": milliseconds(timeouts.send),
        "tunnel_ms": milliseconds(timeouts.tunnel),
        "upstream_idle_ms": milliseconds(timeouts.upstream_idle),
        "upstream_ping_ms": milliseconds(timeouts.upstream_ping),
        "client_ping_ms": milliseconds(timeouts.client_ping) if timeouts.client_ping else 0,
        "handshake_ms": milliseconds(timeouts.handshake),
        "most_handshakes": limits.handshakes,
        "handshake_rate": limits.handshake_rate,
        "upstream_idle_count": limits.idle_upstream,
        "keepalive_requests": 0,
        "body_rate": limits.body_rate_bytes,
        "most_clients": limits.connections,
        "streams": limits.streams,
        "waiting_bytes": limits.waiting_bytes,
    }


def milliseconds(seconds: float) -> int:
    """At least one: 0 means "no limit" to the plane."""
    return max(round(seconds * 1000), 1)


def packed_networks(networks: Iterable[str]) -> list[tuple[bytes, int]]:
    """Networks as (packed address, bits); "loopback" and "unix" are the words of the configuration."""
    packed: list[tuple[bytes, int]] = []
    for text in networks:
        if text == "unix":
            packed.append(UNIX)
            continue
        for network in LOOPBACK if text == "loopback" else (text,):
            parsed = ipaddress.ip_network(network, strict=False)
            packed.append((parsed.network_address.packed, parsed.prefixlen))
    return packed


def announcing(network: Network) -> tuple[str, ...]:
    """The networks whose connections begin with a PROXY header."""
    header = network.proxy_protocol
    if header is None:
        return ()
    return network.trusted_proxies if header.from_ is None else header.from_


def announced_listeners(network: Network, plans: Sequence[ListenerPlan]) -> frozenset[int] | None:
    """The numbers of the listeners where that holds; None: everywhere. Never those that serve pages alone."""
    header = network.proxy_protocol
    if header is None:
        return None
    if not header.listeners:
        return frozenset(number for number, plan in enumerate(plans) if not plan.pages_only)
    wanted = {
        (a.host, a.port, a.unix_path) for text in header.listeners for a in parse_listen(text)
    }
    return frozenset(
        number
        for number, plan in enumerate(plans)
        if (plan.host, plan.port, plan.unix_path) in wanted
    )
