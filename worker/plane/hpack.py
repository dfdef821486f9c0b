"""Decodes HPACK field blocks; the dynamic table of either direction, with bounded memory."""

import cython
from cython.cimports.worker.plane.hpack_tables import (
    HUFFMAN,
    HUFFMAN_EMITS,
    HUFFMAN_FAILS,
    HUFFMAN_MAY_END,
    STATIC,
    STATIC_ENTRIES,
    STATIC_TEXT,
)
from cython.cimports.worker.plane.octets import copy_octets

ENTRY_BYTES = cython.declare(
    cython.int, 32
)  # RFC 7541 4.1: what an entry counts besides its octets


@cython.cclass
class Table:
    """The dynamic table (RFC 7541 2.3.2): entries in a ring, their octets in a store twice the table's size."""

    def __init__(self, limit: int = 4096):
        self.store = bytearray(2 * TABLE_BYTES)
        self.newest = self.count = self.tail = self.size = 0
        self.limit = min(limit, TABLE_BYTES)

    def resize(self, limit):
        """Evict what the new limit has no room for."""
        self.limit = limit
        return self.make_room(0)

    def make_room(self, needed):
        """Evict the oldest entries until `needed` fits; when it cannot, none stays (RFC 7541 4.4)."""
        entry: cython.pointer(Entry)
        while self.count and self.size + needed > self.limit:
            entry = self.entry(self.count - 1)
            self.size -= entry.name_size + entry.value_size + ENTRY_BYTES
            self.count -= 1
        return 0

    def entry(self, index):
        """The entry at this index of the dynamic table; 0 is the newest."""
        if index < 0 or index >= self.count:
            raise IndexError("no such entry")
        return cython.address(self.entries[(self.newest - index) & (TABLE_ENTRIES - 1)])

    def insert(self, view, name, name_size, value, value_size, hashed):
        """Add an entry, or empty the table when it is larger than that."""
        octets: cython.int = name_size + value_size
        index: cython.int
        entry: cython.pointer(Entry)
        start: cython.int
        self.make_room(octets + ENTRY_BYTES)
        if self.size + octets + ENTRY_BYTES > self.limit:
            return 0
        if self.tail + octets > 2 * TABLE_BYTES:
            # the entries that are left stand together, oldest first, and take less than half of the store
            start = self.entry(self.count - 1).at if self.count else self.tail
            copy_octets(self.store, 0, self.store, start, self.tail - start)
            self.tail -= start
            for index in range(self.count):
                self.entry(index).at -= start
        self.newest = (self.newest + 1) & (TABLE_ENTRIES - 1)
        self.count += 1
        entry = self.entry(0)
        entry.at = self.tail
        entry.name_size = name_size
        entry.value_size = value_size
        entry.name_hash = hashed
        copy_octets(self.store, self.tail, view, name, name_size)
        copy_octets(self.store, self.tail + name_size, view, value, value_size)
        self.tail += octets
        self.size += octets + ENTRY_BYTES
        return 0


