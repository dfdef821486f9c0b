"""HTTP/2 frames: the verdict of RFC 9113 section 6 for each kind, cut anywhere; what we write, h2 reads."""

from typing import Any

import hyperframe.frame as theirs
import pytest
from hyperframe.exceptions import HyperframeError
from hypothesis import example, given
from hypothesis import strategies as st

from worker.plane.h2_doors import FrameReader, floods, read_preface, written

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
PROTOCOL, FLOW, SIZE = 1, 3, 6
END, ENDED, PADDED, PRIO = 1, 4, 8, 32


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 1) -> bytes:
    return (
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
    )


REFUSED = {
    "DATA on the connection": (frame(DATA, b"x", stream=0), PROTOCOL, 0),
    "DATA over the bound": (frame(DATA, b"x" * 16385), SIZE, 0),
    "DATA with all padding and more": (frame(DATA, b"\x01", PADDED), PROTOCOL, 0),
    "DATA with padding as long as the payload": (frame(DATA, b"\x04ab\0", PADDED), PROTOCOL, 0),
    "DATA without the padding's length": (frame(DATA, b"", PADDED), SIZE, 0),
    "HEADERS on the connection": (frame(HEADERS, b"x", ENDED, 0), PROTOCOL, 0),
    "HEADERS with too much padding": (frame(HEADERS, b"\x02a", PADDED | ENDED), PROTOCOL, 0),
    "HEADERS without their priority": (frame(HEADERS, b"abcd", PRIO | ENDED), SIZE, 0),
    "HEADERS, padding takes the priority": (
        frame(HEADERS, b"\x01abcde", PRIO | PADDED | ENDED),
        PROTOCOL,
        0,
    ),
    "PRIORITY on the connection": (frame(PRIORITY, bytes(5), stream=0), PROTOCOL, 0),
    "PRIORITY of another size": (frame(PRIORITY, bytes(4), stream=7), SIZE, 7),
    "RST_STREAM on the connection": (frame(RST, bytes(4), stream=0), PROTOCOL, 0),
    "RST_STREAM of another size": (frame(RST, bytes(5)), SIZE, 0),
    "SETTINGS on a stream": (frame(SETTINGS, bytes(6)), PROTOCOL, 0),
    "SETTINGS of another size": (frame(SETTINGS, bytes(5), stream=0), SIZE, 0),
    "SETTINGS acknowledged with a payload": (frame(SETTINGS, bytes(6), 1, 0), SIZE, 0),
    "PUSH_PROMISE": (frame(PUSH, bytes(8), ENDED), PROTOCOL, 0),
    "PING on a stream": (frame(PING, bytes(8)), PROTOCOL, 0),
    "PING of another size": (frame(PING, bytes(7), stream=0), SIZE, 0),
    "GOAWAY on a stream": (frame(GOAWAY, bytes(8)), PROTOCOL, 0),
    "GOAWAY too short": (frame(GOAWAY, bytes(7), stream=0), SIZE, 0),
    "WINDOW_UPDATE of another size": (frame(WINDOW, bytes(3)), SIZE, 0),
    "WINDOW_UPDATE of nothing, connection": (frame(WINDOW, bytes(4), stream=0), PROTOCOL, 0),
    "WINDOW_UPDATE of nothing, stream": (frame(WINDOW, b"\x80\0\0\0", stream=9), PROTOCOL, 9),
    "CONTINUATION of nothing": (frame(CONTINUATION, b"x", ENDED), PROTOCOL, 0),
    "any frame over the bound": (frame(99, bytes(16385)), SIZE, 0),
}


@pytest.mark.parametrize(("data", "error", "stream"), REFUSED.values(), ids=REFUSED)
def test_refused(data: bytes, error: int, stream: int) -> None:
    assert FrameReader(started=True).read(data) == (error, stream)
    for cut in range(min(len(data), 40)):
        assert FrameReader(started=True).read(data[:cut]) in (None, (error, stream))


