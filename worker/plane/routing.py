"""Which rule a request is under, and what follows from it: a refusal, an answer of our own, or a peer."""

import cython
from cython.cimports.worker.plane.attempts import choose_peer
from cython.cimports.worker.plane.exchange import PHASE_GO_ON, Services
from cython.cimports.worker.plane.grpc_bridge import bridge_web
from cython.cimports.worker.plane.hook_slots import (
    PH_PEER,
    PH_REPLY,
    PH_REQUEST,
    WANTS_PEER,
    WANTS_REQUEST,
    HookSlots,
)
from cython.cimports.worker.plane.record import END_BAD_REQUEST, END_LOCAL, END_NO_ROUTE
from cython.cimports.worker.plane.route import REPLY_NONE, REPLY_PYTHON, Route, RouteTable
from cython.cimports.worker.plane.target import is_normal_path, normalise_path
from cython.cimports.worker.plane.tls_context import TlsServer

from worker.plane.reply import TOO_LARGE

RETRY_CREDIT_MOST = cython.declare(cython.double, 100.0)  # a burst of so many retries, not more
PATH_BYTES = cython.declare(cython.int, 65536)


def find_route(x):
    """Which rule the request is under; then its filters, then its peer."""
    services: Services = x.services
    routes: RouteTable = services.routes.of_listener(x.record.listener)
    path: cython.longlong = x.request.start + x.request.path
    size: cython.int = x.request.path_size
    guard: TlsServer = services.guard if routes is services.routes else None
    if guard is not None and guard.is_misdirected(
        services.arena, cython.address(x.request), x.record.secured
    ):
        return x.refuse(421, END_BAD_REQUEST, "the host wants a client certificate")
    if not is_normal_path(services.arena.view, path, size):
        size = normalise_path(services.arena.view, path, size, services.path_memory, PATH_BYTES)
        if size < 0:
            return x.refuse(400, END_BAD_REQUEST, "the path climbs above the root")
        path = services.path_memory
    x.route = routes.match(services.arena, cython.address(x.request), path, size, x.loopback)
    if x.route is None:
        return x.refuse(404, END_NO_ROUTE, "no rule matches and there is no default pool")
    x.record.route = x.route.index
    hooks: HookSlots = services.hooks if x.route.hooks is None else x.route.hooks
    if hooks is not None:
        x.hooked = hooks.wanted
    if 0 <= x.route.max_body_bytes < x.request.content_length:
        return x.refuse(413, END_BAD_REQUEST, TOO_LARGE)
    if x.route.rewrite is not None:
        x.target = x.route.target(services.arena, cython.address(x.request), path, size)
    elif x.route.redirect is not None:
        x.target = x.route.location(
            services.arena, cython.address(x.request), path, size, x.line.tls
        )
    if x.hooked & WANTS_REQUEST and services.run_phase(x, PH_REQUEST) != PHASE_GO_ON:
        return 0
    return after_request_filter(x)


def after_request_filter(x):
    """No filter has answered: our own reply, or a peer."""
    route: Route = x.route
    if route.reply_kind != REPLY_NONE:
        if route.reply_kind == REPLY_PYTHON:
            x.services.run_phase(x, PH_REPLY)
            return 0
        lines: bytes = route.reply_head
        if x.target is not None:
            lines = lines + b"Location: " + x.target + b"\r\n"
        return x.reply(route.reply_status, lines, route.reply_body, END_LOCAL)
    if route.grpc_web:
        bridge_web(x)
    x.services.retry_credit = min(x.services.retry_credit + route.retry_budget, RETRY_CREDIT_MOST)
    if x.hooked & WANTS_PEER and x.services.run_phase(x, PH_PEER):
        return 0
    return choose_peer(x)
