"""What the master needs from a configuration, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pingpy.config.addresses import ListenerScheme, parse_listen
from pingpy.config.cpus import allowed_cpus
from pingpy.config.schema import Config, Global

DEFAULT_ACCESS_LOG = "/var/log/pingpy/access.log"
# Beside its connections a worker needs descriptors for logs, channels, shared memory, modules.
_SPARE_DESCRIPTORS = 1024

LogKind = Literal["path", "stderr", "stdout", "off"]
_WORDS: tuple[LogKind, ...] = ("stderr", "stdout", "off")


@dataclass(frozen=True, slots=True)
class ListenerPlan:
    """One address to listen on; `id` stays the same as long as the kernel's socket may be kept."""

    id: str
    kind: Literal["tcp4", "tcp6", "unix"]
    host: str
    port: int
    unix_path: str
    scheme: ListenerScheme
    backlog: int
    mode: Literal["slots", "shared"]
    pages_only: bool = False  # for the metrics page and its like; these come last

    @property
    def text(self) -> str:
        """The address as it stands in logs and messages."""
        return self.id.partition("/")[2] if self.kind != "unix" else self.id


@dataclass(frozen=True, slots=True)
class LogPlan:
    """Where a log goes; for "path" the master opens `path`, `fallback` allows stderr in its place."""

    kind: LogKind
    path: str = ""
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class DrainPlan:
    """How a generation that is no longer wanted leaves."""

    drain_seconds: float
    tunnel_drain_seconds: float
    linger_seconds: float
    max_draining_generations: int
    graceful_seconds: float
    orphan_seconds: float
    pre_stop_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """The master's view of a configuration."""

    listeners: tuple[ListenerPlan, ...]
    worker_count: int
    min_workers: int
    user: str | None
    group: str | None
    pid_file: str
    pid_file_required: bool
    runtime_dir: str
    access_log: LogPlan
    error_log: LogPlan
    log_level: str
    drain: DrainPlan
    probation_seconds: float
    min_uptime_seconds: float
    upgrade_seconds: float
    heartbeat_seconds: float
    control_users: tuple[str | int, ...]
    open_files: int
    sentry_dsn: str | None
    # Read by the master for its workers, which may not; as the configuration names them.
    secret_files: tuple[str, ...] = ()
    watch_seconds: float = 0.0  # between two looks at them; 0: nobody looks
    ticket_lifetime_seconds: float = 0.0


def plan(
    config: Config,
    *,
    environ: Mapping[str, str] | None = None,
    uid: int | None = None,
    cpus: int | None = None,
) -> Plan:
    """The plan for this host; the environment, the user and the CPUs may be given instead of asked."""
    environ = os.environ if environ is None else environ
    uid = os.geteuid() if uid is None else uid
    own = config.global_
    count = worker_count(own, cpus)
    folder = runtime_dir(own, environ, uid)
    return Plan(
        listeners=listeners(config, count),
        worker_count=count,
        min_workers=min(own.min_workers or count, count),
        user=own.user,
        group=own.group,
        pid_file=own.pid_file or f"{folder}/pingpy.pid",
        pid_file_required=own.pid_file is not None,
        runtime_dir=folder,
        access_log=_access_log(own),
        error_log=_log(own.error_log),
        log_level=config.log.level or own.log_level,
        drain=DrainPlan(
            drain_seconds=config.timeouts.drain or own.drain_timeout,
            tunnel_drain_seconds=own.tunnel_drain_timeout,
            linger_seconds=own.drain_linger,
            max_draining_generations=own.max_draining_generations,
            graceful_seconds=own.graceful_timeout,
            orphan_seconds=own.orphan_timeout,
            pre_stop_seconds=own.pre_stop_delay,
        ),
        probation_seconds=own.probation,
        min_uptime_seconds=own.min_uptime,
        upgrade_seconds=own.upgrade_timeout,
        heartbeat_seconds=own.heartbeat_timeout,
        control_users=own.control_users,
        # A connection of a client has at most one of an origin with it.
        open_files=2 * config.limits.connections + _SPARE_DESCRIPTORS,
        sentry_dsn=config.sentry.dsn,
        secret_files=secret_files(config),
        watch_seconds=own.watch_interval,
        ticket_lifetime_seconds=config.network.ticket_lifetime,
    )


def secret_files(config: Config) -> tuple[str, ...]:
    """Every certificate and key of the configuration, once."""
    network = config.network
    names = [network.ssl_certificate, network.ssl_certificate_key]
    for entry in network.tls:
        names += [entry.certificate, entry.key, entry.ocsp, entry.client_ca]
    tables = [
        config.proxy.tls,
        *(p.tls for p in config.pools),
        *(r.tls for r in config.proxy.rules),
    ]
    for table in tables:
        names += [table.ca, table.certificate, table.key]
    return tuple(dict.fromkeys(name for name in names if name))


def worker_count(own: Global, cpus: int | None = None) -> int:
    """The number of workers; as many as CPUs when it is "auto" or absent."""
    return own.worker_threads or own.worker_processes or cpus or allowed_cpus()


def runtime_dir(own: Global, environ: Mapping[str, str], uid: int) -> str:
    """Where the control socket is: as configured, as systemd made it, or the user's own place."""
    if own.runtime_dir:
        return own.runtime_dir.rstrip("/") or "/"
    given = environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if given:
        return given
    if uid == 0:
        return "/run/pingpy"
    private = environ.get("XDG_RUNTIME_DIR")
    # Its maker checks that it is the user's own and has mode 0700.
    return f"{private}/pingpy" if private else f"/tmp/pingpy-{uid}"


def listeners(config: Config, workers: int) -> tuple[ListenerPlan, ...]:
    """Every socket to listen on, in the order of the file."""
    network = config.network
    mode = network.reuse_port or ("slots" if workers > 1 else "shared")
    found: list[ListenerPlan] = []
    pages = config.metrics.listen if config.metrics.enabled else ()
    entries = [(text, False) for text in network.listen] + [(text, True) for text in pages]
    for text, pages_only in entries:
        for address in parse_listen(text):
            kind: Literal["tcp4", "tcp6", "unix"] = (
                "unix" if address.unix_path else "tcp6" if ":" in address.host else "tcp4"
            )
            found.append(
                ListenerPlan(
                    id=address.text if kind == "unix" else f"{kind}/{address.text}",
                    kind=kind,
                    host=address.host,
                    port=address.port,
                    unix_path=address.unix_path,
                    scheme="http" if pages_only else address.scheme,
                    backlog=network.backlog,
                    # SO_REUSEPORT does not exist for Unix sockets.
                    mode="shared" if kind == "unix" else mode,
                    pages_only=pages_only,
                )
            )
    return tuple(found)


def _access_log(own: Global) -> LogPlan:
    if own.access_log is None:
        return LogPlan("path", DEFAULT_ACCESS_LOG, fallback=True)
    return _log(own.access_log)


def _log(text: str) -> LogPlan:
    for kind in _WORDS:
        if text == kind:
            return LogPlan(kind)
    return LogPlan("path", text)
