"""How single values are written: durations, sizes, addresses of listeners, statuses, networks."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

ERROR_TYPE = "pingpy"  # marks the errors whose text is already ours

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_HELP = 'a duration is a number of seconds, or a string such as "250ms", "10s", "5m"'
MAX_SECONDS = 366 * 86400.0

_SIZE = re.compile(r"(\d+)\s*(B|[KMG]i?B|[kKmMgG])?")
_UNIT_BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_DECIMAL_BYTES = {"K": 10**3, "M": 10**6, "G": 10**9}
_SIZE_HELP = 'a size is a number of bytes, or a string such as "64KiB", "1MiB"'
MAX_BYTES = 1 << 50


def refuse(message: str, advice: str = "") -> NoReturn:
    """Refuses the value being validated, in our own words."""
    raise PydanticCustomError(ERROR_TYPE, "{message}", {"message": message, "advice": advice})


def shown(value: Any) -> str:
    """A value as it is named in a message: with its kind, and cut when it is long."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        text = value if len(value) <= 60 else value[:57] + "..."
        return json.dumps(text, ensure_ascii=False)
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    return str(value)


def parse_seconds(value: Any) -> float:
    """A duration in seconds, from a number or from a string with a unit."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            refuse(f"expected a duration, found {shown(value)}", _DURATION_HELP)
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        refuse(f"expected a duration, found {shown(value)}", _DURATION_HELP)
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_SECONDS:
        refuse(f"expected a duration from 0 to 366 days, found {shown(value)}", _DURATION_HELP)
    return seconds


def parse_positive_seconds(value: Any) -> float:
    """A duration that must not be zero: every deadline is finite and is more than an instant."""
    seconds = parse_seconds(value)
    if seconds < 0.001:
        refuse(f"expected a duration of at least 1ms, found {shown(value)}", _DURATION_HELP)
    return seconds


def parse_ticket_seconds(value: Any) -> float:
    """How long a session may be resumed: clients take no more than 7 days (RFC 8446 4.6.1), and count whole seconds."""
    seconds = parse_seconds(value)
    if seconds and not 1 <= seconds <= 7 * 86400:
        refuse(f"expected a duration from 1s to 7d, or 0, found {shown(value)}", _DURATION_HELP)
    return seconds


def parse_bytes(value: Any) -> int:
    """A size in bytes; KiB, MiB, GiB (K, M, G as nginx writes them) are powers of 1024, KB is 1000."""
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            refuse(f"expected a size, found {shown(value)}", _SIZE_HELP)
        unit = match[2] or ""
        if len(unit) == 2:
            size = int(match[1]) * _DECIMAL_BYTES[unit[0]]
        else:
            size = int(match[1]) * _UNIT_BYTES[unit[:1].lower()]
    elif isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        refuse(f"expected a size, found {shown(value)}", _SIZE_HELP)
    if not 0 <= size <= MAX_BYTES:
        refuse(f"expected a size from 0 to 1 PiB, found {shown(value)}", _SIZE_HELP)
    return size


def parse_head_bytes(value: Any) -> int:
    """The size of a head or of its first line: enough for any request, and no burden when held."""
    size = parse_bytes(value)
    if not 1024 <= size <= 1 << 20:
        refuse(f"expected a size from 1KiB to 1MiB, found {shown(value)}", _SIZE_HELP)
    return size


def parse_worker_count(value: Any) -> int | None:
    """A number of worker processes; None means one per allowed CPU."""
    if value == "auto":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 512:
        refuse(f'expected a whole number from 1 to 512, or "auto", found {shown(value)}')
    return value


def parse_log_level(value: Any) -> str:
    """One of the four levels, in lower case."""
    level = value.lower() if isinstance(value, str) else ""
    if level == "warning":
        return "warn"
    if level not in ("debug", "info", "warn", "error"):
        refuse(f'expected "debug", "info", "warn" or "error", found {shown(value)}')
    return level


def check_log_target(text: str) -> str:
    """Where a log goes; what other servers write for syslog must not become a file of that name."""
    if text.startswith(("syslog:", "journald")):
        refuse(f"a log cannot go to {shown(text)} in this version", 'name a file, or "stderr"')
    return text


def parse_statuses(value: Any) -> tuple[int | str, ...]:
    """Statuses as a number, a class such as "2xx", or a list of both."""
    items = value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, str) and re.fullmatch("[1-5]xx", item):
            continue
        if isinstance(item, int) and not isinstance(item, bool) and 100 <= item <= 599:
            continue
        refuse(f'expected a status from 100 to 599, or a class such as "2xx", found {shown(item)}')
    if not items:
        refuse("expected at least one status, found an empty list")
    return tuple(items)


def status_set(statuses: tuple[int | str, ...]) -> frozenset[int]:
    """The single statuses that numbers and classes stand for."""
    found: set[int] = set()
    for item in statuses:
        if isinstance(item, int):
            found.add(item)
        else:
            first = int(item[0]) * 100
            found.update(range(first, first + 100))
    return frozenset(found)


def parse_networks(value: Any) -> tuple[str, ...]:
    """Addresses and networks in CIDR form; "loopback" and "unix" are words for the obvious."""
    items = value if isinstance(value, list) else [value]
    for item in items:
        if item in ("loopback", "unix"):
            continue
        try:
            if not isinstance(item, str):
                raise ValueError
            ipaddress.ip_network(item, strict=False)
        except ValueError:
            refuse(
                f"expected an address or a network, found {shown(item)}",
                'write "10.0.0.0/8", "2001:db8::/32", a single address, "loopback" or "unix"',
            )
    return tuple(items)


def parse_users(value: Any) -> tuple[str | int, ...]:
    """Users by name or by number."""
    items = value if isinstance(value, list) else [value]
    for item in items:
        number = isinstance(item, int) and not isinstance(item, bool) and item >= 0
        if not number and not (isinstance(item, str) and item):
            refuse(f"expected the name or number of a user, found {shown(item)}")
    return tuple(items)


_NUMBER_OR_TEXT: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}
_WHOLE_OR_TEXT: dict[str, Any] = {"anyOf": [{"type": "integer"}, {"type": "string"}]}

Seconds = Annotated[float, PlainValidator(parse_seconds), WithJsonSchema(_NUMBER_OR_TEXT)]
PositiveSeconds = Annotated[
    float, PlainValidator(parse_positive_seconds), WithJsonSchema(_NUMBER_OR_TEXT)
]
TicketSeconds = Annotated[
    float, PlainValidator(parse_ticket_seconds), WithJsonSchema(_NUMBER_OR_TEXT)
]
Bytes = Annotated[int, PlainValidator(parse_bytes), WithJsonSchema(_WHOLE_OR_TEXT)]
HeadBytes = Annotated[int, PlainValidator(parse_head_bytes), WithJsonSchema(_WHOLE_OR_TEXT)]
WorkerCount = Annotated[
    int | None,
    PlainValidator(parse_worker_count),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]
# Key exchange groups of TLS, as OpenSSL spells them.
Group = Literal[
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "X25519",
    "X448",
    "P-256",
    "P-384",
    "P-521",
]
LogTarget = Annotated[str, AfterValidator(check_log_target)]
LogLevel = Annotated[
    str,
    PlainValidator(parse_log_level),
    WithJsonSchema({"enum": ["debug", "info", "warn", "warning", "error"]}),
]
Statuses = Annotated[
    tuple[int | str, ...],
    PlainValidator(parse_statuses),
    WithJsonSchema({"anyOf": [_WHOLE_OR_TEXT, {"type": "array", "items": _WHOLE_OR_TEXT}]}),
]
Networks = Annotated[
    tuple[str, ...],
    PlainValidator(parse_networks),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
Users = Annotated[
    tuple[str | int, ...],
    PlainValidator(parse_users),
    WithJsonSchema({"type": "array", "items": {"type": ["string", "integer"]}}),
]
