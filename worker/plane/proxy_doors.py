"""Lets Python call the PROXY protocol's reader and writer: for tests and fuzzers, never on a connection."""

import cython
from cython.cimports.worker.plane.proxy_protocol import (
    ProxyHead,
    proxy_fault_text,
    proxy_header,
    read_proxy,
)


def read(data: bytes):
    """(size, version, source, source port, destination, its port); None: more is needed; a text: why it is refused."""
    view: cython.uchar[::1] = bytearray(data)
    head: ProxyHead
    size: cython.int = read_proxy(view, 0, len(data), cython.address(head))
    if size == 0:
        return None
    if size < 0:
        return proxy_fault_text(head.fault)
    source: bytes = head.source[: head.size]
    destination: bytes = head.destination[: head.size]
    return size, head.version, source, head.source_port, destination, head.destination_port


def written(source: bytes, source_port: int, destination: bytes, destination_port: int) -> bytes:
    """A header of version 2."""
    return proxy_header(source, source_port, destination, destination_port)
