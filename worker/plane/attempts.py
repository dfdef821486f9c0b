"""The peers that one exchange tries: pick, dial, send; and when an attempt fails, whether another follows."""

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.worker.plane.cells import (
    C_RESET_CLOSED,
    C_RESET_CONNECT,
    C_RESET_TIMEOUT,
    C_RETRY_BUDGET_SPENT,
    C_RETRY_CONNECT,
    C_RETRY_REUSED_CLOSED,
    C_RETRY_STATUS,
    C_RETRY_TIMEOUT,
)
from cython.cimports.worker.plane.exchange import (
    PHASE_GO_ON,
    X_ANSWERING,
    X_DIALING,
    X_SENT,
    Exchange,
    Services,
    Side,
)
from cython.cimports.worker.plane.hook_slots import PH_UPSTREAM_REQUEST, WANTS_UPSTREAM_REQUEST
from cython.cimports.worker.plane.pick import Peer
from cython.cimports.worker.plane.record import (
    END_CONNECT_FAILED,
    END_CONNECT_TIMEOUT,
    END_NO_PEER,
    END_OK,
    END_QUEUE_FULL,
    END_TLS_FAILED,
    END_UPSTREAM_SILENT,
    END_UPSTREAM_TIMEOUT,
    Attempt,
)
from cython.cimports.worker.plane.retry import Outcome, may_retry
from cython.cimports.worker.plane.tunnel import wants_tunnel

CAUSES = {
    END_NO_PEER: "no peer is available",
    END_QUEUE_FULL: "the queue for this pool is full or its time is up",
    END_CONNECT_FAILED: "the connection was refused",
    END_CONNECT_TIMEOUT: "the connection was not made in time",
    END_UPSTREAM_TIMEOUT: "the origin did not answer in time",
    END_UPSTREAM_SILENT: "the origin does not answer a PING",
}


def choose_peer(x):
    """Pick and dial; called again for every attempt."""
    peer: Peer = x.picked
    k: cython.int = x.record.attempts
    attempt: cython.pointer(Attempt)
    x.picked = None
    if peer is None:
        peer = pick_peer(x)
    if peer is None:
        # A name without an address is the origin's trouble, as a refused connection is; no peer left is ours.
        unknown = x.route.pool is not None and x.route.pool.pending
        return x.refuse(502 if unknown else 503, END_NO_PEER, no_peer_cause(x))
    x.peer = peer
    x.state = X_DIALING
    x.attempt_us = x.services.host.now_us
    attempt = cython.address(x.record.tries[k])
    attempt.peer_size = min(cython.cast(cython.int, len(peer.text)), 112)
    memcpy(attempt.peer, cython.cast(cython.p_const_char, peer.text), attempt.peer_size)
    attempt.peer_cell = peer.cell
    attempt.status = attempt.reused = 0
    attempt.connect_us = attempt.header_us = attempt.response_us = -1
    attempt.bytes_sent = attempt.bytes_received = 0
    x.record.attempts = k + 1
    return x.services.dial(x)


@cython.cfunc
def pick_peer(x: Exchange) -> Peer:
    """The hook's choice or the pool's, but none that has failed this request; None: nobody is left."""
    if x.chosen is not None:
        return None if x.tried is not None and x.chosen in x.tried else x.chosen
    if x.route.pool is None:
        return None
    if x.route.pool.custom is not None:
        return x.services.ask_balancer(x)
    return x.route.pool.pick(hash_key(x), x.tried, x.services.host.now_ms)


@cython.cfunc
@cython.exceptval(0, check=True)
def hash_key(x: Exchange) -> cython.uint:
    """What the hashing algorithms hash: the client's address, or the path and query."""
    if x.route.pool.hash_needs == 0:
        return 0
    return x.route.hash_request(
        x.services.arena, cython.address(x.request), cython.address(x.record)
    )


@cython.cfunc
def no_peer_cause(x: Exchange) -> str:
    pool = x.route.pool
    if pool is None:
        return CAUSES[END_NO_PEER]
    name = pool.name.decode()
    if pool.pending:
        return f"the name of pool {name} has not been resolved"
    if not pool.peers:
        return f"pool {name} has no peers"
    return f"no peer of pool {name} is available"


