"""The id of a request: the client's own when it is a sane one, else made here; the same upstream and in both logs."""

import cython
from cython.cimports.libc.string import memcpy
from cython.cimports.worker.plane.h1_parse import F_X_REQUEST_ID

TEXT = b"".join([b"%02x" % octet for octet in range(256)])
PAIRS = cython.declare(cython.p_const_char, TEXT)  # the two digits of every octet
REQUEST_ID = cython.declare(cython.int, F_X_REQUEST_ID)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def put_hex16(to: cython.p_char, value: cython.ulonglong) -> cython.void:
    """Sixteen hexadecimal digits."""
    i: cython.int
    for i in range(8):
        memcpy(to + 2 * i, PAIRS + 2 * ((value >> (56 - 8 * i)) & 255), 2)


def take_request_id(arena, head, record, first_random, second_random):
    """The client's X-Request-Id when it is a sane one, else 32 random hexadecimal digits."""
    field: cython.int = head.first[REQUEST_ID]
    size: cython.int
    i: cython.int
    octet: cython.uchar
    if field >= 0:
        size = head.fields[field].value_size
        if 0 < size <= 128:
            for i in range(size):
                octet = arena.view[head.start + head.fields[field].value + i]
                if octet <= 32 or octet >= 127 or octet == 34 or octet == 92:
                    break
                record.request_id[i] = cython.cast(cython.char, octet)
            else:
                record.request_id_size = size
                return 0
    put_hex16(record.request_id, first_random)
    put_hex16(record.request_id + 16, second_random)
    record.request_id_size = 32
    return 0


def next_random(state):
    """xorshift64*."""
    value: cython.ulonglong = state[0]
    value ^= value >> 12
    value ^= value << 25
    value ^= value >> 27
    state[0] = value
    return value * cython.cast(cython.ulonglong, 2685821657736338717)
