"""Where our HTTP/1 scanner and httptools (llhttp) differ, and why; and a check that finds every other difference."""

import re
from typing import Any

import httptools

from worker.plane.h1_doors import read_head

# We refuse and httptools does not: what is wrong with the input, and how to recognise it. RFC 9112 unless said.
STRICTER = {
    "Host is missing, repeated or no host (3.2)": "Host",
    "CONNECT is not served here": "CONNECT",
    "white space or an empty line before the request line (2.2)": "request line|method is not a token",
    "authority that is no host, userinfo (3.2.2, RFC 9110 4.2.4)": "authority|allowed forms",
    "octets that readers take differently in a target; fragments (3.2)": "target has an octet",
    "versions other than 1.0 and 1.1": "version",
    "Transfer-Encoding in HTTP/1.0 or with codings that we lack (6.1)": "Transfer-Encoding",
    "Content-Length over 18 digits, or written in two ways (6.3)": "Content-Length",
    "Connection is not a list of tokens, or names Host or Content-Length (RFC 9110 7.6.1)": "Connection",
}
PROXY_CONNECTION = 10
# httptools refuses and we do not.
LAXER = {
    "methods are any token (RFC 9110 9.1); llhttp has a fixed list": lambda head: (
        head["method_number"] == 0
    ),
    "equal repeats of Content-Length are one (6.3)": lambda head: lengths(head) > 1,
}


def lengths(head: dict[str, Any]) -> int:
    return sum(field["name"].lower() == b"content-length" for field in head["fields"])


class Heard:
    """What httptools calls back with."""

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.heads = 0
        self.parser: Any = None
        self.keep_alive = False
        self.done = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.heads += 1
        self.keep_alive = self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


def heard(data: bytes, *, response: bool = False) -> tuple[Heard, Any] | None:
    """What httptools makes of the head, or None when it refuses."""
    ear = Heard()
    parser = httptools.HttpResponseParser(ear) if response else httptools.HttpRequestParser(ear)
    ear.parser = parser
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None
    return (ear, parser) if ear.heads else None


def explained(data: bytes) -> None:
    """Both agree about a request head, or the tables say why not."""
    ours = read_head(data)
    theirs = heard(data[: ours["result"]] if ours["result"] > 0 else data)
    if ours["result"] == 0:
        assert theirs is None, "httptools sees a head where we wait"
    elif ours["result"] < 0:
        if theirs is not None:
            assert any(re.search(fault, ours["fault"]) for fault in STRICTER.values()), ours[
                "fault"
            ]
    elif theirs is None:
        assert any(known(ours) for known in LAXER.values())
    else:
        same_request(ours, *theirs)


def same_request(ours: dict[str, Any], ear: Heard, parser: Any) -> None:
    assert ear.target == ours["target"]
    assert parser.get_method() == ours["method"]
    assert parser.get_http_version() == f"1.{ours['minor']}"
    assert ear.fields == [(field["name"], field["value"]) for field in ours["fields"]]
    close = bool(ours["flags"] & 2) or not (ours["minor"] or ours["flags"] & 4)
    # llhttp reads Proxy-Connection like Connection; it is not ours to read (RFC 9112 C.2.2)
    if not parser.should_upgrade() and ours["first"][PROXY_CONNECTION] < 0:
        assert ear.keep_alive == (not close)
