"""Answers /healthz (the process runs) and /readyz (it should get traffic: not while starting or stopping)."""

from __future__ import annotations

from collections.abc import Callable

from pingpy.http import Response
from pingpy.session import Session

HEALTH_PATH = "/healthz"
READY_PATH = "/readyz"
_FIELDS = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"))

Responder = Callable[[Session], Response]


def healthz(session: Session) -> Response:
    """Whoever can answer is alive."""
    return Response(200, _FIELDS, "ok\n")


def readyz(serves: Callable[[], bool]) -> Responder:
    """`serves`: what the worker's life says; true through a reload, false at a stop."""

    def respond(session: Session) -> Response:
        if serves():
            return Response(200, _FIELDS, "ready\n")
        return Response(503, _FIELDS, "not ready\n")

    return respond
