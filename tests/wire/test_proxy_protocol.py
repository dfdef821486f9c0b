"""The PROXY header: every form accepted or refused as its text says, cut anywhere; addresses as inet_pton has them."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.plane.proxy_doors import read, written

V4 = (b"\x0a\x01\x02\x03", 65535, b"\xc0\x00\x02\x01", 443)
V6 = (ipaddress.ip_address("2001:db8::1").packed, 1024, ipaddress.ip_address("::1").packed, 80)
NAME = b"\r\n\r\n\0\r\nQUIT\n"
NOBODY = (b"", 0, b"", 0)


def block(command: int, family: int, data: bytes = b"", length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return NAME + bytes([command, family]) + size.to_bytes(2, "big") + data


def ports(source: int, destination: int) -> bytes:
    return source.to_bytes(2, "big") + destination.to_bytes(2, "big")


INET = V4[0] + V4[2] + ports(V4[1], V4[3])
INET6 = V6[0] + V6[2] + ports(V6[1], V6[3])
UNIX = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def crc32c(data: bytes) -> int:
    """RFC 4960 appendix B, bit by bit."""
    value = 0xFFFFFFFF
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def with_checksum(data: bytes, wrong: int = 0) -> bytes:
    """An INET header with these TLVs, a checksum behind them."""
    zeroed = block(0x21, 0x11, INET + data + tlv(3, bytes(4)))
    return zeroed[:-4] + (crc32c(zeroed) ^ wrong).to_bytes(4, "big")


ACCEPTED = {
    "TCP4": (b"PROXY TCP4 10.1.2.3 192.0.2.1 65535 443\r\n", 1, V4),
    "TCP6": (b"PROXY TCP6 2001:db8::1 ::1 1024 80\r\n", 1, V6),
    "TCP6 in full": (
        b"PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0001 0:0:0:0:0:0:0:1 1024 80\r\n",
        1,
        V6,
    ),
    "TCP6, the longest": (
        b"PROXY TCP6 " + b" ".join([b"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] * 2)
        + b" 65535 65535\r\n",
        1,
        (b"\xff" * 16, 65535, b"\xff" * 16, 65535),
    ),
    "port 0": (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 0\r\n", 1, (bytes(4), 0, b"\xff" * 4, 0)),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", 1, NOBODY),
    "UNKNOWN and more": (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", 1, NOBODY),
    "LOCAL": (block(0x20, 0), 2, NOBODY),
    "LOCAL with addresses": (block(0x20, 0x11, INET), 2, NOBODY),
    "LOCAL with anything": (block(0x20, 0x11, b"?"), 2, NOBODY),
    "UNSPEC": (block(0x21, 0), 2, NOBODY),
    "UNSPEC with TLVs": (block(0x21, 0, tlv(4, b"pad")), 2, NOBODY),
    "INET": (block(0x21, 0x11, INET), 2, V4),
    "INET6": (block(0x21, 0x21, INET6), 2, V6),
    "UNIX": (block(0x21, 0x31, UNIX), 2, NOBODY),
    "INET with TLVs": (block(0x21, 0x11, INET + tlv(1, b"h2") + tlv(0xEA, b"")), 2, V4),
    "INET6 with TLVs": (block(0x21, 0x21, INET6 + tlv(0x20, bytes(40))), 2, V6),
    "as many TLVs as we read past": (block(0x21, 0x11, INET + tlv(4, bytes(4096 - 15))), 2, V4),
    "checksum": (with_checksum(b""), 2, V4),
    "checksum behind TLVs": (with_checksum(tlv(2, b"www.example.com")), 2, V4),
}  # fmt: skip


@pytest.mark.parametrize(("data", "version", "says"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(data: bytes, version: int, says: tuple[bytes, int, bytes, int]) -> None:
    assert read(data) == (len(data), version, *says)
    assert read(data + b"GET / HTTP/1.1\r\n") == (len(data), version, *says)
    assert read(data + data) == (len(data), version, *says)
    for cut in range(len(data)):
        assert read(data[:cut]) is None


SIGNATURE = "it begins with no PROXY protocol header"
LONG, LINE = "the PROXY line is longer than 107 bytes", "the PROXY line is malformed"
ADDRESS, PORT = "an address in the PROXY line is malformed", "a port in the PROXY line is malformed"
LENGTH = "the PROXY header has an impossible length"
FAMILY = "the PROXY header has an unknown address family"
COMMAND = "the PROXY header has an unknown command"
VERSION = "the PROXY header has an unknown version"
DATAGRAM, CRC = "the PROXY header speaks of datagrams", "the PROXY header's checksum is wrong"
TLV = "the PROXY header's extensions do not add up"

REFUSED = {
    "a request": (b"GET / HTTP/1.1\r\n\r\n", SIGNATURE),
    "a request that looks alike": (b"PROXX / HTTP/1.1\r\n\r\n", SIGNATURE),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", SIGNATURE),
    "an empty line": (b"\r\nGET / HTTP/1.1\r\n", SIGNATURE),
    "lower case": (b"proxy TCP4 10.1.2.3 192.0.2.1 1 2\r\n", SIGNATURE),
    "two spaces": (b"PROXY  TCP4 10.1.2.3 192.0.2.1 1 2\r\n", LINE),
    "a tab": (b"PROXY TCP4\t10.1.2.3 192.0.2.1 1 2\r\n", LINE),
    "a bare LF": (b"PROXY TCP4 10.1.2.3 192.0.2.1 1 2\n", LINE),
    "a bare CR": (b"PROXY TCP4 10.1.2.3 192.0.2.1 1 2\rx", LINE),
    "NUL": (b"PROXY UNKNOWN \0\r\n", LINE),
    "8-bit": (b"PROXY UNKNOWN \xe9\r\n", LINE),
    "no family": (b"PROXY \r\n", LINE),
    "another family": (b"PROXY UDP4 10.1.2.3 192.0.2.1 1 2\r\n", LINE),
    "UNKNOWN run on": (b"PROXY UNKNOWNX\r\n", LINE),
    "an endless line": (b"PROXY UNKNOWN " + b"x" * 200, LONG),
    "a line one too long": (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", LONG),
    "no addresses": (b"PROXY TCP4 \r\n", ADDRESS),
    "one address": (b"PROXY TCP4 10.1.2.3 1 2\r\n", ADDRESS),
    "leading zero in an address": (b"PROXY TCP4 010.1.2.3 192.0.2.1 1 2\r\n", ADDRESS),
    "too large an octet": (b"PROXY TCP4 10.1.2.256 192.0.2.1 1 2\r\n", ADDRESS),
    "three octets": (b"PROXY TCP4 10.1.2 192.0.2.1 1 2\r\n", ADDRESS),
    "five octets": (b"PROXY TCP4 10.1.2.3.4 192.0.2.1 1 2\r\n", ADDRESS),
    "IPv6 for IPv4": (b"PROXY TCP4 ::1 ::1 1 2\r\n", ADDRESS),
    "IPv4 for IPv6": (b"PROXY TCP6 10.1.2.3 192.0.2.1 1 2\r\n", ADDRESS),
    "a name": (b"PROXY TCP4 localhost 192.0.2.1 1 2\r\n", ADDRESS),
    "a zone": (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", ADDRESS),
    "no ports": (b"PROXY TCP4 10.1.2.3 192.0.2.1 \r\n", PORT),
    "one port": (b"PROXY TCP4 10.1.2.3 192.0.2.1 1\r\n", PORT),
    "an empty second port": (b"PROXY TCP4 10.1.2.3 192.0.2.1 1 \r\n", PORT),
    "too large a port": (b"PROXY TCP4 10.1.2.3 192.0.2.1 65536 2\r\n", PORT),
    "six digits": (b"PROXY TCP4 10.1.2.3 192.0.2.1 655350 2\r\n", PORT),
    "leading zero in a port": (b"PROXY TCP4 10.1.2.3 192.0.2.1 080 2\r\n", PORT),
    "a signed port": (b"PROXY TCP4 10.1.2.3 192.0.2.1 +1 2\r\n", PORT),
    "something behind": (b"PROXY TCP4 10.1.2.3 192.0.2.1 1 2 3\r\n", PORT),
    "a space behind": (b"PROXY TCP4 10.1.2.3 192.0.2.1 1 2 \r\n", PORT),
    "version 1 in binary": (block(0x11, 0x11, INET), VERSION),
    "version 3": (block(0x31, 0x11, INET), VERSION),
    "command 2": (block(0x22, 0x11, INET), COMMAND),
    "family 4": (block(0x21, 0x41, INET), FAMILY),
    "transport 3": (block(0x21, 0x13, INET), FAMILY),
    "a family without transport": (block(0x21, 0x10, INET), FAMILY),
    "a transport without family": (block(0x21, 0x01, INET), FAMILY),
    "UDP": (block(0x21, 0x12, INET), DATAGRAM),
    "UDP over IPv6": (block(0x21, 0x22, INET6), DATAGRAM),
    "too short for INET": (block(0x21, 0x11, INET[:-1]), LENGTH),
    "too short for INET6": (block(0x21, 0x21, INET6[:-1]), LENGTH),
    "too short for UNIX": (block(0x21, 0x31, UNIX[:-1]), LENGTH),
    "longer than we read": (block(0x21, 0x11, INET, 4097), LENGTH),
    "as long as can be": (block(0x20, 0, b"", 65535), LENGTH),
    "half a TLV": (block(0x21, 0x11, INET + b"\x04\x00"), TLV),
    "a TLV that runs on": (block(0x21, 0x11, INET + b"\x04\x00\x02a"), TLV),
    "checksum of another size": (block(0x21, 0x11, INET + tlv(3, bytes(5))), TLV),
    "two checksums": (block(0x21, 0x11, INET + tlv(3, bytes(4)) + tlv(3, bytes(4))), TLV),
    "a wrong checksum": (with_checksum(b"", wrong=1), CRC),
    "a wrong checksum behind TLVs": (with_checksum(tlv(1, b"h2"), wrong=1 << 31), CRC),
}


@pytest.mark.parametrize(("data", "cause"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, cause: str) -> None:
    assert read(data) == cause
    verdicts = [read(data[:cut]) for cut in range(len(data))]
    assert set(verdicts) <= {None, cause}
    assert verdicts == sorted(verdicts, key=lambda verdict: verdict is not None)


def test_what_we_write_we_read() -> None:
    for says in (V4, V6, NOBODY):
        assert read(written(*says)) == (len(written(*says)), 2, *says)
    assert written(*V4) == block(0x21, 0x11, INET)
    assert written(*V6) == block(0x21, 0x21, INET6)
    assert written(V4[0], 1, b"", 2) == block(0x21, 0)


def packed(family: int, text: str) -> bytes | None:
    try:
        return socket.inet_pton(family, text)
    except OSError:
        return None


V6_TEXT = st.one_of(
    st.text("0123456789abcdefF:.", max_size=42),
    st.lists(st.sampled_from(["0", "1", "ffff", "0ab", "", ":", "1.2.3.4"]), max_size=9).map(":".join),
    st.ip_addresses(v=6).map(str),
)  # fmt: skip
V4_TEXT = st.one_of(
    st.text("0123456789.", max_size=16),
    st.lists(st.integers(0, 300).map(str), max_size=5).map(".".join),
)


@given(V6_TEXT)
def test_ipv6_as_inet_pton_reads_it(text: str) -> None:
    said = read(b"PROXY TCP6 " + text.encode() + b" :: 1 2\r\n")
    assert (said[2] if isinstance(said, tuple) else None) == packed(socket.AF_INET6, text)


@given(V4_TEXT)
def test_ipv4_as_inet_pton_reads_it(text: str) -> None:
    said = read(b"PROXY TCP4 " + text.encode() + b" 0.0.0.0 1 2\r\n")
    assert (said[2] if isinstance(said, tuple) else None) == packed(socket.AF_INET, text)
