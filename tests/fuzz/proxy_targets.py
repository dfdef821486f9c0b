"""What is fuzzed of the PROXY protocol: a verdict does not depend on how octets are cut, and says what is there."""

import socket
from collections.abc import Callable

from worker.plane.proxy_doors import read, written

FAMILIES = {"TCP4": socket.AF_INET, "TCP6": socket.AF_INET6}


def header(data: bytes) -> None:
    """A cut header waits or is refused alike; what names somebody can be written again and read back."""
    said = read(data)
    cut = read(data[: sum(data) % (len(data) + 1)])
    assert cut is None or cut == said
    if not isinstance(said, tuple):
        return
    size, version, *names = said
    assert 0 < size <= min(len(data), 107 if version == 1 else 16 + 4096)
    assert read(data[:size]) == said
    if version == 1 and names[0]:
        words = data[:size].decode().split()
        for text, packed in zip(words[2:4], names[::2], strict=True):
            assert socket.inet_pton(FAMILIES[words[1]], text) == packed
        assert [str(port) for port in names[1::2]] == words[4:]
    again = read(written(*names))
    assert isinstance(again, tuple)
    assert list(again[2:]) == names


TARGETS: dict[str, Callable[[bytes], None]] = {"proxy": header}
NAME = b"\r\n\r\n\0\r\nQUIT\n"
INET = bytes.fromhex("0a010203c0000201ffff01bb")
SEEDS: dict[str, list[bytes]] = {
    "proxy": [
        b"PROXY TCP4 10.1.2.3 192.0.2.1 65535 443\r\nGET /",
        b"PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1024 80\r\n",
        b"PROXY UNKNOWN and more\r\n",
        NAME + b"\x20\0\0\0",
        NAME + b"\x21\x11\0\x0c" + INET,
        NAME + b"\x21\x11\0\x11" + INET + b"\x01\0\x02h2",
        NAME + b"\x21\x21\0\x24" + bytes(15) + b"\x01" + bytes(15) + b"\x02" + b"\0\x50\x01\xbb",
    ]
}
WORDS = [
    b"PROXY ",
    b"TCP4 ",
    b"TCP6 ",
    b"UNKNOWN",
    b"\r\n",
    b"::",
    b" 1",
    NAME,
    b"\x21",
    b"\x03\0\x04",
]
