"""Headers, Request and Response of the programming interface."""

import pytest

from pingpy.http import Headers, Request, Response


def sample() -> Headers:
    return Headers([("Host", "a"), ("Accept", "x"), (b"accept", b"y"), ("X-Id", "1")])


def test_get_ignores_case_and_returns_the_first():
    assert sample().get("ACCEPT") == b"x"
    assert sample().get(b"accept") == b"x"
    assert sample().get("none") is None
    assert sample().get("none", b"-") == b"-"


def test_getlist_keeps_order():
    assert sample().getlist("Accept") == [b"x", b"y"]


def test_set_replaces_all_at_the_place_of_the_first():
    headers = sample()
    headers.set("accept", "z")
    assert headers.items() == [(b"Host", b"a"), (b"accept", b"z"), (b"X-Id", b"1")]


def test_set_appends_what_was_not_there():
    headers = sample()
    headers.set("New", "v")
    assert headers.items()[-1] == (b"New", b"v")


def test_add_and_remove_report_and_mark_the_change():
    headers = sample()
    assert headers.remove("absent") == 0
    assert not headers.changed
    assert headers.remove("accept") == 2
    assert headers.changed
    headers.add("Accept", "again")
    assert "accept" in headers
    assert 1 not in headers
    assert len(headers) == 3


def test_items_is_a_copy():
    headers = sample()
    headers.items().clear()
    assert len(headers) == 4
    assert list(headers) == headers.items()


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nb", "a\0b", "a\x7fb", b"\x01"])
def test_a_value_cannot_split_the_message(value):
    with pytest.raises(ValueError, match="control characters"):
        sample().set("X", value)
    with pytest.raises(ValueError, match="control characters"):
        sample().add("X", value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r"])
def test_a_name_is_a_token(name):
    with pytest.raises(ValueError, match="not a field name"):
        sample().add(name, "v")


def test_values_are_stripped_and_text_is_utf8():
    headers = Headers()
    headers.add("X", " \tä ")
    assert headers.get("x") == "ä".encode()


def test_from_wire_takes_over_without_checking():
    fields = [(b"A", b"1")]
    headers = Headers.from_wire(fields)
    assert headers.items() == fields
    assert headers == Headers([("A", "1")])
    assert repr(headers) == "<Headers A: b'1'>"


def test_response_takes_pairs_headers_and_text():
    response = Response(403, [("X", "1")], "no")
    assert response.body == b"no"
    assert response.headers.get("x") == b"1"
    assert repr(response) == "<Response 403 fields=1 body=2>"
    assert Response(200, Headers()).body == b""


@pytest.mark.parametrize("status", [100, 101, 199, 600, 0, -1])
def test_a_response_has_a_final_status(status):
    with pytest.raises(ValueError, match="final status"):
        Response(status)


def test_request_shows_itself():
    request = Request("GET", "/a", sample())
    assert repr(request) == "<Request GET /a HTTP/1.1 fields=4>"
