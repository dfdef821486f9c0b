"""Decides which pages of our own are served where, and to whom: health, readiness, metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pingpy.config.resolved import ResolvedMetrics
from worker.policy.responders import (
    HEALTH_PATH,
    READY_PATH,
    Responder,
    allowed,
    healthz,
    only_loopback,
    readyz,
)
from worker.policy.tables import BuiltIn


@dataclass(frozen=True, slots=True)
class Pages:
    """Before every rule of the ordinary listeners; and all there is on the listeners of [metrics]."""

    everywhere: tuple[BuiltIn, ...]
    apart: tuple[BuiltIn, ...] = ()

    @classmethod
    def of(
        cls, metrics: ResolvedMetrics | None, respond: Responder, serves: Callable[[], bool]
    ) -> Pages:
        """`respond` renders the metrics page; `serves`: whether this worker should get traffic."""
        ready = readyz(serves)
        pages = (BuiltIn(HEALTH_PATH, "healthz", healthz), BuiltIn(READY_PATH, "readyz", ready))
        if metrics is None:
            return cls(pages)
        if not metrics.apart:
            return cls((*pages, _page(metrics, respond)))
        return cls(
            pages,
            (
                BuiltIn(HEALTH_PATH, "healthz", healthz, loopback_only=False),
                BuiltIn(READY_PATH, "readyz", ready, loopback_only=False),
                _page(metrics, respond),
            ),
        )


def _page(metrics: ResolvedMetrics, respond: Responder) -> BuiltIn:
    if metrics.allow is None:
        return BuiltIn(metrics.path, "metrics", respond, loopback_only=False)
    if only_loopback(metrics.allow):
        return BuiltIn(metrics.path, "metrics", respond)
    return BuiltIn(metrics.path, "metrics", allowed(metrics.allow, respond), loopback_only=False)
