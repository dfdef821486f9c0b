"""The reasons for a retry that `retry.on` may list."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from pingpy.config.values import parse_statuses, refuse, shown

_WORDS = ("connect", "closed", "timeout")


def parse_retry_reasons(value: Any) -> tuple[int | str, ...]:
    """Words for what went wrong on the way, and statuses that the origin answered."""
    reasons: list[int | str] = []
    for item in value if isinstance(value, list) else [value]:
        if item in _WORDS:
            reasons.append(item)
        elif isinstance(item, int) or (isinstance(item, str) and item.endswith("xx")):
            reasons.extend(parse_statuses(item))
        else:
            refuse(f'expected "connect", "closed", "timeout" or a status, found {shown(item)}')
    return tuple(reasons)


RetryReasons = Annotated[
    tuple[int | str, ...],
    PlainValidator(parse_retry_reasons),
    WithJsonSchema({"type": "array", "items": {"type": ["string", "integer"]}}),
]
