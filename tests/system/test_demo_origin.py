"""The origins of `pingpy demo`: each says its name, takes bodies, and is gone with its parent."""

from __future__ import annotations

import http.client
import os
import time

import pytest

from pingpy.cli import demo
from pingpy.config.load import load
from pingpy.config.source import ConfigSource


def ask(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body=body)
    response = connection.getresponse()
    found = response.status, response.headers.get("X-Origin", ""), response.read()
    connection.close()
    return found


def test_an_origin_says_its_name_and_what_it_was_asked():
    with demo.origin("the-hare") as hare:
        status, name, body = ask(hare.port, "GET", "/some/where?x=1")
        assert (status, name) == (200, "the-hare")
        assert b"GET /some/where?x=1 HTTP/1.1" in body
        assert ask(hare.port, "POST", "/form", b"a=b")[0] == 200
        assert ask(hare.port, "HEAD", "/") == (200, "the-hare", b"")
        assert ask(hare.port, "GET", "/healthz") == (204, "", b"")


def test_an_origin_ends_with_the_block():
    with demo.origin("the-hare") as hare:
        os.kill(hare.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(hare.pid, 0)


def test_the_proxy_runs_from_a_valid_file_and_its_exit_code_is_ours(capsys):
    seen = []

    def run(source: ConfigSource) -> int:
        config = load(source)
        seen.append([(one.name, one.weight) for one in config.load_balancing.backends])
        return 7

    began = time.monotonic()
    assert demo.demo(run) == 7
    assert time.monotonic() - began < 10
    assert seen == [[("the-hare", 2), ("the-tortoise", 1)]]
    said = capsys.readouterr().out
    assert said.count("curl") == 2
    assert "kill " in said
