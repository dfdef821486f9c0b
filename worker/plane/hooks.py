"""Python methods of the user's, run at their phases: called when configured, awaited when they are coroutines."""

import functools
import inspect
from types import CoroutineType

import cython
from cython.cimports.worker.plane.cells import C_HOOK_ERRORS
from cython.cimports.worker.plane.exchange import (
    PHASE_ANSWERED,
    PHASE_GO_ON,
    PHASE_PARKED,
    X_DIALING,
    X_PARKED,
    X_ROUTING,
    X_SENT,
    Exchange,
)
from cython.cimports.worker.plane.hook_slots import (
    PH_LOGGING,
    PH_PEER,
    PH_REPLY,
    PH_REQUEST,
    PH_RESPONSE,
    PH_UPSTREAM_REQUEST,
    HookSlots,
)
from cython.cimports.worker.plane.record import END_HOOK_RAISED, END_LOCAL
from cython.cimports.worker.plane.session_view import SessionView, session_of

from pingpy.http import Response
from pingpy.peer import Peer

NAMES = {
    PH_REQUEST: "request_filter",
    PH_PEER: "upstream_peer",
    PH_UPSTREAM_REQUEST: "upstream_request_filter",
    PH_RESPONSE: "response_filter",
    PH_LOGGING: "logging",
    PH_REPLY: "the responder",
}
PARKED = object()  # no hook can answer with it
FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection", b"date", b"server"))


def run_hook(x, phase):
    """Somebody wants this phase: call what is configured for it."""
    slots: HookSlots = slots_for(x)
    session: SessionView = session_of(x)
    try:
        if phase == PH_REPLY:
            answer = x.route.responder(session)
        else:
            if x.ctx is None and slots.new_ctx is not None:
                x.ctx = slots.new_ctx()
            answer = call(x, slots, session, phase)
        if answer is None and phase != PH_REPLY:
            session.response_here = False
            return PHASE_GO_ON
        if is_awaitable(answer):
            answer = started(x, phase, answer)
    except (Exception, SystemExit) as error:  # a hook that exits must not take the worker along
        session.response_here = False
        return take_answer(x, phase, None, error)
    session.response_here = False
    if answer is PARKED:
        return PHASE_PARKED
    return take_answer(x, phase, answer, None)


@cython.cfunc
def slots_for(x: Exchange) -> HookSlots:
    """The rule's filters, or what holds for every request."""
    if x.route is not None and x.route.hooks is not None:
        return x.route.hooks
    return x.services.hooks


@cython.cfunc
def call(x: Exchange, slots: HookSlots, session: SessionView, phase: cython.int) -> object:
    """Each phase has its own arguments."""
    if phase == PH_UPSTREAM_REQUEST:
        if x.record.attempts == 1:
            session.before = x.request_changes
        x.request_changes = None if session.before is None else session.before.copy()
        return slots.upstream_request_filter(session, session.request_view(), x.ctx)
    if phase == PH_RESPONSE:
        session.response_here = True
        return slots.response_filter(session, session.response_view(), x.ctx)
    if phase == PH_LOGGING:
        return slots.logging(session, None, x.ctx)
    if phase == PH_REQUEST:
        return slots.request_filter(session, x.ctx)
    return slots.upstream_peer(session, x.ctx)


@cython.cfunc
@cython.exceptval(-1)
def is_awaitable(answer: object) -> cython.bint:
    """The usual answers are told apart by their type alone."""
    kind = type(answer)
    if kind is Response or kind is Peer:
        return False
    return kind is CoroutineType or inspect.isawaitable(answer)


@cython.cfunc
def started(x: Exchange, phase: cython.int, awaitable: object) -> object:
    """What it returns without waiting; PARKED: the exchange rests until `hook_done` is told. Raises what it raised."""
    services: object = x.services
    task: object = x.services.runner(awaitable)
    if task.over:
        if task.error is not None:
            raise task.error
        return task.result
    task.done = functools.partial(services.hook_done, x, x.epoch, phase)
    if phase != PH_LOGGING:  # that one outlives its request, and keeps the exchange from its next
        x.state = X_PARKED
        x.parked = task
    return PARKED


def take_answer(x, phase, answer, error):
    """What the hook decided; an answer that cannot be used is an error of the hook's."""
    if error is None:
        try:
            return use_answer(x, phase, answer)
        except Exception as unusable:
            error = unusable
    x.services.cells.add(C_HOOK_ERRORS, 1)
    x.services.hook_raised(x, NAMES[phase], error)
    if phase == PH_LOGGING:
        return PHASE_GO_ON
    x.refuse(500, END_HOOK_RAISED, f"{NAMES[phase]} raised {type(error).__name__}: {error}")
    return PHASE_ANSWERED


@cython.cfunc
@cython.exceptval(-1)
def use_answer(x: Exchange, phase: cython.int, answer: object) -> cython.int:
    """Go on with it, or send it."""
    if x.state == X_PARKED:
        x.state = X_ROUTING if phase <= PH_PEER else X_SENT
        if phase == PH_UPSTREAM_REQUEST:
            x.state = X_DIALING
    if answer is None and phase == PH_REPLY:
        raise TypeError("it must answer with a Response")
    if (
        answer is None
        or phase == PH_LOGGING
        or phase == PH_RESPONSE
        or phase == PH_UPSTREAM_REQUEST
    ):
        return PHASE_GO_ON
    if phase == PH_PEER:
        x.chosen = x.services.peer_for(answer)
        x.record.hook_peer = 1
        return PHASE_GO_ON
    lines = b"".join(
        [
            name + b": " + value + b"\r\n"
            for name, value in answer.headers.items()
            if name.lower() not in FRAMING
        ]
    )
    x.reply(answer.status, lines, answer.body, END_LOCAL)
    return PHASE_ANSWERED
