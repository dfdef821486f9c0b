"""What this version cannot do yet: the keys that are reserved for it, and the parts that are parsed only."""

from __future__ import annotations

_ROUTE_KEYS = frozenset(
    [
        "auth",
        "cache",
        "compress",
        "cookie",
        "cors",
        "mirror",
        "priority",
        "rate_limit",
        "root",
        "split",
        "tracing",
    ]
)

# Table -> keys that the design names for a later version. They are refused, but with a better text.
LATER: dict[str, frozenset[str]] = {
    "": frozenset(
        [
            "acme",
            "admin",
            "auth",
            "cache",
            "compress",
            "cors",
            "discovery",
            "geoip",
            "rate_limit",
            "static",
            "tracing",
            "waf",
        ]
    ),
    "network": frozenset({"tcp_fast_open"}),
    "proxy": _ROUTE_KEYS,
    "proxy.rules": _ROUTE_KEYS,
    "load_balancing": frozenset({"discovery", "outlier", "slow_start", "sticky"}),
    "pools": frozenset({"discovery", "outlier", "slow_start", "sticky"}),
    "log": frozenset({"journald", "syslog"}),
}


def is_for_later(table: str, key: str) -> bool:
    """Whether `key` of `table` (its dotted name without indexes) is reserved for a later version."""
    return key in LATER.get(table, ())
