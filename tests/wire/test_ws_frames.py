"""Where WebSocket frames begin and end, cut at every octet; the `websockets` library is the second opinion."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

from worker.plane.ws_frames import close_frame, track_parts

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 70000)


def frame(opcode: Opcode, size: int, masked: bool, fin: bool = True) -> bytes:
    return Frame(opcode, random.Random(size).randbytes(size), fin).serialize(mask=masked)


def ends(frames: list[bytes]) -> set[int]:
    """The places between frames."""
    places, at = {0}, 0
    for one in frames:
        at += len(one)
        places.add(at)
    return places


@pytest.mark.parametrize("masked", [False, True])
def test_every_octet_is_known_to_end_a_frame_or_not(masked: bool) -> None:
    frames = [
        frame(Opcode.TEXT, 3, masked),
        frame(Opcode.BINARY, 0, masked),
        frame(Opcode.PING, 125, masked),
        frame(Opcode.BINARY, 126, masked, fin=False),
        frame(Opcode.PONG, 0, masked),
        frame(Opcode.CONT, 300, masked),
    ]
    data = b"".join(frames)
    told = track_parts(data, [1] * len(data), masked, -1)
    boundaries = {
        at + 1 for at, (_, between, lost, _, _) in enumerate(told) if between and not lost
    }
    assert boundaries | {0} == ends(frames)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_lengths_of_one_two_and_eight_octets(size: int, masked: bool) -> None:
    data = frame(Opcode.BINARY, size, masked)
    assert track_parts(data, [len(data)], masked, -1) == [(len(data), True, False, False, 0)]
    cut = len(data) - 1
    assert track_parts(data, [cut, 1], masked, -1)[0][1] is False


@given(
    st.lists(st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), st.integers(0, 400))),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_cut_gives_the_same(
    what: list[tuple[Opcode, int]], masked: bool, chance: random.Random
) -> None:
    frames = [frame(opcode, size, masked) for opcode, size in what]
    data = b"".join(frames)
    sizes, left = [], len(data)
    while left:
        sizes.append(chance.randint(1, left))
        left -= sizes[-1]
    at = 0
    for size, (after, between, lost, _, _) in zip(
        sizes, track_parts(data, sizes, masked, -1), strict=True
    ):
        at += size
        assert (after, between, lost) == (at, at in ends(frames), False)


def test_it_stops_at_the_first_end_of_a_frame() -> None:
    one, two = frame(Opcode.TEXT, 10, False), frame(Opcode.TEXT, 5, False)
    data = one + two
    assert track_parts(data, [4, len(data) - 4], False, 1)[1][0] == len(one)
    assert track_parts(data, [len(one), len(two)], False, 1)[1][0] == len(one)


def test_a_close_frame_is_noticed_with_its_head() -> None:
    data = frame(Opcode.TEXT, 10, True) + Frame(
        Opcode.CLOSE, Close(1000, "bye").serialize()
    ).serialize(mask=True)
    *_, (_, _, _, closed_before, _) = track_parts(data, [16], True, -1)
    *_, (_, _, _, closed_after, _) = track_parts(data, [len(data)], True, -1)
    assert (closed_before, closed_after) == (False, True)


@pytest.mark.parametrize(
    ("data", "masked"),
    [
        (b"\x83\x00", False),  # a reserved opcode
        (b"\x8b\x00", False),
        (b"\x08\x00", False),  # a control frame in pieces
        (b"\x89\x7e\x00\x7e", False),  # a long control frame
        (b"\x82\x81", False),  # a server's frame with a mask
        (b"\x82\x01", True),  # a client's without
        (b"\x82\x7f\x80", False),  # a length of 64 bits
        (b"GET / HTTP/1.1\r\n", True),
    ],
)
def test_what_is_no_frame_is_followed_no_further(data: bytes, masked: bool) -> None:
    padded = data + bytes(20)
    told = track_parts(padded, [len(padded), 0], masked, 1)
    assert told[0][1:3] == (False, True)
    assert told[1][0] == len(padded)  # never a place to stop


@pytest.mark.parametrize("masked", [False, True])
def test_our_close_frame_is_read_by_others(masked: bool) -> None:
    data = close_frame(1012, masked)
    assert track_parts(data, [len(data)], masked, -1) == [(len(data), True, False, True, 0)]
    reader = StreamReader()
    reader.feed_data(data)
    parser = Frame.parse(reader.read_exact, mask=masked)
    with pytest.raises(StopIteration) as stopped:
        next(parser)
    read = stopped.value.value
    assert (read.opcode, Close.parse(read.data)) == (Opcode.CLOSE, Close(1012, ""))