ACCEPTED = {
    "DATA": (frame(DATA, b"abc", END), {"data": b"abc", "flags": END, "stream": 1, "padding": 0}),
    "empty DATA": (frame(DATA), {"data": b"", "size": 0}),
    "largest DATA": (frame(DATA, b"x" * 16384), {"size": 16384, "data": b"x" * 16384}),
    "padded DATA": (frame(DATA, b"\x02abc\0\0", PADDED), {"data": b"abc", "padding": 2}),
    "DATA of padding only": (
        frame(DATA, b"\x02\0\0", PADDED),
        {"data": b"", "padding": 2, "size": 3},
    ),
    "HEADERS": (frame(HEADERS, b"block", ENDED), {"data": b"block"}),
    "HEADERS with priority on itself": (
        frame(HEADERS, b"\0\0\0\x01\x10block", ENDED | PRIO),
        {"data": b"block"},
    ),
    "HEADERS with all": (
        frame(HEADERS, b"\x01\0\0\0\0\x10block\0", ENDED | PRIO | PADDED),
        {"data": b"block", "padding": 1},
    ),
    "PRIORITY": (frame(PRIORITY, bytes(5)), {"kind": PRIORITY}),
    "RST_STREAM": (frame(RST, b"\0\0\0\x08"), {"value": 8}),
    "SETTINGS": (
        frame(SETTINGS, b"\0\x04\0\0\xff\xff\x12\x34\0\0\0\x01", stream=0),
        {"settings": [(4, 65535, 0), (0x1234, 1, 0)]},
    ),
    "SETTINGS acknowledged": (frame(SETTINGS, b"", 1, 0), {"flags": 1, "settings": []}),
    "PING": (frame(PING, b"12345678", stream=0), {"size": 8}),
    "GOAWAY": (
        frame(GOAWAY, b"\x80\0\0\x05\0\0\0\x0bwhy", stream=0),
        {"last_stream": 5, "value": 11},
    ),
    "WINDOW_UPDATE": (frame(WINDOW, b"\xff\xff\xff\xff", stream=0), {"value": 2**31 - 1}),
    "reserved bit of the stream": (frame(DATA, b"a", stream=2**31 + 3), {"stream": 3}),
    "unknown kind": (frame(99, b"abc", 255, 5), {"kind": 99, "data": b""}),
    "unknown kind on the connection": (frame(16, b"abc", 0, 0), {"kind": 16}),
}


