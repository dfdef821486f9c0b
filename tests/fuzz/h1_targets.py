"""What is fuzzed of HTTP/1: each target takes octets and fails when a promise of the scanners is broken."""

import re
from collections.abc import Callable
from typing import Any

from tests.wire.h1_corpus_requests import ALL
from tests.wire.h1_differences import explained, heard
from worker.plane.h1_doors import already_normal, matching_path, read_chunks, read_head, read_host

CHUNK_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
# llhttp bounds neither chunk lines nor trailers, and knows no forbidden trailer names.
CHUNKS_STRICTER = "chunk extension|trailer field has a name|too long|chunk size"


def cut_of(data: bytes) -> int:
    """A place to cut that the octets themselves choose."""
    return sum(data) * 31 % (len(data) + 1)


def request_head(data: bytes) -> None:
    """A request head: the same verdict at a cut, honest places, and no difference to llhttp without a reason."""
    whole = read_head(data)
    part = read_head(data[: cut_of(data)])
    assert part["result"] == 0 or (part["result"], part["fault"]) == (
        whole["result"],
        whole["fault"],
    )
    assert (whole["fault"] != "") == (whole["result"] < 0)
    if whole["result"] > 0:
        places(data, whole)
    explained(data)


def response_head(data: bytes) -> None:
    """A response head."""
    whole = read_head(data, response=True)
    part = read_head(data[: cut_of(data)], response=True)
    assert part["result"] == 0 or (part["result"], part["fault"]) == (
        whole["result"],
        whole["fault"],
    )
    assert whole["result"] in (0, -502) or whole["result"] > 0
    if whole["result"] > 0:
        places(data, whole)
        theirs = heard(data[: whole["result"]], response=True)
        if theirs is not None:
            assert theirs[1].get_status_code() == whole["status"]
            assert theirs[0].fields == [(f["name"], f["value"]) for f in whole["fields"]]


def places(data: bytes, head: dict[str, Any]) -> None:
    """The line, the field lines and the empty line are the head, and nothing that ends a line is inside of them."""
    size = head["result"]
    lines = [head["line"] + b"\r\n", *(field["line"] for field in head["fields"]), b"\r\n"]
    assert b"".join(lines) == data[:size]
    for text in (head["line"], *(field["value"] for field in head["fields"])):
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", text)
    for field in head["fields"]:
        assert field["value"] == field["value"].strip(b" \t")
        assert field["line"].startswith(field["name"] + b":")


def chunked_body(data: bytes) -> None:
    """A chunked body: the same whole, in two and dripped; what we call whole, llhttp does, with the same data."""
    whole = read_chunks([data])
    cut = cut_of(data)
    assert read_chunks([data[:cut], data[cut:]]) == whole
    assert read_chunks([data[at : at + 1] for at in range(len(data))]) == whole
    theirs = heard(CHUNK_HEAD + data)
    if whole["end"]:
        assert whole["fault"] == ""
        end = len(data) - len(whole["kept"])
        ear = heard(CHUNK_HEAD + data[:end])
        if ear is None:
            assert b";" in data  # llhttp parses extensions, we drop what cannot end a line
        else:
            assert ear[0].done
            assert ear[0].body == whole["data"]
    elif theirs is not None and theirs[0].done:
        assert re.search(CHUNKS_STRICTER, whole["fault"])


def target_forms(data: bytes) -> None:
    """Paths and hosts: a normal form is its own normal form, and has no dot segment."""
    path = b"/" + data
    normal = matching_path(path)
    assert normal == path or not already_normal(path)
    if normal is not None:
        assert normal.startswith(b"/")
        assert b"//" not in normal
        assert not re.search(rb"/\.{1,2}(/|\Z)", normal)
    host = read_host(data)
    if host is not None:
        assert read_host(host[0]) == (host[0], 0)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "h1-request": request_head,
    "h1-response": response_head,
    "h1-chunks": chunked_body,
    "h1-target": target_forms,
}
REQUESTS = [case.data for case in ALL]
SEEDS: dict[str, list[bytes]] = {
    "h1-request": REQUESTS,
    "h1-response": [re.sub(rb"^[^\r\n]*", b"HTTP/1.1 200 OK", data, count=1) for data in REQUESTS],
    "h1-chunks": [
        b"5\r\nhello\r\n0\r\n\r\n",
        b'a;b="c"\r\n0123456789\r\n0\r\nX: y\r\n\r\n',
        b"0\r\nHost: a\r\n\r\n",
    ],
    "h1-target": [
        b"a/../b",
        b"%2e%2E/x",
        b"..;/a",
        b"[::ffff:1.2.3.4]:80",
        b"a.test:8080",
        b"[1::2]",
    ],
}
WORDS = [
    b"\r\n",
    b"\r\n\r\n",
    b"HTTP/1.1",
    b"Host: a",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked",
    b"Connection: ",
    b"http://",
    b"%2e",
    b"::",
]
