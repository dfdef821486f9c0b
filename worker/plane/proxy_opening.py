"""Makes the PROXY header that opens a connection to a peer: on whose behalf it is."""

import socket

import cython
from cython.cimports.worker.plane.proxy_protocol import proxy_header
from cython.cimports.worker.plane.syscalls import (
    AF_INET,
    AF_INET6,
    getsockname,
    ntohs,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    socklen_t,
)

MAPPED = bytes(10) + b"\xff\xff"


def proxy_opening(x):
    """The client as the log shows it, and our own end of its connection."""
    raw: cython.uchar[128]
    size: socklen_t = 128
    v4: cython.pointer(sockaddr_in) = cython.cast(
        cython.pointer(sockaddr_in), cython.address(raw[0])
    )
    v6: cython.pointer(sockaddr_in6) = cython.cast(
        cython.pointer(sockaddr_in6), cython.address(raw[0])
    )
    source: bytes = packed(x.record.client[: x.record.client_size])
    destination: bytes = b""
    port: cython.int = 0
    v4.sin_family = 0
    getsockname(
        x.down.connection.fd,
        cython.cast(cython.pointer(sockaddr), cython.address(raw[0])),
        cython.address(size),
    )
    if v4.sin_family == AF_INET:
        destination = raw[4:8]
        port = ntohs(v4.sin_port)
    elif v4.sin_family == AF_INET6:
        destination = raw[8:24]
        port = ntohs(v6.sin6_port)
    if not destination:  # told by a proxy on a Unix socket: of our own end there is no address
        destination = bytes(len(source))
    if len(source) == len(destination):
        return proxy_header(source, x.record.client_port, destination, port)
    if not source:
        return proxy_header(b"", 0, b"", 0)
    return proxy_header(wide(source), x.record.client_port, wide(destination), port)


@cython.cfunc
def packed(text: bytes) -> bytes:
    """An address, or b"" for a Unix socket's client."""
    if text.startswith(b"unix:"):
        return b""
    name = text.decode("ascii")
    return socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)


@cython.cfunc
def wide(address: bytes) -> bytes:
    """As an address of IPv6 (RFC 4291 2.5.5.2)."""
    return address if len(address) == 16 else MAPPED + address
