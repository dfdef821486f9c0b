"""The chunked coding and trailer sections: every row, whole, cut in two anywhere, and octet by octet."""

import pytest

from worker.plane.h1_doors import read_chunks

LINE_BYTES = 1024
TRAILER_BYTES = 8192
WASTE_BYTES = 16384

ACCEPTED = [
    ("empty body", b"0\r\n\r\n", b"", b""),
    ("one chunk", b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""),
    ("chunks", b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", b"hello!", b""),
    ("data that looks like framing", b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", b""),
    (
        "upper and lower case",
        b"A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n",
        b"01234567890123456789a",
        b"",
    ),
    ("leading zeros", b"0005\r\nhello\r\n0000\r\n\r\n", b"hello", b""),
    ("fifteen digits", b"000000000000005\r\nhello\r\n0\r\n\r\n", b"hello", b""),
    ("extension", b"5;a\r\nhello\r\n0;b=c\r\n\r\n", b"hello", b""),
    ("quoted extension", b'5;a="b;\\" c\xff\t"\r\nhello\r\n0\r\n\r\n', b"hello", b""),
    ("long extension", b"5;" + b"a" * (LINE_BYTES - 4) + b"\r\nhello\r\n0\r\n\r\n", b"hello", b""),
    ("trailer", b"0\r\nX: y\r\n\r\n", b"", b"X: y\r\n"),
    (
        "trailers",
        b"1\r\n.\r\n0\r\nGrpc-Status: 0\r\nX:\r\nETag: \xff\t z \r\n\r\n",
        b".",
        b"Grpc-Status: 0\r\nX:\r\nETag: \xff\t z \r\n",
    ),
    (
        "names like forbidden ones",
        b"0\r\nhos: a\r\nhostt: b\r\nxhost: c\r\n\r\n",
        b"",
        b"hos: a\r\nhostt: b\r\nxhost: c\r\n",
    ),
    (
        "long trailers",
        b"0\r\nX: " + b"a" * (TRAILER_BYTES - 7) + b"\r\n\r\n",
        b"",
        b"X: " + b"a" * (TRAILER_BYTES - 7) + b"\r\n",
    ),
]
REFUSED = [
    *(
        (f"size {size!r}", size + b"\r\nhello\r\n0\r\n\r\n")
        for size in (
            b"",
            b"+5",
            b"-5",
            b"0x5",
            b" 5",
            b"5 ",
            b"\t5",
            b"5\t",
            b"5 ;a",
            b"g",
            b"5g",
            b"5.",
            b"5,",
            b"5_",
            b"\xb5",
            b"5\0",
            b"5\r",
            b"0" * 16,
            b"1" + b"0" * 15,
            b"ffffffffffffffff",
            b"10000000000000005",
            b";a",
        )
    ),
    ("bare LF after the size", b"5\nhello\r\n0\r\n\r\n"),
    ("bare LF in an extension", b"5;a\nhello\r\n0\r\n\r\n"),
    ("bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("two CR after an extension", b"5;a\r\r\nhello\r\n0\r\n\r\n"),
    ("NUL in an extension", b"5;a\0\r\nhello\r\n0\r\n\r\n"),
    ("quoted line end in an extension", b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n'),
    ("DEL in an extension", b"5;a\x7f\r\nhello\r\n0\r\n\r\n"),
    ("too long an extension", b"5;" + b"a" * (LINE_BYTES - 3) + b"\r\nhello\r\n0\r\n\r\n"),
    ("more data than the size", b"5\r\nhello!\r\n0\r\n\r\n"),
    ("no CRLF after the data", b"5\r\nhello0\r\n\r\n"),
    ("LF after the data", b"5\r\nhello\n0\r\n\r\n"),
    ("CR after the data", b"5\r\nhello\r0\r\n\r\n"),
    ("CR CR LF after the data", b"5\r\nhello\r\r\n0\r\n\r\n"),
    ("empty line between chunks", b"5\r\nhello\r\n\r\n0\r\n\r\n"),
    ("bare LF ends the body", b"0\r\n\n"),
    ("bare LF after the last size", b"0\n\r\n"),
    ("CR CR LF ends the body", b"0\r\n\r\r\n"),
    ("junk behind the last chunk", b"0\r\n\r\0"),
    ("trailer without a colon", b"0\r\nX\r\n\r\n"),
    ("trailer with a space before the colon", b"0\r\nX : y\r\n\r\n"),
    ("trailer without a name", b"0\r\n: y\r\n\r\n"),
    ("folded trailer", b"0\r\nX: y\r\n z\r\n\r\n"),
    ("leading space in trailers", b"0\r\n X: y\r\n\r\n"),
    ("control octet in a trailer", b"0\r\nX: \x01\r\n\r\n"),
    ("bare LF in a trailer", b"0\r\nX: y\nZ: z\r\n\r\n"),
    ("bare CR in a trailer", b"0\r\nX: y\rZ: z\r\n\r\n"),
    ("octet that no name has", b"0\r\nX(: y\r\n\r\n"),
    ("too long trailers", b"0\r\nX: " + b"a" * (TRAILER_BYTES - 6) + b"\r\n\r\n"),
    ("too many trailers", b"0\r\n" + b"X: y\r\n" * (TRAILER_BYTES // 6 + 1) + b"\r\n"),
    *(
        (f"trailer {name!r}", b"0\r\nX: y\r\n" + name + b": 1\r\n\r\n")
        for name in (
            b"Content-Length",
            b"TRANSFER-ENCODING",
            b"host",
            b"Connection",
            b"Trailer",
            b"Authorization",
            b"Set-Cookie",
            b"Cookie",
            b"Content-Encoding",
            b"Content-Type",
            b"Content-Range",
            b"Cache-Control",
            b"Expect",
            b"Max-Forwards",
            b"Range",
            b"If-Match",
            b"TE",
            b"Upgrade",
            b"X-Forwarded-For",
            b"Forwarded",
            b"Via",
            b"Proxy-Authorization",
        )
    ),
]


@pytest.mark.parametrize(
    ("data", "body", "trailers"), [c[1:] for c in ACCEPTED], ids=[c[0] for c in ACCEPTED]
)
def test_accepted(data: bytes, body: bytes, trailers: bytes) -> None:
    expected = {"end": True, "fault": "", "data": body, "kept": b"", "trailers": trailers}
    assert read_chunks([data]) == expected
    assert read_chunks([data[at : at + 1] for at in range(len(data))]) == expected
    for cut in range(min(len(data), 200)):
        assert read_chunks([data[:cut], data[cut:]]) == expected
        assert not read_chunks([data[:cut]])["end"]


@pytest.mark.parametrize("data", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(data: bytes) -> None:
    whole = read_chunks([data])
    assert whole["fault"]
    assert read_chunks([data[at : at + 1] for at in range(len(data))]) == whole
    for cut in range(min(len(data), 200)):
        assert read_chunks([data[:cut], data[cut:]]) == whole


def test_what_follows_the_body_is_left_alone() -> None:
    data = b"5\r\nhello\r\n0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n"
    for cut in range(len(data)):
        answer = read_chunks([data[:cut], data[cut:]])
        assert (answer["data"], answer["trailers"], answer["kept"]) == (
            b"hello",
            b"X: y\r\n",
            b"GET / HTTP/1.1\r\n",
        )


def test_extensions_may_not_outweigh_the_data() -> None:
    extension = b";" + b"a" * 1000
    small = b"1" + extension + b"\r\n.\r\n"
    assert read_chunks([small * (WASTE_BYTES // 1000)])["fault"] == ""
    assert "too long" in read_chunks([small * (WASTE_BYTES // 1000 + 2)])["fault"]
    large = b"400" + extension + b"\r\n" + b"." * 1024 + b"\r\n"
    assert read_chunks([large * 100 + b"0\r\n\r\n"])["end"]


def test_a_size_below_two_to_the_sixtieth_is_waited_for() -> None:
    answer = read_chunks([b"f" * 15 + b"\r\nabc"])
    assert (answer["end"], answer["fault"], answer["data"]) == (False, "", b"abc")


def test_unfinished_trailers_are_kept_and_nothing_else() -> None:
    assert read_chunks([b"5\r\nhello\r\n0\r\nX: y\r\nZ"])["kept"] == b"X: y\r\nZ"
    assert read_chunks([b"5;abc"])["kept"] == b""
    assert read_chunks([b"5\r\nhel"])["kept"] == b""