@pytest.mark.parametrize(("data", "says"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(data: bytes, says: dict[str, object]) -> None:
    said = FrameReader(started=True).read(data + b"rest")
    assert isinstance(said, dict)
    assert {key: said[key] for key in says} == says
    for cut in range(min(len(data), 40)):
        assert FrameReader(started=True).read(data[:cut]) is None


@pytest.mark.parametrize(
    ("name", "value", "client", "error"),
    [
        (1, 0, False, 0),
        (1, 2**32 - 1, False, 0),
        (2, 0, True, 0),
        (2, 1, False, 0),
        (2, 1, True, PROTOCOL),
        (2, 2, False, PROTOCOL),
        (3, 0, False, 0),
        (4, 2**31 - 1, False, 0),
        (4, 2**31, False, FLOW),
        (5, 16383, False, PROTOCOL),
        (5, 16384, False, 0),
        (5, 2**24 - 1, False, 0),
        (5, 2**24, False, PROTOCOL),
        (6, 0, False, 0),
        (8, 1, False, 0),
        (8, 2, False, PROTOCOL),
        (9, 2, False, 0),
    ],
)
def test_settings(name: int, value: int, client: bool, error: int) -> None:
    said = FrameReader(client=client, started=True).read(written("settings", 0, name, value))
    assert isinstance(said, dict)
    assert said["settings"] == [(name, value, error)]


def test_the_first_frame_is_settings() -> None:
    assert FrameReader().read(frame(PING, bytes(8), stream=0)) == (PROTOCOL, 0)
    assert FrameReader().read(frame(SETTINGS, b"", 1, 0)) == (PROTOCOL, 0)
    reader = FrameReader()
    assert isinstance(reader.read(frame(SETTINGS, stream=0)), dict)
    assert isinstance(reader.read(frame(PING, bytes(8), stream=0)), dict)


@pytest.mark.parametrize(
    "other",
    [
        frame(CONTINUATION, b"b", 0, 3),
        frame(DATA, b"b"),
        frame(99, b""),
        frame(PING, bytes(8), stream=0),
    ],
)
def test_nothing_comes_between_the_parts_of_a_block(other: bytes) -> None:
    reader = FrameReader(started=True)
    assert isinstance(reader.read(frame(HEADERS, b"a")), dict)
    assert reader.continues == 1
    assert FrameReader.read(reader, other) == (PROTOCOL, 0)
    assert isinstance(reader.read(frame(CONTINUATION, b"b")), dict)
    assert isinstance(reader.read(frame(CONTINUATION, b"c", ENDED)), dict)
    assert reader.continues == 0
    assert reader.read(frame(CONTINUATION, b"c", ENDED)) == (PROTOCOL, 0)


def test_the_preface() -> None:
    text = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    assert read_preface(text + b"x") == 24
    for cut in range(24):
        assert read_preface(text[:cut]) == 0
        assert read_preface(text[:cut] + b"!") == -2


def is_stricter(data: bytes, said: dict[str, Any]) -> bool:
    """Whether hyperframe refuses more than RFC 9113 does."""
    match said["kind"]:
        case (
            theirs.SettingsFrame.type
        ):  # judged as they are read; for us they are judged one by one
            return True
        case theirs.WindowUpdateFrame.type:  # 6.9: the reserved bit is ignored
            return bool(data[9] & 0x80)
        case (
            theirs.HeadersFrame.type
        ):  # 6.2: padding may leave nothing, but not be longer than what is left
            return bool(said["flags"] & PADDED) and said["data"] == b""
    return False


@example(frame(WINDOW, b"\x80\0\0\1"))
@example(frame(HEADERS, b"\4\0\0\0\0", PADDED | ENDED))
@given(st.binary(min_size=9, max_size=40))
def test_what_we_accept_the_library_reads_alike(data: bytes) -> None:
    data = bytes(2) + bytes([data[2] % 24]) + bytes([data[3] % 10]) + data[4:]
    said = FrameReader(started=True).read(data)
    if not isinstance(said, dict):
        return
    try:
        heard, size = theirs.Frame.parse_frame_header(memoryview(data[:9]))
        heard.parse_body(memoryview(data[9 : 9 + size]))
    except HyperframeError:
        assert is_stricter(data, said)
        return
    assert (size, heard.stream_id) == (said["size"], said["stream"])
    if isinstance(heard, theirs.DataFrame | theirs.HeadersFrame | theirs.ContinuationFrame):
        assert heard.data == said["data"]
    if isinstance(heard, theirs.DataFrame):
        assert heard.flow_controlled_length == said["size"]


def read_by_library(data: bytes) -> theirs.Frame:
    heard, size = theirs.Frame.parse_frame_header(memoryview(data[:9]))
    assert size == len(data) - 9
    heard.parse_body(memoryview(data[9:]))
    return heard


def test_what_we_write_the_library_reads() -> None:
    rst = read_by_library(written("rst", 5, 8))
    assert (rst.stream_id, rst.error_code) == (5, 8)
    goaway = read_by_library(written("goaway", 2**31 - 1, 11))
    assert (goaway.last_stream_id, goaway.error_code, goaway.stream_id) == (2**31 - 1, 11, 0)
    window = read_by_library(written("window", 7, 65536))
    assert (window.stream_id, window.window_increment) == (7, 65536)
    ping = read_by_library(written("ping", 0, 77))
    assert ("ACK" in ping.flags, ping.opaque_data) == (True, b"M" + bytes(7))
    assert read_by_library(written("settings", 0, 4, 1 << 20)).settings == {4: 1 << 20}
    assert written("head", 3, 0x010203, 9) == bytes.fromhex("010203090000000003")


CALM = 2000  # frames at the price of one


@pytest.mark.parametrize(
    ("kind", "flags", "price"),
    [
        (RST, 0, 10),
        (SETTINGS, 0, 20),
        (PING, 0, 10),
        (PRIORITY, 0, 5),
        (CONTINUATION, 0, 10),
        (HEADERS, 4, 1),
        (WINDOW, 0, 1),
        (99, 0, 5),
    ],
)
def test_floods_end(kind: int, flags: int, price: int) -> None:
    assert floods([(kind, flags, 0, 0, 0)] * 3000) == CALM // price
    spread = [(kind, flags, 0, at * price * 5, 0) for at in range(3000)]
    assert floods(spread) == 3000


def test_data_is_free_but_empty_data_is_not() -> None:
    assert floods([(DATA, 0, 1, 0, 0)] * 5000) == 5000
    assert floods([(DATA, 0, 0, 0, 0)] * 5000) == CALM // 10
    assert floods([(DATA, END, 0, 0, 0)] * 5000) == 5000


def test_window_updates_are_paid_by_what_moves() -> None:
    assert floods([(WINDOW, 0, 0, 0, 4096)] * 50000) == 50000
    assert floods([(WINDOW, 0, 0, 0, 4095)] * 50000) == CALM
