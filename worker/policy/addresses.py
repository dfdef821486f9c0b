"""Peers of a pool from its configuration and the latest addresses of names, as the kernel wants them."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from pingpy.config.resolved import ResolvedPeer, ResolvedPool
from worker.policy.resolver import is_name

Answers = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a pool: what a plane's peer is made from, and told apart by."""

    address: str
    weight: int
    max_connections: int
    name: str
    authority: str
    tls: bool
    host: str = ""  # as in the URL, where the address was looked up

    def sockaddr(self) -> tuple[int, bytes]:
        """Family and struct sockaddr_in, _in6 or _un (ip(7), ipv6(7), unix(7))."""
        family: int
        if self.address.startswith("unix:"):
            family = socket.AF_UNIX
            path = os.fsencode(self.address.removeprefix("unix:"))
            return family, _family(family) + path + b"\0"
        host, _, port_text = self.address.rpartition(":")
        port = struct.pack("!H", int(port_text))
        address = ipaddress.ip_address(host.strip("[]"))
        if address.version == 4:
            family = socket.AF_INET
            return family, _family(family) + port + address.packed + bytes(8)
        family = socket.AF_INET6
        scope = socket.if_nametoindex(address.scope_id) if address.scope_id else 0
        packed = port + bytes(4) + address.packed + struct.pack("@I", scope)
        return family, _family(family) + packed


def _family(family: int) -> bytes:
    return family.to_bytes(2, sys.byteorder)


def endpoints(pool: ResolvedPool, answers: Answers) -> tuple[list[Endpoint], bool]:
    """The pool's addresses, each once (weights of equal ones are added), and whether a name has none yet."""
    found: dict[tuple[str, str | None], Endpoint] = {}
    pending = False
    for peer in pool.peers:
        addresses = addresses_of(peer, answers)
        pending = pending or not addresses
        for address in addresses:
            tls = peer.scheme == "https"
            # Over TLS two names at one address are two origins: each has its certificate.
            key = (address, peer.host if tls else None)
            before = found.get(key)
            weight = peer.weight + (before.weight if before else 0)
            found[key] = Endpoint(
                address=address,
                weight=min(weight, 65535),
                max_connections=peer.max_connections,
                name=peer.name,
                authority=peer.authority,
                tls=tls,
                host=peer.host,
            )
    return list(found.values()), pending


def addresses_of(peer: ResolvedPeer, answers: Answers) -> tuple[str, ...]:
    """A name's addresses as far as they are known, or the one address."""
    return answers.get(peer.address, ()) if is_name(peer) else (peer.address,)
