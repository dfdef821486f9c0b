"""Whose word about the client is taken: the networks of trusted proxies, and who is behind them."""

import socket

import cython
from cython.cimports.libc.string import memcmp, memcpy
from cython.cimports.worker.plane.h1_parse import F_X_FORWARDED_FOR

FORWARDED_FOR = cython.declare(cython.int, F_X_FORWARDED_FOR)


@cython.cclass
class TrustedNetworks:
    """The networks whose X-Forwarded-* fields are believed."""

    def __cinit__(self, networks):
        self.networks = [(bytes(address), int(bits)) for address, bits in networks]

    def contains(self, address, size):
        """Whether this packed address is in one of them."""
        whole: cython.int
        rest: cython.int
        mask: cython.int
        for packed, bits in self.networks:
            if len(packed) != size:
                continue
            network: bytes = packed
            raw: cython.p_const_uchar = network
            whole = bits // 8
            rest = bits % 8
            if whole and memcmp(raw, address, whole):  # a Unix socket's address is none at all
                continue
            mask = 0xFF00 >> rest & 0xFF
            if rest == 0 or raw[whole] & mask == address[whole] & mask:
                return True
        return False

    def find_client(self, arena, head, record):
        """From the right: the first address that is not a trusted proxy's, else the last that is one.

        Whatever stands left of something that is no address is anybody's invention.
        """
        i: cython.int
        texts: list = []
        found: bytes = b""
        if head.first[FORWARDED_FOR] < 0:
            return 0
        for i in range(head.first[FORWARDED_FOR], head.count):
            if head.fields[i].kind == FORWARDED_FOR and not head.fields[i].hop:
                texts += arena.take(
                    head.start + head.fields[i].value, head.fields[i].value_size
                ).split(b",")
        while texts:
            packed: bytes = packed_address(texts.pop().strip(b" \t"))
            if not packed:
                break
            found = packed
            if not self.contains(packed, cython.cast(cython.int, len(packed))):
                break
        if found:
            family = socket.AF_INET if len(found) == 4 else socket.AF_INET6
            text: bytes = socket.inet_ntop(family, found).encode()
            memcpy(record.client, cython.cast(cython.p_const_char, text), len(text))
            record.client_size = cython.cast(cython.int, len(text))
            record.client_port = 0
        return 0


@cython.cfunc
def packed_address(text: bytes) -> bytes:
    """An address as proxies write it, with or without a port; b"" when it is none."""
    if text.startswith(b"["):
        text = text[1:].partition(b"]")[0]
    elif text.count(b":") == 1:
        text = text.partition(b":")[0]
    try:
        name = text.decode("ascii")
        if ":" not in name:
            return socket.inet_pton(socket.AF_INET, name)
        packed: bytes = socket.inet_pton(socket.AF_INET6, name)
    except (OSError, ValueError):
        return b""
    return packed[12:] if packed.startswith(bytes(10) + b"\xff\xff") else packed
