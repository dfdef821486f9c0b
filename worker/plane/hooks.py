"""Python methods of the user's, run at their phases: called when configured, awaited when they are coroutines."""

import functools
import inspect

import cython
from cython.cimports.worker.plane.cells import C_HOOK_ERRORS
from cython.cimports.worker.plane.exchange import (
    PH_LOGGING,
    PH_PEER,
    PH_REPLY,
    PH_REQUEST,
    PH_RESPONSE,
    PH_UPSTREAM_REQUEST,
    PHASE_ANSWERED,
    PHASE_GO_ON,
    PHASE_PARKED,
    X_DIALING,
    X_PARKED,
    X_ROUTING,
    X_SENT,
    Exchange,
)
from cython.cimports.worker.plane.record import END_HOOK_RAISED, END_LOCAL
from cython.cimports.worker.plane.session_view import SessionView

NAMES = {
    PH_REQUEST: "request_filter",
    PH_PEER: "upstream_peer",
    PH_UPSTREAM_REQUEST: "upstream_request_filter",
    PH_RESPONSE: "response_filter",
    PH_LOGGING: "logging",
    PH_REPLY: "the responder",
}
FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection", b"date", b"server"))


def session_of(x):
    """The exchange as hooks see it, made on first use."""
    view: SessionView = x.session
    if view is None:
        view = SessionView()
        view.x = x
        view.epoch = x.epoch
        x.session = view
    return view


def run_hook(x, phase):
    """Run what is configured for this phase; nothing configured costs a look."""
    phases = x.services.hooks
    session: SessionView
    hook = None
    if phase == PH_REPLY:
        hook = x.route.responder
    elif x.route is not None and x.route.hooks is not None:
        phases = x.route.hooks
    if phases is not None and phase != PH_REPLY:
        hook = getattr(phases, NAMES[phase])
    if hook is None:
        return PHASE_GO_ON
    session = session_of(x)
    if phase == PH_UPSTREAM_REQUEST:
        if x.record.attempts == 1:
            session.before = x.request_changes
        x.request_changes = None if session.before is None else session.before.copy()
    if x.ctx is None and phases is not None and phases.new_ctx is not None:
        x.ctx = phases.new_ctx()
    try:
        if phase == PH_UPSTREAM_REQUEST:
            answer = hook(session, session.request, x.ctx)
        elif phase == PH_RESPONSE:
            answer = hook(session, session.response, x.ctx)
        elif phase == PH_LOGGING:
            answer = hook(session, None, x.ctx)
        elif phase == PH_REPLY:
            answer = hook(session)
        else:
            answer = hook(session, x.ctx)
    except (Exception, SystemExit) as error:  # a hook that exits must not take the worker along
        return take_answer(x, phase, None, error)
    if answer is None and phase != PH_REPLY:
        return PHASE_GO_ON
    if inspect.isawaitable(answer):
        return park(x, phase, answer)
    return take_answer(x, phase, answer, None)


def body_is_filtered(x, name):
    phases = x.services.hooks
    if x.route.hooks is not None:
        phases = x.route.hooks
    return phases is not None and getattr(phases, name) is not None


@cython.cfunc
@cython.exceptval(-1)
def park(x: Exchange, phase: cython.int, answer: object) -> cython.int:
    """Let the coroutine run on the loop; the exchange rests meanwhile."""
    if phase == PH_LOGGING:
        session_of(x).keep_all()
    else:
        x.state = X_PARKED
    services: object = x.services
    task = x.services.runner(answer, functools.partial(services.hook_done, x, x.epoch, phase))
    if phase != PH_LOGGING:  # that one outlives its request
        x.parked = task
    return PHASE_PARKED


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