def upstream_ready(x, up, reused):
    """A connection to the peer is there."""
    attempt: cython.pointer(Attempt) = cython.address(x.record.tries[x.record.attempts - 1])
    x.up = up
    up.exchange = x
    attempt.reused = reused
    attempt.connect_us = 0 if reused else x.services.host.now_us - x.attempt_us
    if not x.counted:
        x.services.cells.enter_peer(x.peer.cell)
        x.counted = True
    if x.hooked & WANTS_UPSTREAM_REQUEST:
        if x.services.run_phase(x, PH_UPSTREAM_REQUEST) != PHASE_GO_ON:
            return 0
    return send_upstream(x)


def send_upstream(x):
    """Send the head, then whatever there is of the body."""
    replay: cython.longlong
    up: Side = x.up
    x.state = X_SENT
    x.line.upgrade = x.route.websocket and wants_tunnel(x)
    up.send_request(x)
    if x.up is not up:  # the connection has gone meanwhile
        return 0
    if x.replay_size >= 0:  # an earlier attempt had the whole body already
        replay = x.replay
        return x.up.send_body(x, replay, x.replay_size, True)
    if not x.request_done:
        return x.down.go_on()
    return 0


def upstream_failed(x, ending, unsent):
    """The attempt is over without a response; `unsent`: no byte of the request can have been received."""
    services: Services = x.services
    reused: cython.bint = x.record.tries[x.record.attempts - 1].reused
    trouble: str = x.trouble
    timed_out: cython.bint = (
        ending == END_UPSTREAM_TIMEOUT
        or ending == END_CONNECT_TIMEOUT
        or ending == END_UPSTREAM_SILENT
    )
    if not reused or timed_out:
        services.cells.peer_failed(x.peer.cell, services.host.now_ms)
    x.trouble = None
    x.record.ending = ending
    services.cells.count_attempt(cython.address(x.record), x.record.attempts - 1)
    services.cells.add(reset_counter(ending), 1)
    x.drop_upstream(False)
    if x.state < X_ANSWERING and try_again(x, ending, unsent):
        return choose_peer(x)
    cause = CAUSES.get(ending, "the origin closed the connection before it had answered")
    if (
        trouble is not None
    ):  # also after the handshake: with TLS 1.3 an origin refuses our certificate only then
        cause = f"TLS with the origin failed: {trouble}"
        ending = END_TLS_FAILED
    return x.refuse(504 if timed_out else 502, ending, cause)


def try_again(x, ending, unsent):
    """Whether another attempt may follow; if so it is charged to the budget."""
    outcome: Outcome
    services: Services = x.services
    k: cython.int = x.record.attempts - 1
    outcome.ending = ending
    outcome.status = x.record.tries[k].status
    outcome.unsent = unsent
    outcome.reused = x.record.tries[k].reused
    outcome.idempotent = x.idempotent
    outcome.body_lost = x.body_seen > 0 and x.replay_size < 0
    outcome.attempts = k + 1
    if x.route is None or not may_retry(cython.address(outcome), x.route):
        return False
    if services.retry_credit < 1:
        services.cells.add(C_RETRY_BUDGET_SPENT, 1)
        return False
    if not outcome.reused:
        if x.tried is None:
            x.tried = []
        x.tried.append(x.peer)
    x.picked = pick_peer(x)
    if x.picked is None:
        return False
    services.retry_credit -= 1
    services.cells.add(retry_counter(ending), 1)
    x.fresh = True  # its idle connections are suspect: the next attempt opens its own
    return True


@cython.cfunc
@cython.exceptval(check=False)
def reset_counter(ending: cython.int) -> cython.int:
    """Which counter an attempt's failure belongs to."""
    if ending == END_CONNECT_FAILED or ending == END_CONNECT_TIMEOUT or ending == END_TLS_FAILED:
        return C_RESET_CONNECT
    if ending == END_UPSTREAM_TIMEOUT or ending == END_UPSTREAM_SILENT:
        return C_RESET_TIMEOUT
    return C_RESET_CLOSED


@cython.cfunc
@cython.exceptval(check=False)
def retry_counter(ending: cython.int) -> cython.int:
    """Which counter a retry belongs to."""
    if ending == END_OK:
        return C_RETRY_STATUS
    if ending == END_CONNECT_FAILED or ending == END_CONNECT_TIMEOUT or ending == END_TLS_FAILED:
        return C_RETRY_CONNECT
    return C_RETRY_TIMEOUT if ending == END_UPSTREAM_TIMEOUT else C_RETRY_REUSED_CLOSED
