"""Sends hooks' exceptions to Sentry, when a DSN is configured: few at a time, with the phase and the request's id."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

EVENTS_PER_MINUTE = 60
FLUSH_SECONDS = 2.0


class SentryReporter:
    """Made once per worker, after the fork: the SDK has threads. Importing it costs 0.6 s and 20 MiB: only here."""

    def __init__(self, dsn: str, release: str, clock: Callable[[], float] = time.monotonic) -> None:
        import sentry_sdk

        self._sdk: Any = sentry_sdk
        self._clock = clock
        self._window_began = clock()
        self._in_window = 0
        self.dropped = 0
        # No integrations: they patch the logging and threading that the request path uses.
        sentry_sdk.init(
            dsn=dsn,
            release=f"pingpy@{release}",
            default_integrations=False,
            auto_enabling_integrations=False,
            max_breadcrumbs=0,
            shutdown_timeout=0,
        )

    def __call__(self, error: BaseException, phase: str, request_id: str) -> None:
        """Capture one exception; beyond the rate it is only counted."""
        now = self._clock()
        if now - self._window_began >= 60:
            self._window_began, self._in_window = now, 0
        if self._in_window >= EVENTS_PER_MINUTE:
            self.dropped += 1
            return
        self._in_window += 1
        # A scope costs microseconds, so it is made here and not for each request.
        with self._sdk.new_scope() as scope:
            scope.set_tag("phase", phase)
            scope.set_tag("request_id", request_id)
            if self.dropped:
                scope.set_extra("dropped_before", self.dropped)
                self.dropped = 0
            scope.capture_exception(error)

    def close(self) -> None:
        """Send what is queued, within a bound."""
        self._sdk.flush(timeout=FLUSH_SECONDS)
