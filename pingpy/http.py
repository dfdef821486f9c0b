"""Headers, Request and Response as a hook sees them: field names and values are bytes, in the order they were sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Text = bytes | str

# RFC 9110 5.6.2: a field name is a token. RFC 9110 5.5: a value holds visible characters, obs-text, spaces and tabs;
# CR, LF and NUL above all would let a hook split a message by accident.
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


def _name(name: Text) -> bytes:
    raw = name.encode("ascii", "replace") if isinstance(name, str) else name
    if _TOKEN.fullmatch(raw) is None:
        raise ValueError(f"not a field name: {name!r}")
    return raw


def _value(value: Text) -> bytes:
    raw = (value.encode("utf-8") if isinstance(value, str) else value).strip(b" \t")
    if _VALUE.fullmatch(raw) is None:
        raise ValueError(f"a field value cannot hold control characters: {value!r}")
    return raw


def _key(name: Text) -> bytes:
    return (name.encode("latin-1", "replace") if isinstance(name, str) else name).lower()


class Headers:
    """The fields of one message. Names compare without case; str arguments are accepted, bytes come back."""

    __slots__ = ("_fields", "changed")

    def __init__(self, fields: Iterable[tuple[Text, Text]] = ()) -> None:
        self._fields = [(_name(name), _value(value)) for name, value in fields]
        self.changed = False

    @classmethod
    def from_wire(cls, fields: list[tuple[bytes, bytes]]) -> Headers:
        """Fields that a parser has checked already; the list is taken over, not copied."""
        headers = cls.__new__(cls)
        headers._fields = fields
        headers.changed = False
        return headers

    def get(self, name: Text, default: bytes | None = None) -> bytes | None:
        """The first field of that name."""
        key = _key(name)
        for field, value in self._fields:
            if field.lower() == key:
                return value
        return default

    def getlist(self, name: Text) -> list[bytes]:
        """Every field of that name, in order."""
        key = _key(name)
        return [value for field, value in self._fields if field.lower() == key]

    def set(self, name: Text, value: Text) -> None:
        """Replace all fields of that name by one, at the place of the first."""
        raw, text, key = _name(name), _value(value), _key(name)
        kept: list[tuple[bytes, bytes]] = []
        placed = False
        for item in self._fields:
            if item[0].lower() != key:
                kept.append(item)
            elif not placed:
                kept.append((raw, text))
                placed = True
        if not placed:
            kept.append((raw, text))
        self._fields = kept
        self.changed = True

    def add(self, name: Text, value: Text) -> None:
        """Append one more field, whatever is there."""
        self._fields.append((_name(name), _value(value)))
        self.changed = True

    def remove(self, name: Text) -> int:
        """Take all fields of that name away; returns how many there were."""
        key = _key(name)
        kept = [item for item in self._fields if item[0].lower() != key]
        removed = len(self._fields) - len(kept)
        if removed:
            self._fields = kept
            self.changed = True
        return removed

    def items(self) -> list[tuple[bytes, bytes]]:
        """A copy of the fields as (name, value), in order, names as they were sent."""
        return list(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, (bytes, str)) and self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        fields = ", ".join(f"{name.decode('latin-1')}: {value!r}" for name, value in self._fields)
        return f"<Headers {fields}>"


class Request:
    """A request head. `method`, `target` and `version` are ASCII by the time a hook sees them, hence str."""

    __slots__ = ("headers", "method", "target", "version")

    def __init__(self, method: str, target: str, headers: Headers, version: str = "1.1") -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.version = version

    def __repr__(self) -> str:
        return (
            f"<Request {self.method} {self.target} HTTP/{self.version} fields={len(self.headers)}>"
        )


class Response:
    """A response head; `body` counts only where a hook answers early by returning one.

    Content-Length and Date are pingpy's to write: what a hook sets for them is dropped.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: Headers | Iterable[tuple[Text, Text]] = (),
        body: Text = b"",
    ) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"a final status is 200 to 599, not {status!r}")
        self.status = status
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body.encode("utf-8") if isinstance(body, str) else body

    def __repr__(self) -> str:
        return f"<Response {self.status} fields={len(self.headers)} body={len(self.body)}>"
