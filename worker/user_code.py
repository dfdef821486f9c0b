"""The user's classes in one worker: loaded, started, bound to the rules that name them, shut down."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pingpy.app import ProxyApp, WorkerInfo
from pingpy.config.resolved import Resolved, ResolvedRule
from pingpy.config.schema import Config
from pingpy.loading import load_modules
from pingpy.log import logger
from pingpy.phases import BoundPhases, bind

SHUTDOWN_SECONDS = 5.0


class UserCode:
    """Every module of the configuration, and the program's own app when it called `serve`."""

    def __init__(self, modules: Mapping[str, Any], app: ProxyApp[Any] | None = None) -> None:
        self._modules = modules
        self._app = app

    @classmethod
    def load(cls, config: Config, folder: Path, app: ProxyApp[Any] | None = None) -> UserCode:
        """Raises ConfigError with the places in the user's code."""
        modules = load_modules(config.modules, folder, config)
        if app is not None:
            app.check(config)
        return cls(modules, app)

    def __bool__(self) -> bool:
        return bool(self._modules) or self._app is not None

    def everywhere(self) -> BoundPhases | None:
        """The phases of requests that no rule with filters takes."""
        return self._bound(())

    def of_rules(self, resolved: Resolved) -> dict[int, BoundPhases]:
        """The phases of each rule that names filters, by the rule's index; equal lists share theirs."""
        rules: tuple[ResolvedRule, ...] = (*resolved.rules, resolved.no_match)
        made: dict[tuple[str, ...], BoundPhases | None] = {
            rule.filters: None for rule in rules if rule.filters
        }
        for filters in made:
            made[filters] = self._bound(filters)
        found = ((rule.index, made.get(rule.filters)) for rule in rules)
        return {index: phases for index, phases in found if phases is not None}

    def _bound(self, filters: tuple[str, ...]) -> BoundPhases | None:
        # The program's app comes last on the way in, hence first on the way out, like an app after its own filters.
        parts = [self._modules[name] for name in filters]
        phases = bind(*parts, self._app) if self._app is not None else bind(*parts)
        return phases or None

    async def startup(self, worker: WorkerInfo) -> None:
        """Raises whatever a `startup` raises: the worker does not become ready."""
        for part in self._parts():
            started = _call(part, "startup", worker)
            if inspect.isawaitable(started):
                await started

    async def shutdown(self) -> None:
        """Within a bound, each by itself: one that hangs or raises keeps nobody from leaving."""
        for part in self._parts():
            try:
                async with asyncio.timeout(SHUTDOWN_SECONDS):
                    stopped = _call(part, "shutdown")
                    if inspect.isawaitable(stopped):
                        await stopped
            except Exception as error:
                logger.error("shutdown of %s failed: %r", type(part).__name__, error)

    def _parts(self) -> list[Any]:
        """Apps and the filters they carry, each once."""
        owners = [*self._modules.values(), *([self._app] if self._app is not None else [])]
        parts = [part for owner in owners for part in (*getattr(owner, "filters", ()), owner)]
        return list({id(part): part for part in parts}.values())


def _call(part: Any, name: str, *arguments: Any) -> Any:
    method = getattr(part, name, None)
    return None if method is None else method(*arguments)
