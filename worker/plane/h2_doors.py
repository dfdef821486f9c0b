"""Lets Python call the HTTP/2 wire formats: for tests, fuzzers and differential checks, never on a connection."""

import cython
from cython.cimports.worker.plane.h2_frames import (
    FRAME_HEAD_BYTES,
    T_SETTINGS,
    Frame,
    FrameOrder,
    Purse,
    frame_body,
    frame_head,
    order_begin,
    preface,
    purse_begin,
    purse_earn,
    purse_pay,
    put_frame,
    put_goaway,
    put_ping_ack,
    put_rst,
    put_setting,
    put_window,
    read_setting,
)
from cython.cimports.worker.plane.h2_heads import (
    H2Head,
    h2_fault_text,
    request_text,
    response_text,
    trailer_text,
)
from cython.cimports.worker.plane.hpack import Decoder, Pair
from cython.cimports.worker.plane.hpack_encoder import Encoder


class Unpacker:
    """A decoder with the state of one connection."""

    def __init__(self) -> None:
        self.decoder = Decoder()

    def decode(self, block: bytes, most: int = 128, list_bytes: int = 65536, room: int = 65536):
        """The fields of a block as (name, value, never indexed), or the error code."""
        decoder: Decoder = self.decoder
        size: cython.int = len(block)
        view: cython.uchar[::1] = bytearray(block) + bytearray(room)
        pairs: Pair[128]
        count: cython.int = decoder.decode(
            view, 0, size, size, len(view), pairs, min(most, 128), list_bytes
        )
        if count < 0:
            return decoder.fault
        return [
            (
                bytes(view[pairs[index].name : pairs[index].name + pairs[index].name_size]),
                bytes(view[pairs[index].value : pairs[index].value + pairs[index].value_size]),
                bool(pairs[index].never),
            )
            for index in range(count)
        ]

    def table_size(self) -> int:
        """What the dynamic table counts now."""
        decoder: Decoder = self.decoder
        return decoder.size


class Packer:
    """An encoder with the state of one connection."""

    def __init__(self) -> None:
        self.encoder = Encoder()

    def allow(self, limit: int) -> None:
        """The other side's table size."""
        encoder: Encoder = self.encoder
        encoder.allow(limit)

    def encode(self, fields: list, status: int = 0) -> bytes:
        """A block of (name, value, secret)."""
        encoder: Encoder = self.encoder
        room: cython.int = 64 + sum(len(name) + len(value) + 16 for name, value, _ in fields)
        out: cython.uchar[::1] = bytearray(room)
        view: cython.uchar[::1]
        at: cython.longlong = encoder.begin_block(out, 0)
        if status:
            at = encoder.put_status(out, at, status)
        for name, value, secret in fields:
            view = bytearray(name + value)
            at = encoder.put(out, at, view, 0, len(name), len(name), len(value), secret)
        return bytes(out[:at])


class FrameReader:
    """Reads whole frames of one connection."""

    def __init__(self, client: bool = False, started: bool = False) -> None:
        self.client = client
        self.continues = 0
        self.started = started

    def read(self, data: bytes):
        """A dict of the first frame; None when more is needed; (error code, stream) when it is refused."""
        view: cython.uchar[::1] = bytearray(data)
        frame: Frame
        order: FrameOrder
        result: cython.int
        order_begin(cython.address(order), self.client)
        order.started = self.started
        order.block_stream = self.continues
        result = frame_head(view, 0, len(data), cython.address(frame), cython.address(order))
        if result == 0:
            return None
        if result > 0:
            result = frame_body(view, FRAME_HEAD_BYTES, len(data), cython.address(frame))
        if result < 0:
            return frame.error, frame.error_stream
        if result == 0 or FRAME_HEAD_BYTES + frame.size > len(data):
            return None
        self.started = order.started
        self.continues = order.block_stream
        return {
            "size": frame.size,
            "kind": frame.kind,
            "flags": frame.flags,
            "stream": frame.stream,
            "data": bytes(view[frame.data : frame.data + frame.data_size])
            if frame.data_size
            else b"",
            "padding": frame.padding,
            "value": frame.value,
            "last_stream": frame.last_stream,
            "settings": self.settings(view, frame.size) if frame.kind == T_SETTINGS else [],
        }

    def settings(self, view: cython.uchar[::1], size: cython.int) -> list:
        """The settings of a payload as (name, value, error)."""
        name: cython.int
        value: cython.uint
        error: cython.int
        said: list = []
        at: cython.int
        for at in range(FRAME_HEAD_BYTES, FRAME_HEAD_BYTES + size, 6):
            error = read_setting(view, at, self.client, cython.address(name), cython.address(value))
            said.append((name, value, error))
        return said


def read_preface(data: bytes) -> int:
    """What `preface` says."""
    view: cython.uchar[::1] = bytearray(data)
    return preface(view, 0, len(data))


def written(what: str, stream: int, one: int = 0, two: int = 0) -> bytes:
    """What the writers write."""
    view: cython.uchar[::1] = bytearray(64)
    at: cython.longlong
    if what == "rst":
        at = put_rst(view, 0, stream, one)
    elif what == "goaway":
        at = put_goaway(view, 0, stream, one)
    elif what == "window":
        at = put_window(view, 0, stream, one)
    elif what == "ping":
        view[40] = one
        at = put_ping_ack(view, 0, 40)
    elif what == "settings":
        at = put_setting(view, put_frame(view, 0, 6, T_SETTINGS, 0, 0), one, two)
    else:
        at = put_frame(view, 0, one, two, 0, stream)
    return bytes(view[:at])


def floods(frames: list) -> int:
    """How many of (kind, flags, data octets, milliseconds, octets moved) a fresh purse pays."""
    purse: Purse
    frame: Frame
    paid: cython.int = 0
    purse_begin(cython.address(purse), 0)
    for kind, flags, size, now, moved in frames:
        frame.kind = kind
        frame.flags = flags
        frame.data_size = size
        purse_earn(cython.address(purse), moved)
        if not purse_pay(cython.address(purse), cython.address(frame), now):
            break
        paid += 1
    return paid


def as_text(fields: list, what: str = "request", room: int = 4096):
    """The HTTP/1.1 text of (name, value) pairs with "https" and "extended"; else the status and the fault."""
    flat: bytes = b"".join(name + value for name, value in fields)
    size: cython.int = len(flat)
    view: cython.uchar[::1] = bytearray(flat) + bytearray(room)
    pairs: Pair[128]
    head: H2Head
    index: cython.int
    at: cython.longlong = 0
    written: cython.int
    count: cython.int = min(len(fields), 128)
    for index in range(count):
        pairs[index].name = at
        pairs[index].name_size = len(fields[index][0])
        pairs[index].value = at + pairs[index].name_size
        pairs[index].value_size = len(fields[index][1])
        at = pairs[index].value + pairs[index].value_size
    if what == "request":
        written = request_text(view, pairs, count, size, len(view), cython.address(head))
    elif what == "response":
        written = response_text(view, pairs, count, size, len(view), cython.address(head))
    else:
        written = trailer_text(view, pairs, count, size, len(view), False, cython.address(head))
    if written < 0:
        return -written, h2_fault_text(head.fault)
    return bytes(view[size : size + written]), head.https, head.extended
