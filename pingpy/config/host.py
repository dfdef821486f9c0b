"""Whether this host can do what a configuration asks: addresses, users, folders; nothing is left behind."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Collection, Iterator
from pathlib import Path as FilePath

from pingpy.config.addresses import overlap, parse_listen
from pingpy.config.cpus import allowed_cpus
from pingpy.config.finding import Finding, Path, warning
from pingpy.config.holder import holders, pid_in
from pingpy.config.plan import ListenerPlan, LogPlan, Plan
from pingpy.config.schema import Config

_APART = (
    "one cannot take the other's place without losing connections: reload without either, "
    "then with the new one, or restart"
)
_PRIVILEGED_HELP = (
    "start as root, give the program CAP_NET_BIND_SERVICE, "
    "or lower the sysctl net.ipv4.ip_unprivileged_port_start"
)
# What binding to an IPv6 address gives on a host without IPv6.
_NO_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def check_host(config: Config, plan: Plan, held: Collection[str] = ()) -> Iterator[Finding]:
    """Findings about this host; `held` are the ids of the listeners that we have already."""
    yield from _workers(config)
    yield from _users(plan)
    paths = _listen_paths(config)
    for listener in plan.listeners:
        if listener.id not in held:
            path = paths[listener.text]
            within = [text for text in map(_text_of, held) if overlap(text, listener.text)]
            if within:
                yield Finding(
                    path, f"{listener.text} overlaps {within[0]}, which is in use", _APART
                )
            else:
                yield from _listener(path, listener, plan)
    yield from _log("access_log", plan.access_log)
    yield from _log("error_log", plan.error_log)
    yield from _pid_file(plan)
    yield from _runtime_dir(plan)


def _text_of(held: str) -> str:
    """The address in a listener's id."""
    return held if held.startswith("unix:") else held.partition("/")[2]


def _workers(config: Config) -> Iterator[Finding]:
    cpus = allowed_cpus()
    for key in ("worker_threads", "worker_processes"):
        count = getattr(config.global_, key)
        if count is not None and count > 4 * cpus:
            message = f"{count} workers are more than four for each of the {cpus} CPUs"
            yield warning(("global", key), message, 'the default "auto" is one for each CPU')


def _users(plan: Plan) -> Iterator[Finding]:
    if plan.user is not None:
        try:
            pwd.getpwnam(plan.user)
        except KeyError:
            yield Finding(("global", "user"), f'there is no user "{plan.user}" on this host')
    if plan.group is not None:
        try:
            grp.getgrnam(plan.group)
        except KeyError:
            yield Finding(("global", "group"), f'there is no group "{plan.group}" on this host')
    if plan.user is not None and os.geteuid() != 0 and _name_of(os.geteuid()) != plan.user:
        yield warning(("global", "user"), "only root can change to another user: this is ignored")


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _listen_paths(config: Config) -> dict[str, Path]:
    """The key that each listener comes from."""
    return {
        address.text: (table, "listen", index)
        for table, listen in (
            ("network", config.network.listen),
            ("metrics", config.metrics.listen),
        )
        for index, text in enumerate(listen)
        for address in parse_listen(text)
    }


def _listener(path: Path, listener: ListenerPlan, plan: Plan) -> Iterator[Finding]:
    if listener.kind == "unix":
        yield from _unix_listener(path, listener.unix_path)
        return
    try:
        bind_once(listener)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            message = f"port {listener.port} is privileged: {error.strerror}"
            yield warning(path, message, _PRIVILEGED_HELP)
        elif listener.kind == "tcp6" and error.errno in _NO_FAMILY and listener.host == "::":
            finding = Finding if len(plan.listeners) == 1 else warning
            yield finding(path, f"{listener.text}: this host has no IPv6")
        elif error.errno == errno.EADDRINUSE:
            yield from _in_use(path, listener, plan)
        else:
            yield Finding(path, f"cannot listen on {listener.text}: {error.strerror}")


def _in_use(path: Path, listener: ListenerPlan, plan: Plan) -> Iterator[Finding]:
    """Nothing to say when the instance that this configuration belongs to is the one that runs."""
    found = holders(listener.port)
    if found and pid_in(plan.pid_file) in [pid for pid, _ in found]:
        return
    by = f"{found[0][1]} (pid {found[0][0]})" if found else "another program"
    advice = f"see: ss -ltnp sport = :{listener.port}"
    yield Finding(path, f"{listener.text} is in use by {by}", advice)


def bind_once(listener: ListenerPlan) -> None:
    """Binds as the master would, and closes again; it never listens, so it takes no connection."""
    family = socket.AF_INET6 if listener.kind == "tcp6" else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.mode == "slots":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if listener.kind == "tcp6":
            # Without it [::]:80 would take 0.0.0.0:80 as well (net.ipv6.bindv6only is 0).
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((listener.host, listener.port))


def _unix_listener(path: Path, name: str) -> Iterator[Finding]:
    file = FilePath(name)
    if problem := folder_problem(file.parent, may_create=False):
        yield Finding(path, f"cannot listen on {name}: {problem}")
        return
    try:
        is_socket = stat.S_ISSOCK(file.stat().st_mode)
    except OSError:
        return
    if not is_socket:
        yield Finding(path, f"{name} exists and is not a socket")


def _log(key: str, log: LogPlan) -> Iterator[Finding]:
    if log.kind != "path":
        return
    file = FilePath(log.path)
    problem = folder_problem(file.parent, may_create=True)
    if not problem and file.exists() and not os.access(file, os.W_OK, effective_ids=True):
        problem = "no permission to write to it"
    elif not problem and file.is_dir():
        problem = "it is a folder"
    if not problem:
        return
    if log.fallback:
        message = f"access log: cannot use {log.path}: {problem}; stderr is used"
        yield warning(("global", key), message, 'set access_log to a path, or to "stderr"')
    else:
        yield Finding(("global", key), f"cannot write {log.path}: {problem}")


def _pid_file(plan: Plan) -> Iterator[Finding]:
    if not plan.pid_file_required:
        return
    problem = folder_problem(FilePath(plan.pid_file).parent, may_create=False)
    if problem:
        yield Finding(("global", "pid_file"), f"cannot write {plan.pid_file}: {problem}")


def _runtime_dir(plan: Plan) -> Iterator[Finding]:
    problem = folder_problem(FilePath(plan.runtime_dir), may_create=True)
    if problem:
        message = f"cannot use the runtime folder {plan.runtime_dir}: {problem}"
        yield Finding(("global", "runtime_dir"), message)


def folder_problem(folder: FilePath, *, may_create: bool) -> str:
    """Why files cannot be made in a folder (or the folder itself cannot be made), or nothing."""
    nearest = folder
    while may_create and not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.exists():
        return f"the folder {nearest} does not exist"
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    if not os.access(nearest, os.W_OK | os.X_OK, effective_ids=True):
        return f"no permission to write in {nearest}"
    return ""
