"""Request lines and what must come of them: a refusal's status, or what the accepted head says."""

from typing import Any, NamedTuple

HOST = b"Host: example.test\r\n"


class Case(NamedTuple):
    """One head. `verdict` is a status, or a subset of what h1_doors.read_head returns for an accepted head."""

    name: str
    data: bytes
    verdict: int | dict[str, Any]


def line(text: bytes) -> bytes:
    """A whole head with this request line."""
    return text + b"\r\n" + HOST + b"\r\n"


def fields(*lines: bytes, version: bytes = b"1.1", host: bytes = HOST) -> bytes:
    """A whole head with these field lines."""
    return (
        b"POST / HTTP/" + version + b"\r\n" + host + b"".join(f + b"\r\n" for f in lines) + b"\r\n"
    )


REQUEST_LINES = [
    Case(
        "plain",
        line(b"GET / HTTP/1.1"),
        {"method": b"GET", "method_number": 1, "path": b"/", "minor": 1},
    ),
    Case("1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", {"minor": 0, "authority": b""}),
    Case(
        "query",
        line(b"GET /a?b=c?d HTTP/1.1"),
        {"path": b"/a", "query": b"b=c?d", "target": b"/a?b=c?d"},
    ),
    Case("empty query", line(b"GET /a? HTTP/1.1"), {"path": b"/a", "query": b"", "target": b"/a?"}),
    Case("extension method", line(b"PURGE /x HTTP/1.1"), {"method": b"PURGE", "method_number": 0}),
    Case("lower-case method is another method", line(b"get / HTTP/1.1"), {"method_number": 0}),
    Case("longer than every known method", line(b"OPTIONSX / HTTP/1.1"), {"method_number": 0}),
    Case(
        "method with a known one as its end",
        line(b"MKCALENDARGET / HTTP/1.1"),
        {"method_number": 0},
    ),
    *(
        Case(f"method {m}", line(m.encode() + b" / HTTP/1.1"), {"method_number": n})
        for n, m in enumerate(
            ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"), 1
        )
    ),
    Case("OPTIONS *", line(b"OPTIONS * HTTP/1.1"), {"path": b"*", "target": b"*"}),
    Case(
        "what browsers leave unescaped",
        line(b"GET /a|b^c`{d}[e]?x={\"y\":'<z>'}\\ HTTP/1.1"),
        {"method_number": 1},
    ),
    Case("CONNECT", line(b"CONNECT example.test:443 HTTP/1.1"), 405),
    Case("CONNECT with a path", line(b"CONNECT /x HTTP/1.1"), 405),
    Case("* with GET", line(b"GET * HTTP/1.1"), 400),
    Case("*x with OPTIONS", line(b"OPTIONS *x HTTP/1.1"), 400),
    Case("double space before the target", line(b"GET  / HTTP/1.1"), 400),
    Case("double space before the version", line(b"GET /  HTTP/1.1"), 400),
    Case("space after the version", line(b"GET / HTTP/1.1 "), 400),
    Case("leading space", line(b" GET / HTTP/1.1"), 400),
    Case("leading tab", line(b"\tGET / HTTP/1.1"), 400),
    Case("leading CRLF", b"\r\n" + line(b"GET / HTTP/1.1"), 400),
    Case("leading LF", b"\n" + line(b"GET / HTTP/1.1"), 400),
    Case("tab between", line(b"GET\t/ HTTP/1.1"), 400),
    Case("no method", line(b"/ HTTP/1.1"), 400),
    Case("method with a separator", line(b"GE(T / HTTP/1.1"), 400),
    Case("method with a NUL", line(b"GE\0T / HTTP/1.1"), 400),
    Case("8-bit method", line(b"G\xc9T / HTTP/1.1"), 400),
    Case("TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), 400),
    Case("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    Case("bare LF after the line", b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400),
    Case("bare CR after the line", b"GET / HTTP/1.1\r" + HOST + b"\r\n", 400),
    Case("two CR after the line", b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n", 400),
    Case("only the method", b"GET\r\n\r\n", 400),
    Case("0.9", b"GET /\r\n", 400),
    Case("0.9 with a space", b"GET / \r\n", 400),
    Case("version 0.9", line(b"GET / HTTP/0.9"), 505),
    Case("version 1.2", line(b"GET / HTTP/1.2"), 505),
    Case("version 2.0", line(b"GET / HTTP/2.0"), 505),
    Case("version 1.10", line(b"GET / HTTP/1.10"), 400),
    Case("version 1", line(b"GET / HTTP/1"), 400),
    Case("version 11.1", line(b"GET / HTTP/11.1"), 400),
    Case("version +1.1", line(b"GET / HTTP/+1.1"), 400),
    Case("version 1,1", line(b"GET / HTTP/1,1"), 400),
    Case("version x.y", line(b"GET / HTTP/x.y"), 400),
    Case("lower-case version", line(b"GET / http/1.1"), 400),
    Case("RTSP", line(b"GET / RTSP/1.0"), 400),
    Case("ICE", line(b"SOURCE / ICE/1.0"), 400),
    Case("control octet in the target", line(b"GET /a\x01b HTTP/1.1"), 400),
    Case("NUL in the target", line(b"GET /a\0b HTTP/1.1"), 400),
    Case("DEL in the target", line(b"GET /a\x7fb HTTP/1.1"), 400),
    Case("tab in the target", line(b"GET /a\tb HTTP/1.1"), 400),
    Case("8-bit target", line(b"GET /caf\xc3\xa9 HTTP/1.1"), 400),
    Case("8-bit query", line(b"GET /?caf\xc3\xa9 HTTP/1.1"), 400),
    Case("fragment", line(b"GET /a#b HTTP/1.1"), 400),
    Case("fragment in the query", line(b"GET /a?b#c HTTP/1.1"), 400),
    Case("backslash in the path", line(b"GET /a\\b HTTP/1.1"), 400),
    Case("quote in the path", line(b'GET /a"b HTTP/1.1'), 400),
    Case("angle brackets in the path", line(b"GET /<b> HTTP/1.1"), 400),
    Case("no slash", line(b"GET a HTTP/1.1"), 400),
    Case("query without path", line(b"GET ?a HTTP/1.1"), 400),
]

ABSOLUTE = [
    Case(
        "absolute form wins over Host",
        line(b"GET http://other.test:81/a?b HTTP/1.1"),
        {"authority": b"other.test:81", "path": b"/a", "query": b"b", "absolute": True},
    ),
    Case(
        "absolute form without path",
        line(b"GET http://a.test HTTP/1.1"),
        {"path": b"", "authority": b"a.test"},
    ),
    Case(
        "absolute form, query only",
        line(b"GET http://a.test?b HTTP/1.1"),
        {"path": b"", "query": b"b"},
    ),
    Case("https, any case", line(b"GET HTTPS://a.test/ HTTP/1.1"), {"authority": b"a.test"}),
    Case("absolute form, IPv6", line(b"GET http://[::1]:80/ HTTP/1.1"), {"authority": b"[::1]:80"}),
    Case("absolute form still needs Host", b"GET http://a.test/ HTTP/1.1\r\n\r\n", 400),
    Case("userinfo", line(b"GET http://u:p@a.test/ HTTP/1.1"), 400),
    Case("userinfo without password", line(b"GET http://u@a.test/ HTTP/1.1"), 400),
    Case("empty authority", line(b"GET http:///a HTTP/1.1"), 400),
    Case("port only", line(b"GET http://:80/a HTTP/1.1"), 400),
    Case("port out of range", line(b"GET http://a.test:65536/ HTTP/1.1"), 400),
    Case("ftp", line(b"GET ftp://a.test/ HTTP/1.1"), 400),
    Case("one slash", line(b"GET http:/a.test/ HTTP/1.1"), 400),
    Case("8-bit authority", line(b"GET http://caf\xc3\xa9.test/ HTTP/1.1"), 400),
    Case("backslash in the authority", line(b"GET http://a.test\\@b.test/ HTTP/1.1"), 400),
    Case("fragment behind the authority", line(b"GET http://a.test#x HTTP/1.1"), 400),
    Case("escape in the authority", line(b"GET http://a%2etest/ HTTP/1.1"), 400),
    Case("authority form", line(b"GET a.test:80 HTTP/1.1"), 400),
]
