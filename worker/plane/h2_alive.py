"""Asks a silent HTTP/2 connection for a sign of life by a PING (RFC 9113 6.7), and ends it when none comes.

Whatever comes is one. To origins all connections are watched, with streams or without: the way to a host may have gone
and nobody said so. Clients are watched while they have streams, where the configuration wants it.
"""

import cython
from cython.cimports.worker.plane.h2_control import put_ping
from cython.cimports.worker.plane.h2_faults import W_SILENT

ANSWER_MS = cython.declare(cython.longlong, 5000)  # or `ping_ms`, where that is less
# Servers of gRPC end a connection, with its calls, after four PINGs that come faster and have no data between them.
CALM_MS = cython.declare(cython.longlong, 305_000)


def begin_watch(owner):
    settings = cython.address(owner.services.settings)
    owner.ping_ms = settings.upstream_ping_ms if owner.client else settings.client_ping_ms
    owner.heard_ms = owner.connection.host.now_ms
    owner.answer_mark = -1
    return watch(owner)


def watch(owner):
    if owner.ping_ms and not owner.watch_due_ms:
        owner.watch_due_ms = owner.connection.host.now_ms + owner.ping_ms
        return owner.expect(owner.watch_due_ms)
    return 0


def look_for_life(owner):
    connection = owner.connection
    now_ms: cython.longlong = connection.host.now_ms
    patience_ms: cython.longlong
    owner.watch_due_ms = 0
    if owner.dying or not (owner.client or owner.streams):
        return 0
    if not connection.reading or connection.blocked:
        owner.asked = False  # we do not listen, or could not have asked: `send` bounds that
        return watch(owner)
    if owner.asked:
        owner.silent = True
        owner.blame(W_SILENT)
        return connection.close()
    patience_ms = owner.ping_ms
    if owner.client and owner.streams and connection.bytes_in == owner.answer_mark:
        patience_ms = max(CALM_MS, owner.ping_ms)
    if now_ms - owner.heard_ms < patience_ms:
        owner.watch_due_ms = min(owner.heard_ms + patience_ms, now_ms + owner.ping_ms)
        return owner.expect(owner.watch_due_ms)
    owner.asked = True
    put_ping(owner)
    owner.watch_due_ms = now_ms + min(ANSWER_MS, owner.ping_ms)
    return owner.expect(owner.watch_due_ms)
