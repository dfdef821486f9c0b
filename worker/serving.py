"""Builds what a worker serves with, from one configuration: cells, tables, log, the user's code, and the plane."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any

from pingpy import __version__
from pingpy.app import ProxyApp, WorkerInfo
from pingpy.config.certificates import expiries
from pingpy.config.plan import Plan
from pingpy.config.resolve import resolve
from pingpy.config.schema import Config
from pingpy.control import WorkerContext
from pingpy.loading import load_class
from pingpy.log_format import parse_format
from pingpy.shared import Region, TicketKeys
from worker.events import WorkerEvents
from worker.hook_runner import HookRunner
from worker.identities import tls_server
from worker.lag import LagThread, LagWatch
from worker.lifecycle import Lifecycle
from worker.logs import LogFiles
from worker.plane.access_log import AccessLog
from worker.plane.cells import Cells
from worker.plane.pick import Peer
from worker.plane.plane import Plane
from worker.policy.metrics import Metrics
from worker.policy.origin_tls import OriginTls
from worker.policy.pages import Pages
from worker.policy.resolver import DirectoryWatch, needed_names
from worker.policy.tables import compile_tables
from worker.settings import (
    announced_listeners,
    announcing,
    packed_networks,
    plane_settings,
)
from worker.user_code import UserCode

# Short beside the worker's own timers; longer than a busy processor's next timer, so that waiting does not set one.
PATIENCE_MS = 10


class Serving:
    """All of it, in one worker. Raises ConfigError where the user's code is at fault."""

    def __init__(
        self,
        context: WorkerContext,
        config: Config,
        plan: Plan,
        region: Region,
        life: Lifecycle,
        app: ProxyApp[Any] | None = None,
    ) -> None:
        self._context = context
        # As long as the plane looks at them.
        self._tickets = TicketKeys.attach(context.tickets_fd) if context.tickets_fd >= 0 else None
        self.code = UserCode.load(config, context.source.folder, app)
        self.listener_ids = [listener.id for listener in plan.listeners]
        resolved = resolve(config)
        cells = Cells(region, context.slab)
        self._report = _reporter(config)
        self._runner = HookRunner(asyncio.get_running_loop(), self._report)
        origin_tls = OriginTls(context.secrets)
        hooks = self.code.of_rules(resolved)
        metrics = Metrics(region, cells, expiries=expiries(config, context.secrets))
        pages = Pages.of(resolved.metrics, metrics.respond, lambda: life.serves)
        self.tables = compile_tables(
            resolved,
            cells,
            worker=context.slot,
            workers=context.worker_count,
            built_in=pages.everywhere,
            aside=pages.apart,
            aside_from=sum(not listener.pages_only for listener in plan.listeners),
            hooks=hooks,
            origin_tls=origin_tls,
            load_balancer=lambda name: _balancer(name, context.source.folder),
        )
        self.log = AccessLog(parse_format(config.log.format), -1, cells, _constants(context))
        listeners = [listener.text for listener in plan.listeners]
        cells.name_listeners(listeners)
        self.log.name_listeners(listeners)
        self.log.name_routes([label.encode() for label in self.tables.labels])
        self.log.name_policies([policy.encode() for policy in self.tables.policies])
        events = WorkerEvents(self._runner, cells, Peer, time.monotonic, origin_tls.verified)
        self.plane = _plane(config, plan, cells, events)
        self._use_tls(config, plan)
        self.plane.use_routes(self.tables.table)
        self.plane.use_log(self.log)
        self._use_code()
        self.logs = LogFiles(plan, self.log.set_fd, lambda: self.log.lines_dropped)
        directory = region.directory(context.generation)
        self.directory = DirectoryWatch(directory, needed_names(resolved), self.tables.update)
        self._lag_thread: LagThread | None = None

    def _use_code(self) -> None:
        self.plane.use_hooks(self.code.everywhere())
        if not self.code:  # its tasks and timers would have to wait
            self.plane.be_patient(PATIENCE_MS)

    def _use_tls(self, config: Config, plan: Plan) -> None:
        schemes = tuple(listener.scheme for listener in plan.listeners)
        self.plane.use_tls(tls_server(config, self._context.secrets, self._tickets), schemes)

    def listener_index(self, listener: str) -> int:
        """The number of a listener: its place in the configuration; the master numbers the sockets of one after `#`."""
        listener = listener.rpartition("#")[0]
        return self.listener_ids.index(listener) if listener in self.listener_ids else -1

    async def start(self, lag: LagWatch, interval_seconds: float) -> None:
        """Start the user's code, and the thread that watches it for blocking calls; without such code there is none."""
        context = self._context
        info = WorkerInfo(context.slot, context.worker_count, context.generation)
        await self.code.startup(info)
        if self.code:
            self._lag_thread = LagThread(lag, interval_seconds)
            self._lag_thread.start()

    async def stop(self) -> None:
        """After the last request: the last lines of the log, the end of the user's code, the last reports."""
        self._runner.cancel_all()
        self.log.close()
        await self.code.shutdown()
        if self._lag_thread is not None:
            self._lag_thread.stop()
        if self._report is not None:
            self._report.close()


def _plane(config: Config, plan: Plan, cells: Cells, events: WorkerEvents) -> Plane:
    """A plane with the configuration's numbers and networks."""
    network = config.network
    plane = Plane(
        cells=cells,
        events=events,
        settings=plane_settings(config),
        trusted=packed_networks(network.trusted_proxies),
        announced=packed_networks(announcing(network)),
        announced_listeners=announced_listeners(network, plan.listeners),
    )
    if network.io_uring:
        plane.use_io_uring()
    return plane


def _balancer(name: str, folder: Path) -> Any:
    """The instance of a "module:Class" of the user's."""
    module, _, class_name = name.partition(":")
    return load_class(module, class_name, folder)()


def _reporter(config: Config) -> Any:
    """Sentry, where it is configured; its import is what costs."""
    if config.sentry.dsn is None:
        return None
    from worker.policy.sentry import SentryReporter

    return SentryReporter(config.sentry.dsn, __version__)


def _constants(context: WorkerContext) -> dict[str, bytes]:
    """The log's variables that stay the same for the life of this process."""
    return {
        "generation": str(context.generation).encode(),
        "worker": str(context.slot).encode(),
        "pid": str(os.getpid()).encode(),
        "hostname": socket.gethostname().encode(),
    }
