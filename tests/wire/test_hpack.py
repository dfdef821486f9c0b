"""HPACK against RFC 7541's examples and the hpack library: decoding, refusing, encoding, bounded tables."""

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from worker.plane.h2_doors import Packer, Unpacker

BAD = 9
TOO_MUCH = 11

# RFC 7541 appendix C: blocks of one connection, and the fields of each.
REQUESTS = [
    (
        "828684410f7777772e6578616d706c652e636f6d",
        [":method GET", ":scheme http", ":path /", ":authority www.example.com"],
    ),
    (
        "828684be58086e6f2d6361636865",
        [
            ":method GET",
            ":scheme http",
            ":path /",
            ":authority www.example.com",
            "cache-control no-cache",
        ],
    ),
    (
        "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        [
            ":method GET",
            ":scheme https",
            ":path /index.html",
            ":authority www.example.com",
            "custom-key custom-value",
        ],
    ),
]
HUFFMAN_REQUESTS = [
    ("828684418cf1e3c2e5f23a6ba0ab90f4ff", REQUESTS[0][1]),
    ("828684be5886a8eb10649cbf", REQUESTS[1][1]),
    ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", REQUESTS[2][1]),
]


def plain(fields: list[tuple[bytes, bytes, bool]] | int) -> list[tuple[bytes, bytes]]:
    assert isinstance(fields, list)
    return [(name, value) for name, value, _ in fields]


def expected(texts: list[str]) -> list[tuple[bytes, bytes]]:
    return [tuple(part.encode() for part in text.split(" ", 1)) for text in texts]  # type: ignore[misc]


@pytest.mark.parametrize("blocks", [REQUESTS, HUFFMAN_REQUESTS], ids=["plain", "huffman"])
def test_the_examples_of_the_rfc(blocks: list[tuple[str, list[str]]]) -> None:
    unpacker = Unpacker()
    for block, texts in blocks:
        assert plain(unpacker.decode(bytes.fromhex(block))) == expected(texts)
    assert unpacker.table_size() == 164


def test_literals_of_the_rfc() -> None:
    assert Unpacker().decode(bytes.fromhex("040c2f73616d706c652f70617468")) == [
        (b":path", b"/sample/path", False)
    ]
    assert Unpacker().decode(bytes.fromhex("100870617373776f726406736563726574")) == [
        (b"password", b"secret", True)
    ]


NAMES = st.sampled_from(
    [
        b":path",
        b"cookie",
        b"x-a",
        b"x-b",
        b"server",
        b"accept",
        b"x" * 70,
        b"user-agent",
        b":status",
    ]
)
VALUES = st.one_of(
    st.sampled_from([b"", b"/", b"GET", b"200", b"a" * 300, b"gzip, deflate"]),
    st.binary(max_size=30),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


@given(
    st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([None, 0, 100, 4096])), max_size=6)
)
def test_what_the_library_encodes_we_decode(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]],
) -> None:
    encoder, unpacker = hpack.Encoder(), Unpacker()
    for fields, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        assert plain(unpacker.decode(encoder.encode(fields, huffman=huffman))) == fields
        assert unpacker.table_size() == encoder.header_table._current_size


@given(
    st.lists(
        st.tuples(FIELDS, st.booleans(), st.sampled_from([None, 0, 60, 1000, 100000])), max_size=6
    )
)
def test_what_we_encode_the_library_decodes(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]],
) -> None:
    packer, decoder = Packer(), hpack.Decoder()
    for fields, secret, size in blocks:
        if size is not None:
            packer.allow(size)
            decoder.max_allowed_table_size = min(size, 4096)
        block = packer.encode([(name, value, secret) for name, value in fields])
        heard = decoder.decode(block, raw=True)
        assert [(bytes(name), bytes(value)) for name, value in heard] == fields


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_any_octets_mean_the_same_to_the_library(blocks: list[bytes]) -> None:
    decoder, unpacker = hpack.Decoder(max_header_list_size=1 << 30), Unpacker()
    for block in blocks:
        ours = unpacker.decode(block)
        try:
            theirs = [(bytes(n), bytes(v)) for n, v in decoder.decode(block, raw=True)]
        except hpack.HPACKError:
            assert ours == BAD
            return
        if ours == BAD:
            # the library takes integers of any length
            assert huge_number(block)
            return
        assert plain(ours) == theirs


def huge_number(block: bytes) -> bool:
    """Whether a number of more than four octets could stand in the block."""
    return any(all(octet & 0x80 for octet in block[at : at + 4]) for at in range(len(block)))


@given(st.binary(max_size=80))
def test_huffman_strings(text: bytes) -> None:
    coded = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text)
    block = (
        b"\x00\x01a"
        + (bytes([0x80 | len(coded)]) if len(coded) < 127 else b"\xff" + number(len(coded) - 127))
        + coded
    )
    assert Unpacker().decode(block) == [(b"a", text, False)]


def number(value: int) -> bytes:
    """The octets of an integer behind a full prefix."""
    octets = b""
    while value >= 128:
        octets += bytes([value % 128 + 128])
        value //= 128
    return octets + bytes([value])


