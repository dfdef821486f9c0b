import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

IDLE_TASKS: int

class HookTask:
    over: bool  # the hook has ended: with `result`, or with `error`
    result: Any
    error: Exception | None
    done: Callable[[Any, Exception | None], Any] | None
    def cancel(self) -> None:
        """Nobody waits for this hook any more."""

class HookTasks:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def __len__(self) -> int:
        """How many hooks wait."""
    def start(self, awaitable: Awaitable[Any]) -> HookTask:
        """Run a hook as far as it goes without waiting. Where it is not `over` by then, `done(result, error)` will be
        called at its end, unless cancel() comes first."""
    def cancel_all(self) -> None:
        """Nobody waits for any hook any more."""
