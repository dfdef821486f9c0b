"""Whether a failed attempt may be followed by another: decided by what was sent (RFC 9110 9.2.2)."""

import cython
from cython.cimports.worker.plane.record import (
    END_CONNECT_FAILED,
    END_CONNECT_TIMEOUT,
    END_OK,
    END_TLS_FAILED,
    END_UPSTREAM_CLOSED,
    END_UPSTREAM_SILENT,
    END_UPSTREAM_TIMEOUT,
    MAX_ATTEMPTS,
)


def may_retry(outcome, route):
    """A connection that was not made: any method. A pooled connection that died before one byte of an
    answer: idempotent methods, or a request of which nothing was sent. Timeouts and statuses: where the
    rule says so, and never a request that may have had its effect."""
    ending: cython.int = outcome.ending
    if (
        outcome.body_lost
        or outcome.attempts > route.retry_attempts
        or outcome.attempts >= MAX_ATTEMPTS
    ):
        return False
    if ending == END_CONNECT_FAILED or ending == END_CONNECT_TIMEOUT or ending == END_TLS_FAILED:
        return route.retry_connect
    if ending == END_UPSTREAM_CLOSED or ending == END_UPSTREAM_SILENT:
        return route.retry_closed and (outcome.unsent or (outcome.reused and outcome.idempotent))
    if ending == END_UPSTREAM_TIMEOUT:
        return route.retry_timeout and outcome.idempotent
    if ending == END_OK:
        return outcome.idempotent and route.retries_status(outcome.status)
    return False