@pytest.mark.parametrize(
    "block",
    [
        "80",  # index 0
        "be",  # an empty dynamic table has no index 62
        "7f00",  # nor has a literal's name
        "0f2f",
        "00",  # no name
        "0001",  # name cut off
        "000161",  # no value
        "00016102",  # value cut off
        "000161827f",  # value's Huffman code cut off
        "ff8080808001",  # a number of too many octets
        "ffffffffff0f",
        "3fe21f",  # table size 4097
        "3fffffffff0f",
        "8220",  # table size change behind a field
        "00016181ff",  # padding of eight bits
        "00016182ffff",
        "00016184fffffffc",  # EOS in the text
        "0001618100",  # padding that is not of ones
    ],
)
def test_malformed_blocks(block: str) -> None:
    assert Unpacker().decode(bytes.fromhex(block)) == BAD


def test_a_full_huffman_octet_needs_no_padding() -> None:
    assert Unpacker().decode(bytes.fromhex("000161") + b"\x80") == [(b"a", b"", False)]
    assert (
        Unpacker().decode(bytes.fromhex("00016181fe")) == BAD
    )  # the first seven bits of a longer code


def test_the_list_is_bounded() -> None:
    block = Packer().encode([(b"x-a", b"b" * 100, False)] * 10)
    size = 10 * (3 + 100 + 32)
    assert len(plain(Unpacker().decode(block, list_bytes=size))) == 10
    assert Unpacker().decode(block, list_bytes=size - 1) == TOO_MUCH
    assert Unpacker().decode(block, most=9) == TOO_MUCH
    assert Unpacker().decode(block, room=1000) == TOO_MUCH
    assert len(plain(Unpacker().decode(block, room=1030))) == 10


def test_a_bomb_of_references_is_bounded() -> None:
    unpacker = Unpacker()
    unpacker.decode(b"\x40\x01a" + b"\x7f" + number(3900 - 127) + b"b" * 3900)
    assert unpacker.decode(b"\xbe" * 16000, most=100000) == TOO_MUCH
    assert Unpacker().decode(b"\x82" * 128, most=128) == [(b":method", b"GET", False)] * 128
    assert Unpacker().decode(b"\x82" * 129, most=128) == TOO_MUCH


def test_the_table_turns_over_many_times() -> None:
    unpacker, encoder = Unpacker(), hpack.Encoder()
    for turn in range(400):
        fields = [(b"name-%d" % turn, b"v" * (turn * 37 % 900)), (b"x-a", b"%d" % (turn % 7))]
        assert plain(unpacker.decode(encoder.encode(fields, huffman=False))) == fields
        assert unpacker.table_size() == encoder.header_table._current_size <= 4096


def test_an_entry_larger_than_the_table_empties_it() -> None:
    unpacker = Unpacker()
    unpacker.decode(b"\x40\x01a\x01b")
    assert unpacker.table_size() == 34
    unpacker.decode(b"\x40\x01a" + b"\x7f" + number(4100 - 127) + b"b" * 4100)
    assert unpacker.table_size() == 0


def test_what_repeats_is_sent_as_one_octet() -> None:
    packer = Packer()
    fields = [(b"Server", b"pingpy", False), (b"Content-Type", b"text/html", False)]
    first = packer.encode(fields, status=200)
    assert first.startswith(b"\x88")
    again = packer.encode(fields, status=200)
    assert len(again) == 3
    decoder = hpack.Decoder()
    for block in (first, again):
        heard = [(bytes(n), bytes(v)) for n, v in decoder.decode(block, raw=True)]
        assert heard == [
            (b":status", b"200"),
            (b"server", b"pingpy"),
            (b"content-type", b"text/html"),
        ]


@pytest.mark.parametrize(
    "status", [100, 101, 200, 204, 206, 301, 304, 400, 404, 418, 500, 503, 599]
)
def test_every_status(status: int) -> None:
    heard = hpack.Decoder().decode(Packer().encode([], status=status), raw=True)
    assert [(bytes(n), bytes(v)) for n, v in heard] == [(b":status", b"%d" % status)]


def test_secrets_are_never_indexed() -> None:
    packer, decoder = Packer(), hpack.Decoder()
    for _ in range(2):
        block = packer.encode([(b"user-agent", b"x", True), (b"authorization", b"y", True)])
        assert all(
            isinstance(field, hpack.NeverIndexedHeaderTuple)
            for field in decoder.decode(block, raw=True)
        )
        assert len(block) > 6
    assert decoder.header_table._current_size == 0


def test_the_other_side_may_shrink_and_grow_the_table() -> None:
    packer, decoder = Packer(), hpack.Decoder()
    fields = [(b"server", b"pingpy", False), (b"vary", b"accept", False)]
    decoder.decode(packer.encode(fields))
    packer.allow(0)
    packer.allow(200)
    decoder.max_allowed_table_size = 200
    block = packer.encode(fields)
    assert block.startswith(b"\x20\x3f\xa9\x01")  # 0, then 200
    assert [(bytes(n), bytes(v)) for n, v in decoder.decode(block, raw=True)] == [
        (n, v) for n, v, _ in fields
    ]
    assert not packer.encode(fields).startswith(b"\x20")
