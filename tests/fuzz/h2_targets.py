"""What is fuzzed of HTTP/2: field blocks against the hpack library, and frames against hyperframe."""

from collections.abc import Callable

import hpack

from worker.plane.h2_doors import FrameReader, Unpacker

COMPRESSION_ERROR = 9
FRAME_HEAD = 9


def huge_number(block: bytes) -> bool:
    """Whether a number of more than four octets could stand in the block: we refuse it, the library does not."""
    return any(all(octet & 0x80 for octet in block[at : at + 4]) for at in range(len(block)))


def field_blocks(data: bytes) -> None:
    """Blocks of one connection, split at 0xFF 0x00: the library and we agree about each, and about the table."""
    theirs, ours = hpack.Decoder(max_header_list_size=1 << 30), Unpacker()
    for block in data.split(b"\xff\x00"):
        said = ours.decode(block, most=128, list_bytes=1 << 30, room=1 << 16)
        try:
            heard = [(bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True)]
        except hpack.HPACKError:
            assert isinstance(said, int)
            return
        if isinstance(said, int):
            assert said != COMPRESSION_ERROR or huge_number(block)
            return
        assert [(name, value) for name, value, _ in said] == heard
        assert ours.table_size() == theirs.header_table._current_size <= 4096


def frames(data: bytes) -> None:
    """Frames one behind the other: a cut one waits or is refused alike, and sizes add up."""
    reader = FrameReader()
    while data:
        state = (reader.started, reader.continues)
        part = FrameReader(started=state[0])
        part.continues = state[1]
        cut = part.read(data[: sum(data) % len(data)])
        said = reader.read(data)
        assert cut is None or cut == said
        if not isinstance(said, dict):
            return
        assert said["size"] <= 16384
        if (
            said["kind"] <= 1
        ):  # DATA, HEADERS: the padding's length and a priority stand before the data
            head = bool(said["flags"] & 8) + 5 * (said["kind"] == 1 and said["flags"] & 0x20 != 0)
            assert head + len(said["data"]) + said["padding"] == said["size"]
        data = data[FRAME_HEAD + said["size"] :]


TARGETS: dict[str, Callable[[bytes], None]] = {"hpack": field_blocks, "h2-frames": frames}
SETTINGS = bytes.fromhex("000006040000000000000400010000")
SEEDS: dict[str, list[bytes]] = {
    "hpack": [
        bytes.fromhex("828684410f7777772e6578616d706c652e636f6dff00828684be58086e6f2d6361636865"),
        bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff"),
        bytes.fromhex("3fe11f20400161016200017a0179100870617373776f726406736563726574"),
    ],
    "h2-frames": [
        SETTINGS
        + bytes.fromhex("000003010400000001828684")
        + bytes.fromhex("000004080000000000ffffffff"),
        SETTINGS
        + bytes.fromhex("00000501080000000102616200")
        + bytes.fromhex("0000010904000000010a"),
        SETTINGS
        + bytes.fromhex("0000060008000000010261620000")
        + bytes.fromhex("0000080601000000000102030405060708"),
        SETTINGS + bytes.fromhex("00000a012c00000001010000000210828684")[:-1] + b"\x00",
    ],
}
WORDS = [
    b"\xff\x00",
    b"\x82",
    b"\x40\x01a\x01b",
    b"\x3f\xe1\x1f",
    b"\x20",
    SETTINGS,
    b"\x00\x00\x00",
    b"\x00\x00\x00\x01",
]
