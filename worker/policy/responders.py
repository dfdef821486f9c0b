"""Answers /healthz (the process runs) and /readyz (it should get traffic: not while starting or stopping), to whom."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

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


def only_loopback(allow: Iterable[str]) -> bool:
    """Whether nobody else is meant: then others are not refused, their request goes on to the rules."""
    return set(allow) <= {"loopback", "unix"}


def allowed(allow: Iterable[str], responder: Responder) -> Responder:
    """Answer clients of these networks; "loopback" and "unix" are the words of the configuration."""
    words = set(allow) & {"loopback", "unix"}
    networks = [
        ipaddress.ip_network(text, strict=False)
        for text in allow
        if text not in ("loopback", "unix")
    ]

    def respond(session: Session) -> Response:
        host = session.client.host
        # What was forwarded did not come from this host, wherever the last hop is.
        forwarded = "X-Forwarded-For" in session.request.headers
        if host.startswith("unix:"):
            welcome = "unix" in words and not forwarded
        else:
            client = ipaddress.ip_address(host)
            welcome = "loopback" in words and client.is_loopback and not forwarded
            welcome = welcome or any(client in network for network in networks)
        return responder(session) if welcome else Response(403, _FIELDS, "forbidden\n")

    return respond
