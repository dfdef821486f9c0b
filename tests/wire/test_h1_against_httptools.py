"""The same octets through httptools (llhttp): every difference has its reason in h1_differences."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.h1_corpus_requests import ALL, Case
from tests.wire.h1_differences import LAXER, STRICTER, explained, heard, lengths
from worker.plane.h1_doors import read_chunks, read_head


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_every_case_of_the_corpus(case: Case) -> None:
    explained(case.data)


def test_every_reason_is_still_needed() -> None:
    pairs = [(read_head(case.data), heard(case.data)) for case in ALL]
    refused = [ours["fault"] for ours, theirs in pairs if ours["result"] < 0 and theirs is not None]
    accepted = [ours for ours, theirs in pairs if ours["result"] > 0 and theirs is None]
    assert [
        why for why, fault in STRICTER.items() if not any(re.search(fault, f) for f in refused)
    ] == []
    assert [why for why, known in LAXER.items() if not any(known(head) for head in accepted)] == []


NAMES = [
    "Host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "X",
    "Upgrade",
    "Expect",
    "TE",
    "Te\tst",
    "",
]
VALUES = [
    "a",
    "5",
    "05",
    "chunked",
    "gzip",
    "close",
    "keep-alive",
    "upgrade, x",
    "a\x01",
    "",
    " \t",
    "caf\xe9",
    "x\r",
    "[::1]:80",
]
METHODS = ["GET", "POST", "OPTIONS", "HEAD", "get", "CONNECT", "G@T", ""]
TARGETS = [
    "/",
    "/a?b",
    "*",
    "http://a.test/b",
    "http://u@a/",
    "a:80",
    "/a#b",
    "/\x80",
    "/a b",
    "https://a.test",
    "",
]
VERSIONS = [
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/1.2",
    "HTTP/2.0",
    "HTTP/0.9",
    "http/1.1",
    "HTTP/1.1 ",
    "RTSP/1.0",
    "",
]
ENDS = ["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n ", "\r\r\n"]
BLANKS = ["", " ", " ", " ", "\t", "  "]


def first(choices: list[str]) -> st.SearchStrategy[str]:
    """Mostly the first of them, so that most heads are nearly good."""
    return st.one_of(st.just(choices[0]), st.just(choices[0]), st.sampled_from(choices))


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Request heads, good and nearly good."""
    parts = [draw(first(METHODS)), draw(first([" ", "  ", "\t", ""])), draw(first(TARGETS))]
    parts += [draw(first([" ", "  ", "\t", ""])), draw(first(VERSIONS)), draw(first(ENDS))]
    if draw(st.integers(0, 5)):
        parts += ["Host: a.test", draw(first(ENDS))]
    for _ in range(draw(st.integers(0, 4))):
        parts += [
            draw(st.sampled_from(NAMES)),
            draw(first([":", " :", "", "::"])),
            draw(st.sampled_from(BLANKS)),
        ]
        parts += [draw(st.sampled_from(VALUES)), draw(first(["", " ", "\t"])), draw(first(ENDS))]
    return "".join([*parts, draw(first(ENDS))]).encode("latin-1")


@given(heads())
def test_generated_heads(data: bytes) -> None:
    explained(data)


@given(heads(), st.data())
def test_generated_heads_say_the_same_at_every_cut(data: bytes, draws: st.DataObject) -> None:
    whole = read_head(data)
    cut = draws.draw(st.integers(0, len(data)))
    part = read_head(data[:cut])
    assert part["result"] == 0 or (part["result"], part["fault"]) == (
        whole["result"],
        whole["fault"],
    )


PREFACE = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = [
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"a\r\n0123456789\r\n",
    b"1;x=y\r\n.\r\n",
    b"0\r\nX: y\r\n\r\n",
    b"\r\n",
    b"1",
    b"\n",
    b";",
    b"0",
    b" ",
]
# llhttp bounds neither sizes of lines nor names of trailers, and takes more digits and other octets in extensions.
CHUNKS_STRICTER = "chunk extension|trailer field has a name|too long|chunk size"


@given(st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join))
def test_chunked_bodies(body: bytes) -> None:
    ours = read_chunks([body])
    theirs = heard(PREFACE + body)
    if ours["fault"]:
        assert theirs is None or not theirs[0].done or re.search(CHUNKS_STRICTER, ours["fault"])
    elif not ours["end"]:
        assert theirs is None or not theirs[0].done
    elif not ours["kept"]:
        assert theirs is not None
        assert theirs[0].done
        assert theirs[0].body == ours["data"]


@given(
    st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join),
    st.lists(st.integers(0, 60), max_size=6),
)
def test_cuts_do_not_change_a_chunked_body(body: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[a:b] for a, b in pairwise(edges)]
    whole, parts = read_chunks([body]), read_chunks(pieces)
    assert parts == whole


RESPONSE_PARTS = [
    "HTTP/1.1 200 OK",
    "HTTP/1.0 404 x",
    "HTTP/1.1 204",
    "HTTP/1.1 099 x",
    "HTTP/1.1 600 x",
    "HTTP/2.0 200 OK",
    "HTTP/1.1 20 OK",
]
RESPONSE_FIELDS = [
    "Content-Length: 5",
    "Content-Length: 6",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "X: y",
    "X : y",
    "X",
    " x: y",
    "X: \x00",
]
RESPONSE_STRICTER = "status line|Transfer-Encoding|Content-Length"


@given(first(RESPONSE_PARTS), st.lists(st.sampled_from(RESPONSE_FIELDS), max_size=3), first(ENDS))
def test_generated_responses(status: str, lines: list[str], end: str) -> None:
    data = "".join(text + "\r\n" for text in [status, *lines]).encode() + end.encode()
    ours = read_head(data, response=True)
    # what follows the head is a body's business
    theirs = heard(data[: ours["result"]] if ours["result"] > 0 else data, response=True)
    if ours["result"] == 0:
        assert theirs is None
    elif ours["result"] < 0:
        assert theirs is None or re.search(RESPONSE_STRICTER, ours["fault"])
    elif theirs is None:
        assert lengths(ours) > 1
    else:
        ear, parser = theirs
        assert parser.get_status_code() == ours["status"]
        assert ear.fields == [(field["name"], field["value"]) for field in ours["fields"]]
