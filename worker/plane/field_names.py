"""Remembers the field names that came lately, so that a name seen before needs no checking and no hashing."""

import cython
from cython.cimports.worker.plane.octets import eight


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def mask_of(octets: cython.ulonglong) -> cython.ulonglong:
    """The lowest so many octets of a number."""
    whole: cython.ulonglong = 0xFFFFFFFFFFFFFFFF
    return whole if octets >= 8 else ~(whole << (octets * 8))


def remember_name(view, at, limit, size, hashed, kind):
    """Names longer than the table's, and those that end near the limit, are not kept."""
    first: cython.ulonglong
    second: cython.ulonglong
    entry: cython.pointer(KnownName)
    if at + KNOWN_BYTES > limit or size >= KNOWN_BYTES:
        return 0
    first = eight(view, at) & mask_of(size + 1)
    second = eight(view, at + 8) & mask_of(size - 7) if size > 7 else 0
    entry = known_place(first, second)
    entry.first = first
    entry.second = second
    entry.third_mask = mask_of(size - 15) if size > 15 else 0
    entry.third = eight(view, at + 16) & entry.third_mask
    entry.hash = hashed
    entry.kind = kind
    entry.size = size
    return 0
