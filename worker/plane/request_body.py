"""The client's body on its way to the origin: counted, bounded, kept while it can still be sent again."""

import cython
from cython.cimports.worker.plane.exchange import Services
from cython.cimports.worker.plane.grpc_bridge import decode_request, request_is_whole
from cython.cimports.worker.plane.record import END_BAD_REQUEST

from worker.plane.reply import TOO_LARGE

NO_BASE64 = "the body is not base64"
REPLAY_BYTES = cython.declare(cython.longlong, 65536)


def request_data(x, offset, size, last):
    services: Services = x.services
    x.record.request_bytes += size
    if x.bridge is not None:
        size = decode_request(x.bridge, offset, size)
        if size < 0 or (last and not request_is_whole(x.bridge)):
            return x.refuse(400, END_BAD_REQUEST, NO_BASE64)
        if size == 0 and not last:
            return 0
    if 0 <= x.route.max_body_bytes < x.body_seen + size:
        return x.refuse(413, END_BAD_REQUEST, TOO_LARGE)
    if last:
        x.request_done = True
        if x.body_seen == 0 and size <= REPLAY_BYTES and x.replay_size < 0:
            # RFC 9110 9.2.2: a request may be sent again only if all of it still can be.
            x.replay = services.arena.alloc(max(size, 1))
            x.replay_size = size
            services.arena.copy(x.replay, offset if size else x.replay, size)
    x.body_seen += size
    return 0 if x.up is None else x.up.send_body(x, offset, size, last)


def request_trailers(x, offset, size):
    if x.bridge is not None and not request_is_whole(x.bridge):
        return x.refuse(400, END_BAD_REQUEST, NO_BASE64)
    x.request_done = True
    x.body_seen += size
    return 0 if x.up is None else x.up.send_trailers(x, offset, size)
