"""The plain counters that one finished request moves: bytes on both sides, and why it ended if not well."""

import cython
from cython.cimports.worker.plane.cells import (
    C_BAD_REQUEST,
    C_RECEIVED_CLIENT,
    C_RECEIVED_UPSTREAM,
    C_RESET_BAD_RESPONSE,
    C_SENT_CLIENT,
    C_SENT_UPSTREAM,
    C_TIMEOUT_BODY,
    C_TIMEOUT_CONNECT,
    C_TIMEOUT_HEADER,
    C_TIMEOUT_QUEUE,
    C_TIMEOUT_RESPONSE,
    C_TIMEOUT_TUNNEL,
)
from cython.cimports.worker.plane.record import (
    END_BAD_REQUEST,
    END_BAD_RESPONSE,
    END_CLIENT_TIMEOUT,
    END_CONNECT_TIMEOUT,
    END_OK,
    END_QUEUE_FULL,
    END_UPSTREAM_SILENT,
    END_UPSTREAM_TIMEOUT,
)


def tally(cells, record):
    """Called once per request, when it is over."""
    k: cython.int
    cells.add(C_RECEIVED_CLIENT, record.request_bytes)
    cells.add(C_SENT_CLIENT, record.bytes_sent)
    for k in range(record.attempts):
        cells.add(C_SENT_UPSTREAM, record.tries[k].bytes_sent)
        cells.add(C_RECEIVED_UPSTREAM, record.tries[k].bytes_received)
    if record.ending == END_OK:
        return 0
    if record.ending == END_BAD_REQUEST:
        return cells.add(C_BAD_REQUEST, 1)
    if record.ending == END_CLIENT_TIMEOUT and record.status == 101:
        return cells.add(C_TIMEOUT_TUNNEL, 1)
    if record.ending == END_CLIENT_TIMEOUT:
        return cells.add(C_TIMEOUT_HEADER if record.route < 0 else C_TIMEOUT_BODY, 1)
    if record.ending == END_CONNECT_TIMEOUT:
        return cells.add(C_TIMEOUT_CONNECT, 1)
    if record.ending == END_UPSTREAM_TIMEOUT or record.ending == END_UPSTREAM_SILENT:
        return cells.add(C_TIMEOUT_RESPONSE, 1)
    if record.ending == END_QUEUE_FULL:
        return cells.add(C_TIMEOUT_QUEUE, 1)
    if record.ending == END_BAD_RESPONSE:
        return cells.add(C_RESET_BAD_RESPONSE, 1)
    return 0
