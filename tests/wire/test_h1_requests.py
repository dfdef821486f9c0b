"""Every row of the table of HTTP/1 requests, whole and cut at every octet."""

from typing import Any

import pytest

from tests.wire.h1_corpus_requests import ALL, HOST, Case, fields, line
from worker.plane.h1_doors import read_head, worth

FLAGS = {
    1: "chunked",
    2: "close",
    4: "keep-alive",
    8: "upgrade",
    16: "expect",
    32: "nominates",
    64: "absolute",
    128: "te-trailers",
}
every_case = pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])


def said(head: dict[str, Any], key: str) -> Any:
    """What the head says, in the words of the table."""
    flags = {name for bit, name in FLAGS.items() if head["flags"] & bit}
    match key:
        case "flags":
            return flags - {"chunked", "absolute"}
        case "chunked" | "absolute":
            return key in flags
        case "hop":
            return [field["name"] for field in head["fields"] if field["hop"]]
        case "lengths":
            return sum(
                f["name"].lower() == b"content-length" and not f["hop"] for f in head["fields"]
            )
        case "values":
            return {f["name"]: f["value"] for f in head["fields"] if f["name"] != b"Host"}
        case _:
            return head[key]


def check(case: Case, data: bytes, start: int = 0) -> None:
    head = read_head(data, start=start)
    if isinstance(case.verdict, int):
        assert head["result"] == -case.verdict
        assert head["fault"]
    else:
        assert head["fault"] == ""
        assert head["result"] == len(case.data)
        assert {key: said(head, key) for key in case.verdict} == case.verdict


@every_case
def test_whole(case: Case) -> None:
    check(case, case.data)


@every_case
def test_the_place_in_the_arena_changes_nothing(case: Case) -> None:
    check(case, b"\r\n\r\n" + case.data, start=4)


@every_case
def test_what_follows_changes_nothing(case: Case) -> None:
    check(case, case.data + b"\x00GET / HTTP/1.1\n")


@every_case
def test_cut_anywhere_it_waits_and_then_says_the_same(case: Case) -> None:
    whole = read_head(case.data)
    verdicts = [read_head(case.data[:cut]) for cut in range(len(case.data))]
    waits = [verdict["result"] for verdict in verdicts].count(0)
    assert all(verdict["result"] == 0 for verdict in verdicts[:waits])
    assert all(
        (v["result"], v["fault"]) == (whole["result"], whole["fault"]) for v in verdicts[waits:]
    )
    if whole["result"] > 0:
        assert waits == len(case.data)


@every_case
def test_dripped_it_is_scanned_when_it_is_whole(case: Case) -> None:
    """worth_scanning must not sleep through the end of a head, and must not wake for each octet of a good one."""
    woken = [size for size in range(1, len(case.data) + 1) if worth(case.data[:size], size - 1)]
    if isinstance(case.verdict, dict):
        assert woken == [len(case.data)]
    elif case.data.endswith(b"\r\n\r\n"):
        assert woken


@pytest.mark.parametrize("octet", [*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])
def test_a_control_octet_wakes_the_scanner_at_once(octet: int) -> None:
    data = b"GET / HTTP/1.1\r\nX: a" + bytes([octet])
    assert worth(data, len(data) - 1)
    assert not worth(data[:-1], 0)


@pytest.mark.parametrize("data", [b"GET /\n", b"GET / HTTP/1.1\rX", b"GET / HTTP/1.1\r\r"])
def test_a_bare_line_end_wakes_the_scanner_at_once(data: bytes) -> None:
    for checked in range(len(data)):
        assert worth(data, checked)


def test_the_request_line_is_bounded() -> None:
    fits = b"GET /" + b"a" * (64 - 14) + b" HTTP/1.1"
    assert len(fits) == 64
    assert read_head(line(fits), line_bytes=64)["result"] > 0
    long = fits.replace(b"/a", b"/aa")
    assert read_head(line(long), line_bytes=64)["result"] == -414
    assert read_head(b"GET /" + b"a" * 60, line_bytes=64)["result"] == 0
    assert read_head(b"GET /" + b"a" * 61, line_bytes=64)["result"] == -414
    assert read_head(b"G" * 66, line_bytes=64)["result"] == -414


