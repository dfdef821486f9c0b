"""Runs the coroutines that hooks return, notes which hook runs now, and reports what they raise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pingpy.loading import user_place
from pingpy.log import logger
from worker.plane.hook_task import HookTasks

Report = Callable[[BaseException, str, str], None]


class HookRunner:
    """What the plane knows of the event loop: `start` a coroutine, be told of its end, cancel it, report a failure."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Report | None = None) -> None:
        """`report`: told (error, phase, request id) of each exception beside the log, for Sentry."""
        self._report = report
        self._tasks = HookTasks(loop)
        self.start = self._tasks.start

    def __len__(self) -> int:
        return len(self._tasks)

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
        self._tasks.cancel_all()