@cython.cclass
class Decoder(Table):
    """Reads field blocks."""

    def decode(self, view, start, end, out, out_end, pairs, most, list_bytes):
        """RFC 7541 3.2 and 6; the contract is in the .pxd."""
        count: cython.int = 0
        first: cython.int
        left: cython.longlong = list_bytes
        self.view = view
        self.at = start
        self.end = end
        self.out = out
        self.out_end = out_end
        self.fault = HPACK_OK
        while self.at < end:
            first = view[self.at]
            self.at += 1
            if first & 0xE0 == 0x20:
                # RFC 7541 4.2: a change of the table's size stands before the first field
                first = cython.cast(cython.int, min(self.number(first, 0x1F), TABLE_BYTES + 1))
                if count or first < 0 or first > TABLE_BYTES:
                    return self.refuse(HPACK_BAD)
                self.resize(first)
                continue
            if count == most:
                return self.refuse(HPACK_TOO_MUCH)
            if self.field(first, cython.address(pairs[count])) < 0:
                return -2
            left -= pairs[count].name_size + pairs[count].value_size + ENTRY_BYTES
            if left < 0:
                return self.refuse(HPACK_TOO_MUCH)
            count += 1
        return count

    def refuse(self, fault):
        """Note why; the first reason stays."""
        if not self.fault:
            self.fault = fault
        return -2

    def field(self, first, pair):
        """One representation (RFC 7541 6), whose first octet this is."""
        index: cython.longlong
        pair.never = 0
        if first & 0x80:
            index = self.number(first, 0x7F)
            if index <= 0 or index > STATIC_ENTRIES + self.count:
                return self.refuse(HPACK_BAD)
            return self.indexed_text(cython.cast(cython.int, index), pair, True)
        index = self.number(first, 0x3F if first & 0x40 else 0x0F)
        if index < 0 or index > STATIC_ENTRIES + self.count:
            return self.refuse(HPACK_BAD)
        if index:
            if self.indexed_text(cython.cast(cython.int, index), pair, False) < 0:
                return -2
        else:
            pair.name_size = self.literal(cython.address(pair.name))
            if pair.name_size < 0:
                return -2
        pair.value_size = self.literal(cython.address(pair.value))
        if pair.value_size < 0:
            return -2
        if first & 0x40:
            return self.insert(self.view, pair.name, pair.name_size, pair.value, pair.value_size, 0)
        pair.never = 1 if first & 0x10 else 0
        return 0

    def indexed_text(self, index, pair, with_value):
        """Copy an entry's name, and its value if wanted, out of the tables."""
        entry: cython.pointer(Entry)
        size: cython.int
        at: cython.int
        source: cython.uchar[::1]
        if index <= STATIC_ENTRIES:
            source = STATIC_TEXT
            at = STATIC[index].at
            pair.name_size = STATIC[index].name_size
            pair.value_size = STATIC[index].value_size
        else:
            source = self.store
            entry = self.entry(index - STATIC_ENTRIES - 1)
            at = entry.at
            pair.name_size = entry.name_size
            pair.value_size = entry.value_size
        size = pair.name_size + pair.value_size if with_value else pair.name_size
        if self.out + size > self.out_end:
            return self.refuse(HPACK_TOO_MUCH)
        copy_octets(self.view, self.out, source, at, size)
        pair.name = self.out
        pair.value = self.out + pair.name_size
        self.out += size
        return 0

    def literal(self, at):
        """A string (RFC 7541 5.2), plain or Huffman-coded, copied to `out`; returns its size."""
        first: cython.int
        size: cython.longlong
        if self.at >= self.end:
            return self.refuse(HPACK_BAD)
        first = self.view[self.at]
        self.at += 1
        size = self.number(first, 0x7F)
        if size < 0 or size > self.end - self.at:
            return self.refuse(HPACK_BAD)
        at[0] = self.out
        if first & 0x80:
            return self.unhuffman(cython.cast(cython.int, size))
        if self.out + size > self.out_end:
            return self.refuse(HPACK_TOO_MUCH)
        copy_octets(self.view, self.out, self.view, self.at, size)
        self.at += size
        self.out += size
        return cython.cast(cython.int, size)

    def unhuffman(self, size):
        """Decode Huffman-coded octets to `out`; returns how many came of them."""
        state: cython.int = 0
        flags: cython.int = HUFFMAN_MAY_END
        octet: cython.int
        half: cython.int
        nibble: cython.int
        out: cython.longlong = self.out
        i: cython.longlong
        for i in range(self.at, self.at + size):
            octet = self.view[i]
            for half in range(2):
                nibble = octet >> 4 if half == 0 else octet & 0x0F
                flags = HUFFMAN[state][nibble].flags
                if flags & HUFFMAN_EMITS:
                    if out >= self.out_end:
                        return self.refuse(HPACK_TOO_MUCH)
                    self.view[out] = HUFFMAN[state][nibble].symbol
                    out += 1
                if flags & HUFFMAN_FAILS:
                    return self.refuse(HPACK_BAD)
                state = HUFFMAN[state][nibble].state
        if not flags & HUFFMAN_MAY_END:
            return self.refuse(HPACK_BAD)
        self.at += size
        octet = cython.cast(cython.int, out - self.out)
        self.out = out
        return octet

    def number(self, first, mask):
        """An integer (RFC 7541 5.1) whose first octet this is; at most 2**28, else -2."""
        value: cython.longlong = first & mask
        shift: cython.int = 0
        octet: cython.int
        if value < mask:
            return value
        while self.at < self.end and shift <= 21:
            octet = self.view[self.at]
            self.at += 1
            value += cython.cast(cython.longlong, octet & 0x7F) << shift
            shift += 7
            if octet < 0x80:
                return value
        return self.refuse(HPACK_BAD)
