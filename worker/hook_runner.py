"""Runs the coroutines that hooks return, notes which hook runs now, and reports what they raise."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from pingpy.loading import user_place
from pingpy.log import logger

Done = Callable[[Any, Exception | None], Any]
Report = Callable[[BaseException, str, str], None]


class HookRunner:
    """What the plane knows of the event loop: `start` a coroutine, be told of its end, cancel it, report a failure."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Report | None = None) -> None:
        """`report`: told (error, phase, request id) of each exception beside the log, for Sentry."""
        self._loop = loop
        self._report = report
        # The loop keeps only weak references: without this set a waiting hook could be collected.
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, awaitable: Awaitable[Any], done: Done) -> asyncio.Task[Any]:
        """Await it; `done(result, error)` is called once, unless the task is cancelled first."""
        task = self._loop.create_task(_bounded(awaitable))
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, awaitable, done))
        return task

    def failed(self, error: BaseException, phase: str, request_id: str) -> None:
        """A phase raised: one line with the request's id and the user's own line, and the report."""
        file, line, _ = user_place(error)
        place = f" at {file}:{line}" if file else ""
        logger.error(
            "request %s: %s raised %s: %s%s",
            request_id or "-",
            phase,
            type(error).__name__,
            error,
            place,
        )
        logger.debug("request %s: traceback of %s", request_id or "-", phase, exc_info=error)
        if self._report is not None:
            try:
                self._report(error, phase, request_id)
            except Exception as problem:
                logger.warning("an exception could not be reported: %r", problem)

    def cancel_all(self) -> None:
        """The worker exits: nobody waits for these any more."""
        for task in tuple(self._tasks):
            task.cancel()

    def _ended(self, task: asyncio.Task[Any], awaitable: Awaitable[Any], done: Done) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if isinstance(awaitable, Coroutine):
                awaitable.close()  # cancelled before its first step: Python would warn that nobody awaited it
            return
        error = cast(Exception | None, task.exception())  # see _bounded: never anything more severe
        try:
            done(None if error is not None else task.result(), error)
        except Exception:
            logger.exception("the exchange could not take a hook's answer")


async def _bounded(awaitable: Awaitable[Any]) -> Any:
    """Await, and keep a hook that calls sys.exit() from ending the worker: asyncio would let it through."""
    try:
        return await awaitable
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"a hook raised {error!r}") from error