def test_the_head_is_bounded() -> None:
    data = fields(b"X: " + b"a" * 100)
    assert read_head(data, head_bytes=len(data))["result"] == len(data)
    assert read_head(data, head_bytes=len(data) - 1)["result"] == -431
    assert read_head(data[:-1], head_bytes=len(data))["result"] == 0
    assert read_head(data[:-1], head_bytes=len(data) - 1)["result"] == -431
    assert read_head(b"GET /" + b"a" * 100, head_bytes=50)["result"] == -431


def test_a_fault_behind_the_bound_is_not_seen() -> None:
    data = fields(b"X: " + b"a" * 100 + b"\0")
    assert read_head(data, head_bytes=100)["result"] == -431
    assert read_head(data)["result"] == -400


@pytest.mark.parametrize("count", [1, 5, 100, 128])
def test_the_number_of_fields_is_bounded(count: int) -> None:
    data = fields(*(b"X: a" for _ in range(count - 1)))
    assert read_head(data, header_count=count)["result"] == len(data)
    assert len(read_head(data, header_count=count)["fields"]) == count
    assert read_head(fields(*(b"X: a" for _ in range(count))), header_count=count)["result"] == -431


def test_no_setting_lifts_the_number_of_fields_over_the_table() -> None:
    assert read_head(fields(*(b"X: a" for _ in range(128))), header_count=1000)["result"] == -431


def test_a_field_name_of_64_kib_is_refused() -> None:
    data = fields(b"a" * 0x10000 + b": b")
    assert read_head(data, head_bytes=1 << 20)["result"] == -400
    assert read_head(fields(b"a" * 0xFFFF + b": b"), head_bytes=1 << 20)["result"] > 0


@pytest.mark.parametrize("size", range(1, 41))
def test_an_octet_that_no_value_has_is_found_at_every_place(size: int) -> None:
    """Values are looked through many octets at a time (RFC 9110 5.5)."""
    for place in range(size):
        for octet in (0, 8, 9, 10, 13, 31, 32, 127, 128, 255):
            value = b"v" * place + bytes([octet]) + b"w" * (size - place - 1)
            head = read_head(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + value + b"\r\nY: z\r\n\r\n")
            if octet in (9, 32, 128, 255):
                assert [field["value"] for field in head["fields"][1:]] == [value.strip(), b"z"]
            else:
                assert head["result"] == -400, (place, octet)


def test_names_are_hashed_and_numbered_case_aside() -> None:
    names = (
        b"Host Connection Content-Length Transfer-Encoding Expect Upgrade TE Trailer Keep-Alive Proxy-Connection "
        b"X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host Forwarded Via X-Request-Id User-Agent Referer "
        b"Authorization Date Server Content-Type Proxy-Authenticate Proxy-Authorization"
    ).split()
    for kind, name in enumerate(names, 1):
        for spelling in (name, name.lower(), name.upper(), name.swapcase()):
            data = (
                b"GET / HTTP/1.0\r\n"
                + spelling
                + b": "
                + (b"chunked" if kind == 4 else b"1")
                + b"\r\n\r\n"
            )
            head = read_head(data.replace(b"GET / HTTP/1.0", b"HTTP/1.1 200 OK"), response=True)
            field = head["fields"][0]
            assert (field["kind"], head["first"][kind]) == (kind, 0)
            assert field["hash"] == fnv(name.lower())
        for other in (name + b"x", b"x" + name, name[:-1] + b"!", name[:-1] or b"!"):
            head = read_head(b"HTTP/1.1 200 OK\r\n" + other + b": 1\r\n\r\n", response=True)
            assert head["fields"][0]["kind"] == 0
            assert head["fields"][0]["hash"] == fnv(other.lower())


def fnv(text: bytes) -> int:
    """FNV-1a from its definition."""
    value = 0x811C9DC5
    for octet in text:
        value = (value ^ octet) * 0x01000193 % 2**32
    return value


def test_first_is_the_first_and_absent_kinds_have_none() -> None:
    head = read_head(b"GET / HTTP/1.1\r\nX: y\r\n" + HOST + b"Via: a\r\nVia: b\r\n\r\n")
    assert [(kind, at) for kind, at in enumerate(head["first"]) if at >= 0] == [(1, 1), (15, 2)]


def test_the_empty_view_needs_more() -> None:
    assert read_head(b"")["result"] == 0
    assert read_head(b"", response=True)["result"] == 0
