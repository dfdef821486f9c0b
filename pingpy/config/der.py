"""Walks DER (X.690): the tags, lengths and times that certificates and OCSP responses are made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

OCTETS: Final = 0x04
ENUMERATED: Final = 0x0A
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
EXPLICIT_0: Final = 0xA0


@dataclass(frozen=True, slots=True)
class Element:
    """One value: its tag, what is in it, and all of its bytes."""

    tag: int
    content: bytes
    whole: bytes


def elements(data: bytes) -> list[Element]:
    """The values that stand one after the other in these bytes. Raises ValueError when they are not whole."""
    found: list[Element] = []
    position = 0
    while position < len(data):
        start, end = _bounds(data, position)
        found.append(Element(data[position], data[start:end], data[position:end]))
        position = end
    return found


def first(data: bytes) -> Element:
    """The value that these bytes begin with. Raises ValueError."""
    start, end = _bounds(data, 0)
    return Element(data[0], data[start:end], data[:end])


def inside(element: Element, tag: int = SEQUENCE) -> list[Element]:
    """What a value of this tag is made of. Raises ValueError when it is of another."""
    if element.tag != tag:
        raise ValueError(f"expected a value of tag {tag:#x}, found {element.tag:#x}")
    return elements(element.content)


def moment(element: Element) -> datetime:
    """A time (RFC 5280 4.1.2.5). Raises ValueError.

    UTCTime has two digits for the year, 50-99 are of the last century.
    """
    if element.tag not in (UTC_TIME, GENERALIZED_TIME):
        raise ValueError(f"expected a time, found a value of tag {element.tag:#x}")
    text = element.content.decode("ascii")
    if element.tag == UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _bounds(data: bytes, position: int) -> tuple[int, int]:
    """Where the content of the value at a position begins and ends."""
    if position + 2 > len(data):
        raise ValueError("it ends in the middle of a value")
    length, start = data[position + 1], position + 2
    if length & 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise ValueError("a length is not in DER")
        length = int.from_bytes(data[start : start + size])
        start += size
    if start + length > len(data):
        raise ValueError("it ends in the middle of a value")
    return start, start + length
