"""A worker's entry: from the fork to its exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import traceback
from typing import Any

import uvloop

from pingpy import control
from pingpy.app import ProxyApp
from pingpy.config.load import load
from pingpy.config.plan import Plan, plan
from pingpy.control import Drain, WorkerContext
from pingpy.errors import ConfigError
from pingpy.log import logger
from pingpy.shared import Region
from worker.lifecycle import Lifecycle
from worker.loop import TICK_SECONDS, WorkerLoop
from worker.serving import Serving

# What the entry returns; the master reports it together with the text of FATAL.
EXIT_FAILED = 1
EXIT_CONFIG = 78


def main(context: WorkerContext, app: ProxyApp[Any] | None = None) -> int:
    """The worker's whole life; `app`: the program's own, when it called `serve`. Returns the exit code."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_live(context, app))
    except ConfigError as error:
        _tell_fatal(context, str(error), "")
        return EXIT_CONFIG
    except Exception as error:
        _tell_fatal(context, f"{type(error).__name__}: {error}", traceback.format_exc())
        return EXIT_FAILED


async def _live(context: WorkerContext, app: ProxyApp[Any] | None) -> int:
    config = load(context.source)
    the_plan = plan(config)
    region = Region.attach(os.dup(context.region_fd))
    life = Lifecycle(_own_limits(the_plan), context.orphan_timeout_seconds)
    loop = WorkerLoop(context, life, region.slab(context.slab))
    loop.hello()
    serving = Serving(context, config, the_plan, region, life, app)
    started = asyncio.ensure_future(serving.start(loop.lag, TICK_SECONDS))
    await asyncio.wait((started, loop.exit), return_when=asyncio.FIRST_COMPLETED)
    if started.done():
        started.result()
        # What exists now lives as long as the process: no collection needs to look at it again, nor copy its pages.
        gc.collect()
        gc.freeze()
        loop.serve(serving.plane, serving.logs, serving.directory, serving.listener_index)
    try:
        return await loop.exit
    finally:
        loop.close()
        await serving.stop()


def _own_limits(the_plan: Plan) -> Drain:
    """How this worker drains when a signal, and not the master, tells it to."""
    drain = the_plan.drain
    return Drain("signal", drain.drain_seconds, drain.tunnel_drain_seconds, drain.linger_seconds)


def _tell_fatal(context: WorkerContext, message: str, trace: str) -> None:
    """The cause must reach the operator, by way of the master, before the exit code does."""
    logger.error("this worker cannot go on: %s", message)
    if trace:
        logger.error("%s", trace)
    try:
        control.Channel(context.channel).send(control.Fatal(message, trace), wait=False)
    except OSError as error:
        logger.error("the master could not be told: %s", error)
