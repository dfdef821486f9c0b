"""The octets of gRPC-Web, cut at every place: base64 both ways, where messages end, the frame of trailers."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.plane.grpc_web import (
    decode_parts,
    encode_parts,
    grpc_suffix,
    message_ends,
    trailer_frame,
    web_kind,
)

MESSAGES = [b"", b"a", b"ab", b"abc", bytes(range(256)), b"\xff" * 70]


def framed(message: bytes, flags: int = 0) -> bytes:
    return bytes([flags]) + len(message).to_bytes(4, "big") + message


def cuts(size: int, chance: random.Random) -> list[int]:
    sizes = []
    while size:
        sizes.append(chance.randint(1, size))
        size -= sizes[-1]
    return sizes


@pytest.mark.parametrize("message", MESSAGES)
def test_base64_is_read_whatever_the_cut(message: bytes) -> None:
    text = base64.b64encode(message)
    for at in range(len(text) + 1):
        assert decode_parts(text, [at, len(text) - at]) == message
    assert decode_parts(text, [1] * len(text)) == message


@given(st.lists(st.binary(max_size=40), max_size=8), st.randoms(use_true_random=False))
def test_padding_may_stand_in_the_middle(parts: list[bytes], chance: random.Random) -> None:
    text = b"".join(base64.b64encode(part) for part in parts)
    assert decode_parts(text, cuts(len(text), chance)) == b"".join(parts)


@given(st.text(alphabet="AB+/=Z\n -_", max_size=12).map(str.encode))
def test_what_is_no_base64_is_refused(text: bytes) -> None:
    """Against the library's strict reader, group by group: each group is base64 of its own, or the text is none."""

    def strict(group: bytes) -> bytes | None:
        try:
            return base64.b64decode(group, validate=True) if len(group) == 4 else None
        except ValueError:
            return None

    groups = [strict(text[at : at + 4]) for at in range(0, len(text), 4)]
    wanted = None if None in groups else b"".join(group for group in groups if group is not None)
    assert decode_parts(text, [len(text)]) == wanted
    assert decode_parts(text, [1] * len(text)) == wanted


@given(
    st.lists(st.tuples(st.binary(max_size=50), st.booleans()), max_size=8),
)
def test_base64_is_written_whatever_the_cut(parts: list[tuple[bytes, bool]]) -> None:
    flushes = [flush for _, flush in parts]
    data = b"".join(part for part, _ in parts)
    said = encode_parts(data, [len(part) for part, _ in parts], flushes)
    done = b""
    for number, (_, flush) in enumerate(parts):
        text = b"".join(said[: number + 1])
        assert len(text) % 4 == 0
        done = decode_parts(text, [len(text)]) or b""
        whole = b"".join(part for part, _ in parts[: number + 1])
        assert whole.startswith(done)
        assert len(whole) - len(done) < 3
        if flush:
            assert done == whole
    assert b"=" not in b"".join(
        text for text, flush in zip(said, flushes, strict=True) if not flush
    )


@given(st.lists(st.binary(max_size=300), max_size=6), st.randoms(use_true_random=False))
def test_every_octet_is_known_to_end_a_message_or_not(
    messages: list[bytes], chance: random.Random
) -> None:
    data = b"".join(framed(message, chance.randint(0, 1)) for message in messages)
    ends, at = {0}, 0
    for message in messages:
        at += 5 + len(message)
        ends.add(at)
    assert message_ends(data, [1] * len(data)) == [i + 1 in ends for i in range(len(data))]
    at = 0
    sizes = cuts(len(data), chance)
    for size, ended in zip(sizes, message_ends(data, sizes), strict=True):
        at += size
        assert ended == (at in ends)


def test_a_message_may_have_four_octets_of_length() -> None:
    head = b"\0\xff\xff\xff\xff"
    assert message_ends(head + bytes(100), [105]) == [False]


def test_trailers_are_a_frame_of_lower_case_names() -> None:
    lines = b"Grpc-Status: 0\r\nX-Note: A: B\r\ngrpc-message: Ok\r\n"
    frame = trailer_frame(lines)
    assert frame[:5] == b"\x80" + len(lines).to_bytes(4, "big")
    assert frame[5:] == b"grpc-status: 0\r\nx-note: A: B\r\ngrpc-message: Ok\r\n"
    assert trailer_frame(b"") == b"\x80\0\0\0\0"


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        (b"application/grpc-web", (b"", False)),
        (b"Application/gRPC-Web+proto", (b"+proto", False)),
        (b"application/grpc-web+thrift ; x=1", (b"+thrift", False)),
        (b"application/grpc-web-text", (b"", True)),
        (b"application/grpc-web-text+proto", (b"+proto", True)),
        (b"application/grpc", None),
        (b"application/grpc+proto", None),
        (b"application/grpc-webx", None),
        (b"application/grpc-web-texts", None),
        (b"", None),
    ],
)
def test_which_media_types_are_gRPC_Webs(  # noqa: N802 - its own spelling
    media_type: bytes, kind: tuple[bytes, bool] | None
) -> None:
    assert web_kind(media_type) == kind


def test_which_media_types_are_gRPCs() -> None:  # noqa: N802
    assert grpc_suffix(b"application/grpc") == b""
    assert grpc_suffix(b"Application/grpc+json; x") == b"+json"
    assert grpc_suffix(b"application/grpc-web") is None
    assert grpc_suffix(b"text/html") is None
