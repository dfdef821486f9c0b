"""Whole request heads and what must come of them, field by field; the request lines are in a file of their own."""

from tests.wire.h1_corpus_lines import ABSOLUTE, HOST, REQUEST_LINES, Case, fields, line

__all__ = ["ALL", "HOST", "Case", "fields", "line"]

HOSTS = [
    Case("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    Case("two Host", fields(HOST[:-2]), 400),
    Case("two Host in 1.0", fields(HOST[:-2], version=b"1.0"), 400),
    Case(
        "name and port",
        fields(b"Host: a-b_c.test:8080", host=b""),
        {"authority": b"a-b_c.test:8080"},
    ),
    Case("upper case", fields(b"HOST: A.Test", host=b""), {"authority": b"A.Test"}),
    Case("IPv4", fields(b"Host: 127.0.0.1:80", host=b""), {"authority": b"127.0.0.1:80"}),
    Case("IPv6", fields(b"Host: [2001:db8::1]:80", host=b""), {"authority": b"[2001:db8::1]:80"}),
    *(
        Case(f"not a host: {text!r}", fields(b"Host: " + text, host=b""), 400)
        for text in (
            b"",
            b" ",
            b"a b",
            b"a,b",
            b"a, b",
            b"a/b",
            b"u@a",
            b"a:b",
            b"a:",
            b"a:0",
            b"a:123456",
            b":80",
            b"a..b",
            b".a",
            b"a:80:81",
            b"[::1",
            b"::1",
            b"[::1]x",
            b"[1::2::3]",
            b"[fe80::1%25eth0]",
            b"caf\xc3\xa9.test",
            b"a%2eb",
            b"a?b",
            b"a#b",
            b"a\\b",
            b"*",
            b"a" * 256,
        )
    ),
    Case("bad Host in 1.0", fields(b"Host: a b", host=b"", version=b"1.0"), 400),
    Case(
        "bad Host beside an absolute target",
        b"GET http://a.test/ HTTP/1.1\r\nHost: a b\r\n\r\n",
        400,
    ),
]

FIELDS = [
    Case("white space around a value", fields(b"X: \t a b \t "), {"values": {b"X": b"a b"}}),
    Case("no white space", fields(b"X:ab"), {"values": {b"X": b"ab"}}),
    Case("empty value", fields(b"X:"), {"values": {b"X": b""}}),
    Case("blank value", fields(b"X: \t "), {"values": {b"X": b""}}),
    Case("8-bit value", fields(b"X: caf\xe9 \x80\xff"), {"values": {b"X": b"caf\xe9 \x80\xff"}}),
    Case(
        "tab inside a value",
        fields(b"X: a\tb\t\tcdefgh\tij"),
        {"values": {b"X": b"a\tb\t\tcdefgh\tij"}},
    ),
    Case("colons in a value", fields(b"X: a:b::"), {"values": {b"X": b"a:b::"}}),
    Case(
        "every name octet",
        fields(b"!#$%&'*+-.^_`|~09azAZ: v"),
        {"values": {b"!#$%&'*+-.^_`|~09azAZ": b"v"}},
    ),
    *(
        Case(
            f"control octet {octet:#04x} at {at} in a value",
            fields(b"X: " + b"a" * at + bytes([octet]) + b"bc"),
            400,
        )
        for octet in (*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F)
        for at in (0, 3, 11)
    ),
    Case("bare CR in a value", fields(b"X: a\rb"), 400),
    Case("bare LF in a value", fields(b"X: a\nb"), 400),
    Case("bare LF ends a line", b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    Case("bare LF ends the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    Case("CR CR LF ends the head", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400),
    Case("LF LF ends the head", b"GET / HTTP/1.1\r\nHost: a\n\n", 400),
    Case("space before the colon", fields(b"X : a"), 400),
    Case("tab before the colon", fields(b"X\t: a"), 400),
    Case("space before the first name", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    Case("folded line", fields(b"X: a", b" b"), 400),
    Case("folded with a tab", fields(b"X: a", b"\tb"), 400),
    Case("folded Host", b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", 400),
    Case("line of white space", fields(b"X: a", b" "), 400),
    Case("no colon", fields(b"X"), 400),
    Case("empty name", fields(b": a"), 400),
    *(
        Case(f"octet {octet:#04x} in a name", fields(b"X" + bytes([octet]) + b"Y: a"), 400)
        for octet in (0, 1, 0x20, *b'"(),/;<=>?@[\\]{}', 0x7F, 0x80, 0xFF)
    ),
]

LENGTHS = [
    Case("length", fields(b"Content-Length: 5"), {"content_length": 5}),
    Case("no length", fields(), {"content_length": -1}),
    Case("length 0", fields(b"Content-Length: 0"), {"content_length": 0}),
    Case("longest length", fields(b"Content-Length: " + b"9" * 18), {"content_length": 10**18 - 1}),
    Case(
        "equal lengths are one",
        fields(b"Content-Length: 5", b"content-length:5"),
        {"content_length": 5, "lengths": 1},
    ),
    *(
        Case(f"length {text!r}", fields(b"Content-Length: " + text), 400)
        for text in (
            b"",
            b"+5",
            b"-5",
            b"-0",
            b"5 5",
            b"5,5",
            b"5, 5",
            b"5;5",
            b"0x5",
            b"5a",
            b"5.0",
            b"1e3",
            b"\xb2",
            b"9" * 19,
            b"18446744073709551621",
        )
    ),
    Case("different lengths", fields(b"Content-Length: 5", b"Content-Length: 6"), 400),
    Case(
        "equal lengths written differently",
        fields(b"Content-Length: 5", b"Content-Length: 05"),
        400,
    ),
    Case("a good and a bad length", fields(b"Content-Length: 5", b"Content-Length: x"), 400),
    Case(
        "a name like it",
        fields(b"Content_Length: 5", b"Content-Lengt: 6", b"Content-Lengthh: 7"),
        {"content_length": -1},
    ),
]

CODINGS = [
    Case(
        "chunked",
        fields(b"Transfer-Encoding: chunked"),
        {"chunked": True, "hop": [b"Transfer-Encoding"]},
    ),
    Case("chunked, any case", fields(b"transfer-ENCODING:\tChunKed "), {"chunked": True}),
    Case("a name like it", fields(b"Transfer_Encoding: chunked"), {"chunked": False}),
    Case("with a length", fields(b"Transfer-Encoding: chunked", b"Content-Length: 5"), 400),
    Case("with a length before", fields(b"Content-Length: 0", b"Transfer-Encoding: chunked"), 400),
    Case(
        "unknown coding with a length",
        fields(b"Content-Length: 0", b"Transfer-Encoding: gzip"),
        400,
    ),
    Case("in HTTP/1.0", fields(b"Transfer-Encoding: chunked", version=b"1.0"), 400),
    Case("unknown coding in HTTP/1.0", fields(b"Transfer-Encoding: gzip", version=b"1.0"), 400),
    *(
        Case(f"coding {text!r}", fields(b"Transfer-Encoding: " + text), status)
        for status, texts in {
            400: (
                b"",
                b",",
                b"chunked,",
                b", chunked",
                b",chunked",
                b"chunked,,",
                b"chunked, chunked",
                b"chunked, gzip",
                b"gzip, chunked, gzip",
                b"gzip,,chunked",
                b'"chunked"',
                b"chunked;q=1",
                b"chunked x",
                b"chun\xc4\xb1ked",
                b"gzip;x, chunked",
                b"chunked\x80",
                b"[chunked]",
            ),
            501: (
                b"gzip",
                b"identity",
                b"xchunked",
                b"chunkedx",
                b"chunke",
                b"gzip, chunked",
                b"gzip , deflate",
            ),
        }.items()
        for text in texts
    ),
    Case("twice", fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    Case("in two fields", fields(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"), 501),
    Case(
        "in two fields, not last",
        fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"),
        400,
    ),
    Case("one of two empty", fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding:"), 400),
]

HOPS = [
    Case("close", fields(b"Connection: close"), {"flags": {"close"}, "hop": [b"Connection"]}),
    Case("keep-alive", fields(b"Connection: Keep-Alive"), {"flags": {"keep-alive"}}),
    Case(
        "both, with blanks",
        fields(b"Connection: , close ,,\tkeep-alive,"),
        {"flags": {"close", "keep-alive"}},
    ),
    Case(
        "two fields",
        fields(b"Connection: close", b"X: y", b"Connection: te"),
        {"flags": {"close"}, "hop": [b"Connection"] * 2},
    ),
    Case("empty", fields(b"Connection:"), {"flags": set()}),
    Case(
        "upgrade",
        fields(b"Connection: Upgrade", b"Upgrade: websocket"),
        {"flags": {"upgrade"}, "hop": [b"Connection", b"Upgrade"]},
    ),
    Case(
        "upgrade before",
        fields(b"Upgrade: websocket", b"Connection: keep-alive, upgrade"),
        {"flags": {"upgrade", "keep-alive"}},
    ),
    Case("upgrade option alone", fields(b"Connection: upgrade"), {"flags": set()}),
    Case("Upgrade field alone", fields(b"Upgrade: h2c"), {"flags": set(), "hop": [b"Upgrade"]}),
    Case("expect", fields(b"Expect: 100-Continue"), {"flags": {"expect"}}),
    Case(
        "expect in HTTP/1.0 is ignored",
        fields(b"Expect: 100-continue", version=b"1.0"),
        {"flags": set()},
    ),
    Case("another expectation", fields(b"Expect: 200-ok"), {"flags": set()}),
    Case("TE", fields(b"TE: gzip;q=0.5, Trailers"), {"flags": {"te-trailers"}, "hop": [b"TE"]}),
    Case("TE first of two", fields(b"TE: trailers;q=1, x"), {"flags": {"te-trailers"}}),
    Case(
        "TE without trailers",
        fields(b"TE: trailersx, xtrailers;trailers"),
        {"flags": set(), "hop": [b"TE"]},
    ),
    Case(
        "hop-by-hop whatever Connection says",
        fields(
            b"Keep-Alive: 5",
            b"Proxy-Connection: close",
            b"Proxy-Authorization: x",
            b"Proxy-Authenticate: y",
            b"Trailer: X-A",
        ),
        {
            "hop": [
                b"Keep-Alive",
                b"Proxy-Connection",
                b"Proxy-Authorization",
                b"Proxy-Authenticate",
            ],
            "flags": set(),
        },
    ),
    Case(
        "nominated, before and after",
        fields(
            b"X-Real-IP: 1",
            b"Connection: x-forwarded-for, X-REAL-IP , close",
            b"X-Forwarded-For: 2",
            b"X-Real-I: 3",
        ),
        {"hop": [b"X-Real-IP", b"Connection", b"X-Forwarded-For"], "flags": {"close", "nominates"}},
    ),
    Case(
        "nominated and repeated",
        fields(b"X: 1", b"Connection: x", b"x: 2"),
        {"hop": [b"X", b"Connection", b"x"]},
    ),
    Case("nominated and absent", fields(b"Connection: x"), {"hop": [b"Connection"]}),
    Case("nominates 32", fields(b"Connection: " + b"a, " * 32), {"flags": {"nominates"}}),
    Case("nominates 33", fields(b"Connection: " + b"a, " * 33), 400),
    Case("nominates Host", fields(b"Connection: close, host"), 400),
    Case(
        "nominates Content-Length", fields(b"Connection: Content-Length", b"Content-Length: 3"), 400
    ),
    Case(
        "nominates Transfer-Encoding",
        fields(b"Connection: transfer-encoding", b"Transfer-Encoding: chunked"),
        {"chunked": True},
    ),
    *(
        Case(f"Connection: {text!r}", fields(b"Connection: " + text), 400)
        for text in (b"close;", b"close x", b'"close"', b"a=b", b"close, (x)", b"\x80")
    ),
]

ALL = [*REQUEST_LINES, *ABSOLUTE, *HOSTS, *FIELDS, *LENGTHS, *CODINGS, *HOPS]
