"""Bounds the time between two pieces of a request body over HTTP/2: by `body`, for messages of a gRPC call `tunnel`.

A stream of messages may be silent as long as a tunnel may: its client waits for something to say.
"""

import cython
from cython.cimports.worker.plane.exchange import X_SENT, Exchange
from cython.cimports.worker.plane.grpc_answers import grpc_media_type
from cython.cimports.worker.plane.record import END_CLIENT_TIMEOUT


@cython.cfunc
@cython.exceptval(-1)
def is_call(x: Exchange) -> cython.bint:
    """Whether what comes are messages of a gRPC call; known once there is a route."""
    return x.route is not None and x.route.grpc and grpc_media_type(x) is not None


def watch_body(stream):
    settings = cython.address(stream.owner.services.settings)
    x: Exchange = stream.exchange
    stream.patient = x is not None and is_call(x)
    stream.receive_mark = stream.received
    stream.receive_due_ms = stream.connection.host.now_ms + (
        x.route.tunnel_ms if stream.patient else settings.body_ms
    )
    return stream.owner.expect(stream.receive_due_ms)


def body_overdue(stream):
    """Nothing, or too little, though we were willing to read: it is the client who is slow."""
    x: Exchange = stream.exchange
    settings = cython.address(stream.owner.services.settings)
    came: cython.longlong = stream.received - stream.receive_mark
    if x is None or stream.remote_done:
        return 0
    if stream.held or stream.early.bytes or x.state < X_SENT:
        return watch_body(stream)
    if not stream.patient and is_call(x):
        return watch_body(stream)
    if came == 0 or (not stream.patient and came * 1000 < settings.body_rate * settings.body_ms):
        return x.refuse(408, END_CLIENT_TIMEOUT, "the request body came too slowly")
    return watch_body(stream)
