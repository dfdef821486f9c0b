"""Every listening socket: made here once, kept across reloads, handed to workers, never shut down.

A TCP address has one socket per worker (slots, SO_REUSEPORT) or a single shared one. Sockets are bound
when a candidate needs them and listen only when its workers are about to accept, so that a candidate
that fails leaves no queue behind. Reused by identity: {kind, host, port}. Two rules keep queues safe:
never shutdown() (it stops every process that shares the socket), and a slot is closed only together
with its whole address.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from pingpy.config.plan import ListenerPlan


class BindError(Exception):
    """An address cannot be had; the text says what to do."""


@dataclass(slots=True)
class Group:
    """The sockets of one address, as raw descriptors; index is the slot."""

    id: str
    kind: str
    fds: list[int] = field(default_factory=list)
    listening: set[int] = field(default_factory=set)
    origin: str = "bound"  # or "systemd", "inherited"
    reuse_port: bool = False
    unix_path: str = ""


class Listeners:
    """The table of groups; all descriptors are ours."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.warnings: list[str] = []

    def adopt(self, id_: str, kind: str, fd: int, origin: str, *, unix_path: str = "") -> None:
        """Take over a socket that somebody else made; it listens already."""
        group = self.groups.setdefault(id_, Group(id_, kind, origin=origin, unix_path=unix_path))
        group.reuse_port = kind != "unix" and _option(fd, socket.SO_REUSEPORT)
        group.listening.add(len(group.fds))
        group.fds.append(fd)

    def bind(self, plans: Iterable[ListenerPlan], worker_count: int) -> int:
        """Make what is missing; returns the most slots an address has (0: all are shared).

        Raises BindError, after closing what this call has made.
        """
        made: list[tuple[Group, int]] = []
        self.warnings = []
        wanted = list(plans)
        for plan in wanted:
            group = self.groups.get(plan.id)
            if group is None:
                group = self.groups[plan.id] = Group(plan.id, plan.kind, unix_path=plan.unix_path)
            try:
                self._complete(group, plan, worker_count, made)
            except OSError as error:
                if _no_ipv6(error, plan) and len(wanted) > 1:
                    self.warnings.append(explain(error, plan))
                    continue
                for made_group, fd in reversed(made):
                    self._close_slot(made_group, fd)
                self._drop_empty()
                raise BindError(explain(error, plan)) from error
        self._drop_empty()
        if wanted and not any(p.id in self.groups for p in wanted):
            raise BindError("; ".join(self.warnings))
        return self.slot_count(p.id for p in wanted)

    def _complete(
        self, group: Group, plan: ListenerPlan, worker_count: int, made: list[tuple[Group, int]]
    ) -> None:
        slots = plan.mode == "slots" and plan.kind != "unix"
        if group.fds and not (slots and group.reuse_port and group.origin != "systemd"):
            return
        count = worker_count if slots else 1
        if not group.fds and plan.kind != "unix":
            refuse_if_taken(plan)
        while len(group.fds) < count:
            fd = make_socket(plan, reuse_port=plan.kind != "unix")
            group.reuse_port = plan.kind != "unix"
            group.fds.append(fd)
            made.append((group, fd))

    def slot_count(self, ids: Iterable[str]) -> int:
        """The most slots that any of these addresses has; 0 when all are shared."""
        counts = [len(self.groups[i].fds) for i in ids if i in self.groups]
        return max((c for c in counts if c > 1), default=0)

    def listen(self, plans: Iterable[ListenerPlan]) -> None:
        """Start the queues of these addresses; raises BindError."""
        for plan in plans:
            group = self.groups.get(plan.id)
            if group is None:
                continue
            for slot, fd in enumerate(group.fds):
                if slot not in group.listening:
                    try:
                        _listen(fd, plan.backlog)
                    except OSError as error:
                        raise BindError(explain(error, plan)) from error
                    group.listening.add(slot)

    def keep_only(self, ids: Iterable[str]) -> list[str]:
        """Close every address that no live plan names; returns them."""
        wanted = set(ids)
        gone = [id_ for id_ in self.groups if id_ not in wanted]
        for id_ in gone:
            group = self.groups.pop(id_)
            for fd in group.fds:
                os.close(fd)
            if group.unix_path and group.origin != "systemd":
                with contextlib.suppress(OSError):
                    os.unlink(group.unix_path)
        return gone

    def drop_silent_slots(self) -> None:
        """Close sockets that never listened: no client can be in their queues."""
        for group in self.groups.values():
            while group.fds and len(group.fds) - 1 not in group.listening:
                os.close(group.fds.pop())
        self._drop_empty()

    def close(self, *, unlink: bool) -> None:
        """The end: close all; Unix paths stay for a successor, and systemd's always."""
        for group in self.groups.values():
            for fd in group.fds:
                os.close(fd)
            if unlink and group.unix_path and group.origin != "systemd":
                with contextlib.suppress(OSError):
                    os.unlink(group.unix_path)
        self.groups.clear()

    def _close_slot(self, group: Group, fd: int) -> None:
        group.listening.discard(group.fds.index(fd))
        group.fds.remove(fd)
        os.close(fd)
        if group.unix_path and not group.fds:
            with contextlib.suppress(OSError):
                os.unlink(group.unix_path)

    def _drop_empty(self) -> None:
        for id_ in [id_ for id_, group in self.groups.items() if not group.fds]:
            del self.groups[id_]


def make_socket(plan: ListenerPlan, *, reuse_port: bool) -> int:
    """A bound socket that does not listen yet, as a raw descriptor; raises OSError."""
    families = {"tcp4": socket.AF_INET, "tcp6": socket.AF_INET6, "unix": socket.AF_UNIX}
    sock = socket.socket(families[plan.kind], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if plan.kind == "unix":
            _clear_stale_path(plan.unix_path)
            sock.bind(plan.unix_path)
            os.chmod(plan.unix_path, 0o666)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if plan.kind == "tcp6":
                # An explicit IPv6 listener is IPv6 only, else 0.0.0.0 and [::] of one port collide.
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((plan.host, plan.port))
    except BaseException:
        sock.close()
        raise
    return sock.detach()


def refuse_if_taken(plan: ListenerPlan) -> None:
    """SO_REUSEPORT would silently share the port with a second instance of the same user: look first."""
    os.close(make_socket(plan, reuse_port=False))


def _clear_stale_path(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "a file that is not a socket is in the way", path)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)


def _no_ipv6(error: OSError, plan: ListenerPlan) -> bool:
    missing = error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
    return plan.kind == "tcp6" and missing and plan.host in ("::", "::1")


def _listen(fd: int, backlog: int) -> None:
    sock = socket.socket(fileno=fd)
    try:
        sock.listen(backlog)
    finally:
        sock.detach()


def _option(fd: int, option: int) -> bool:
    sock = socket.socket(fileno=fd)
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, option))
    finally:
        sock.detach()


def explain(error: OSError, plan: ListenerPlan) -> str:
    """The failure in the operator's terms, with the fix."""
    text = f"cannot listen on {plan.text}: {error.strerror or error}"
    if error.errno == errno.EACCES and 0 < plan.port < 1024:
        return (
            f"{text}. Ports below 1024 need privilege: start as root with `user` set, give the process "
            "CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or lower "
            "net.ipv4.ip_unprivileged_port_start"
        )
    if error.errno == errno.EADDRINUSE:
        return f"{text}. Another process listens there (see: ss -ltnp)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{text}. This host has no such address (IPv6 may be switched off)"
    return text
