"""Hashes of bytes: CRC-32 and nginx's hash of an address, for balancing; FNV-1a of a field's name."""

import array
import zlib

import cython

CRC_TABLE = cython.declare(
    cython.uint[::1],
    array.array("I", [zlib.crc32(bytes([i]), 0xFFFFFFFF) ^ 0xFFFFFFFF for i in range(256)]),
)

ONES = cython.declare(cython.uint, 0xFFFFFFFF)


def name_hash(name: bytes):
    """FNV-1a, 32 bits, of a field's name in lower case: what the head scanner puts into Field.name_hash."""
    hashed: cython.uint = 0x811C9DC5
    byte: cython.uchar
    for byte in name.lower():
        hashed = (hashed ^ byte) * 0x01000193
    return hashed


def crc32_view(view, at, size):
    """CRC-32 as zlib computes it."""
    value: cython.uint = ONES
    place: cython.longlong
    for place in range(at, at + size):
        value = CRC_TABLE[(value ^ view[place]) & 0xFF] ^ (value >> 8)
    return value ^ ONES


def address_hash(text):
    """nginx's ip_hash: the first three octets of an IPv4 address, all of an IPv6 address; others hash alike."""
    octets: cython.uchar[16]
    count: cython.int = 0
    place: cython.int
    hashed: cython.uint = 89
    if inet_pton(AF_INET, text, cython.address(octets[0])) == 1:
        count = 3
    elif inet_pton(AF_INET6, text, cython.address(octets[0])) == 1:
        count = 16
    for place in range(count):
        hashed = (hashed * 113 + octets[place]) % 6271
    return hashed


def crc32(data: bytes):
    """crc32_view(), from Python."""
    return crc32_view(bytearray(data), 0, len(data))


def hash_address(text: bytes):
    """address_hash(), from Python."""
    return address_hash(cython.cast(cython.p_const_char, text))
