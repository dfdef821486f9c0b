"""The origin's answer on its way to the client: head, body, trailers, end."""

import cython
from cython.cimports.worker.plane.attempts import choose_peer, try_again
from cython.cimports.worker.plane.exchange import (
    PHASE_ANSWERED,
    PHASE_GO_ON,
    X_ANSWERING,
    Exchange,
)
from cython.cimports.worker.plane.hook_slots import (
    PH_RESPONSE,
    WANTS_PEER,
    WANTS_REQUEST,
    WANTS_RESPONSE,
    WANTS_UPSTREAM_REQUEST,
)
from cython.cimports.worker.plane.record import END_OK, Attempt

# What is over when the response comes: these need not find its head later.
EARLY = cython.declare(cython.int, WANTS_REQUEST | WANTS_PEER | WANTS_UPSTREAM_REQUEST)


def response_head(x):
    """The origin's final response head was scanned into `response`; returns a PhaseVerdict."""
    attempt: cython.pointer(Attempt) = cython.address(x.record.tries[x.record.attempts - 1])
    attempt.status = x.response.status
    attempt.header_us = x.services.host.now_us - x.attempt_us
    x.record.status = x.response.status
    x.services.cells.peer_worked(x.peer.cell)
    if x.route.retry_statuses is not None and try_again(x, END_OK, False):
        x.services.cells.count_attempt(cython.address(x.record), x.record.attempts - 1)
        x.drop_upstream(False)
        choose_peer(x)
        return PHASE_ANSWERED
    if x.hooked & WANTS_RESPONSE:
        return x.services.run_phase(x, PH_RESPONSE)
    return PHASE_GO_ON


def keep_response_head(x):
    """The log or a parked hook needs the head after this turn."""
    arena = x.services.arena
    x.record.trailers_size = 0
    if not x.response_block:
        x.response_block = arena.alloc(x.response.size)
        arena.copy(x.response_block, x.response.start, x.response.size)
        x.response.start = x.response_block
    return 0


def response_start(x, offset, size, last):
    """The head goes downstream, with what there is of the body."""
    if x.hooked & ~EARLY or (x.services.log is not None and x.services.log.wants_response_head):
        keep_response_head(x)
    x.state = X_ANSWERING
    x.record.ending = END_OK  # whatever became of earlier attempts
    x.record.tries[x.record.attempts - 1].bytes_received += size
    x.down.send_response(x, offset, size, last)
    if last and x.state == X_ANSWERING:
        return answered(x)
    return 0


def response_data(x, offset, size, last):
    """More of the response body."""
    x.record.tries[x.record.attempts - 1].bytes_received += size
    x.down.send_body(x, offset, size, last)
    if last and x.state == X_ANSWERING:
        return answered(x)
    return 0


def response_trailers(x, offset, size):
    """The end of a response body that has trailers."""
    x.record.trailers = offset  # the log line is written before they go
    x.record.trailers_size = size
    x.down.send_trailers(x, offset, size)
    if x.state == X_ANSWERING:
        return answered(x)
    return 0


@cython.cfunc
@cython.exceptval(-1)
def answered(x: Exchange) -> cython.int:
    """The whole response is on its way."""
    x.record.tries[x.record.attempts - 1].response_us = x.services.host.now_us - x.attempt_us
    x.services.cells.count_attempt(cython.address(x.record), x.record.attempts - 1)
    x.drop_upstream(True)
    return x.finish()
