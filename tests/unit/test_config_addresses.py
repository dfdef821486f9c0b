"""Addresses of listeners, upstreams and backends."""

import pytest
from pydantic_core import PydanticCustomError

from pingpy.config.addresses import (
    ListenAddress,
    overlap,
    parse_backend,
    parse_listen,
    parse_upstream,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:80", [ListenAddress("auto", "0.0.0.0", 80)]),
        ("[::]:80", [ListenAddress("auto", "::", 80)]),
        ("[0::1]:80", [ListenAddress("auto", "::1", 80)]),
        (":8080", [ListenAddress("auto", "0.0.0.0", 8080), ListenAddress("auto", "::", 8080)]),
        ("*:8080", [ListenAddress("auto", "0.0.0.0", 8080), ListenAddress("auto", "::", 8080)]),
        ("localhost:1", [ListenAddress("auto", "127.0.0.1", 1)]),
        ("http://127.0.0.1:8443", [ListenAddress("http", "127.0.0.1", 8443)]),
        ("https://127.0.0.1:81", [ListenAddress("https", "127.0.0.1", 81)]),
        ("127.0.0.1:443", [ListenAddress("https", "127.0.0.1", 443)]),
        ("127.0.0.1:8443", [ListenAddress("https", "127.0.0.1", 8443)]),
        ("unix:/run/web.sock", [ListenAddress("auto", "", 0, "/run/web.sock")]),
    ],
)
def test_listen_entries(text, expected):
    assert list(parse_listen(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.0.0.0", 'the port is missing in "0.0.0.0"'),
        ("0.0.0.0:0", 'expected a port from 1 to 65535, found "0"'),
        ("0.0.0.0:65536", 'expected a port from 1 to 65535, found "65536"'),
        ("0.0.0.0:http", 'expected a port from 1 to 65535, found "http"'),
        (":::80", 'an IPv6 address needs brackets, found ":::80"'),
        ("[::1:80", '"[::1:80" is not an address'),
        ("example.com:80", 'expected an address of this machine, found "example.com"'),
        ("tcp://0.0.0.0:80", 'unknown scheme "tcp://" in "tcp://0.0.0.0:80"'),
        ("unix:web.sock", 'the path of a Unix socket must start with /, found "unix:web.sock"'),
        ("unix:/" + "a" * 107, "the path of a Unix socket has at most 107 bytes"),
    ],
)
def test_wrong_listen_entries(text, message):
    with pytest.raises(PydanticCustomError) as error:
        parse_listen(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "scheme", "address"),
    [
        ("http://backend", "http", "backend:80"),
        ("http://Backend:8080/", "http", "backend:8080"),
        ("https://example.com", "https", "example.com:443"),
        ("http://[2001:db8::1]:81", "http", "[2001:db8::1]:81"),
        ("http://10.0.0.1", "http", "10.0.0.1:80"),
        ("http://my_service:80", "http", "my_service:80"),
        ("unix:/run/app.sock", "http", "unix:/run/app.sock"),
        ("http://unix:/run/app.sock", "http", "unix:/run/app.sock"),
    ],
)
def test_upstreams(text, scheme, address):
    found = parse_upstream(text)
    assert (found.scheme, found.text) == (scheme, address)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://a/b", 'the URL of an upstream has no path, found "http://a/b"'),
        ("http://a?x=1", 'the URL of an upstream has no path, found "http://a?x=1"'),
        ("http://a/#", 'the URL of an upstream has no path, found "http://a/#"'),
        ("http://u:p@a", 'a user name or password is not allowed in "http://u:p@a"'),
        ("ftp://a", 'unknown scheme "ftp://" in "ftp://a"'),
        ("http://", 'the host is missing in ""'),
        ("http://:80", 'the host is missing in ":80"'),
        ("http://a b", '"a b" is neither a host name nor an address'),
        ("http://1.2.3.4.5", '"1.2.3.4.5" is neither a host name nor an address'),
        ("http://999.1.1.1", '"999.1.1.1" is neither a host name nor an address'),
        ("http://a..b", '"a..b" is neither a host name nor an address'),
        ("http://a:99999", 'expected a port from 1 to 65535, found "99999"'),
        ("http://a\r\n:80", '"a\\r\\n" is neither a host name nor an address'),
    ],
)
def test_wrong_upstreams(text, message):
    with pytest.raises(PydanticCustomError) as error:
        parse_upstream(text)
    assert str(error.value) == message


def test_a_backend_is_an_address_or_a_url():
    assert parse_backend("192.168.1.100:80").text == "192.168.1.100:80"
    assert parse_backend("name").port == 80
    assert parse_backend("https://name").port == 443
    assert parse_backend("unix:/a").unix_path == "/a"


@pytest.mark.parametrize(
    ("first", "second", "does"),
    [
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("[::]:80", "[::1]:80", True),
        ("0.0.0.0:80", "127.0.0.1:81", False),
        ("0.0.0.0:80", "[::1]:80", False),
        ("[::]:80", "127.0.0.1:80", False),
        ("0.0.0.0:80", "0.0.0.0:80", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("unix:/a:80", "0.0.0.0:80", False),
    ],
)
def test_listeners_that_share_a_port_overlap(first, second, does):
    assert overlap(first, second) is overlap(second, first) is does
