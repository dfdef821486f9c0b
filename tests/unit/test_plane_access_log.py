"""The access log: every variable, escaping, whole lines, and files and pipes that take nothing."""

import json
import os
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pingpy.log_format import PRESETS, VARIABLES, UnknownVariable, parse_format
from pingpy.shared import Region
from worker.plane.access_log import CONSTANTS, STEPS, AccessLog
from worker.plane.buffer import Arena
from worker.plane.cells import Cells, Counter
from worker.plane.table_doors import Exchange

ARENA = Arena()
REQUEST = (
    b"POST /a/b?x=1&y HTTP/1.1\r\nHost: Example.com:8080\r\nUser-Agent: agent/1.0\r\n"
    b"Referer: http://r/\r\nAuthorization: Basic YWxhZGRpbjpvcGVu\r\nX-A: 1\r\nX-A: 2\r\n"
    b"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"
)
RESPONSE = b"HTTP/1.1 200 OK\r\nX-Up: yes\r\nContent-Length: 0\r\n\r\n"
CONSTANT = {"generation": b"7", "worker": b"3", "pid": b"42", "hostname": b"here"}
WALL_US = 1_790_000_000_123_456


@pytest.fixture(autouse=True)
def _utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def sample(request=REQUEST, response=RESPONSE):
    made = Exchange(ARENA, request, response)
    made.note(
        client=b"192.0.2.9",
        client_port=5555,
        status=200,
        body_bytes_sent=1024,
        bytes_sent=1300,
        request_bytes=77,
        wall_us=WALL_US,
        started_us=1000,
        ended_us=6000,
        queue_us=2500,
        request_id=b"abc",
        connection_id=12,
        connection_requests=3,
        route=1,
    )
    made.attempt(b"10.0.0.1:80", connect_us=200)
    made.attempt(b"10.0.0.2:80", -1, 200, header_us=3000, response_us=4000, sent=90, received=1290)
    return made


def written(form, exchange=None, tmp_path="/dev/shm", head=True):
    fd = os.memfd_create("log", 0)
    log = AccessLog(parse_format(form), os.dup(fd), None, CONSTANT)
    log.name_listeners(["127.0.0.1:8080"])
    log.name_routes([b"first", b"/a/*"])
    log.name_policies([b"", b"least_conn"])
    (exchange or sample()).log(log, head)
    log.close()
    os.lseek(fd, 0, os.SEEK_SET)
    text = os.read(fd, 1 << 20)
    os.close(fd)
    return text.decode()


def test_combined_is_the_line_that_log_analysers_know():
    assert written("combined") == (
        '192.0.2.9 - aladdin [21/Sep/2026:14:13:20 +0000] "POST /a/b?x=1&y HTTP/1.1" 200 1024 '
        '"http://r/" "agent/1.0"\n'
    )


VALUES = {
    "args": "x=1&y",
    "body_bytes_sent": "1024",
    "bytes_sent": "1300",
    "connection": "12",
    "connection_requests": "3",
    "generation": "7",
    "host": "Example.com",
    "hostname": "here",
    "http2": "-",
    "http2_stream_id": "-",
    "https": "-",
    "lb_policy": "least_conn",
    "listener": "127.0.0.1:8080",
    "msec": "1790000000.128",
    "pid": "42",
    "queue_time": "0.002",
    "realip_remote_addr": "-",
    "remote_addr": "192.0.2.9",
    "remote_port": "5555",
    "remote_user": "aladdin",
    "request": "POST /a/b?x=1&y HTTP/1.1",
    "request_id": "abc",
    "request_length": "77",
    "request_method": "POST",
    "request_time": "0.005",
    "request_uri": "/a/b?x=1&y",
    "retries": "1",
    "route": "/a/*",
    "scheme": "http",
    "server_addr": "127.0.0.1:8080",
    "server_port": "8080",
    "server_protocol": "HTTP/1.1",
    "ssl_alpn_protocol": "-",
    "ssl_cipher": "-",
    "ssl_client_s_dn": "-",
    "ssl_client_verify": "-",
    "ssl_protocol": "-",
    "ssl_server_name": "-",
    "ssl_session_reused": "-",
    "status": "200",
    "termination": "ok",
    "time_iso8601": "2026-09-21T14:13:20+00:00",
    "time_local": "21/Sep/2026:14:13:20 +0000",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "upstream_addr": "10.0.0.1:80, 10.0.0.2:80",
    "upstream_bytes_received": "0, 1290",
    "upstream_bytes_sent": "0, 90",
    "upstream_cache_status": "-",
    "upstream_connect_time": "0.000, -",
    "upstream_header_time": "-, 0.003",
    "upstream_response_time": "-, 0.004",
    "upstream_status": "-, 200",
    "uri": "/a/b",
    "worker": "3",
}


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_each_variable(name):
    assert written(f"<${name}>") == f"<{VALUES[VARIABLES[name]]}>\n"


def test_every_variable_has_a_step_or_a_constant():
    families = {"http_", "sent_http_", "upstream_http_", "upstream_trailer_"}
    assert set(VARIABLES.values()) == (set(STEPS) - families) | set(CONSTANTS)


def test_headers_of_request_and_response():
    assert written("$http_x_a $http_nope $upstream_http_x_up $sent_http_x_up") == "1, 2 - yes yes\n"
    assert AccessLog(parse_format("$sent_http_a"), -1, None).wants_response_head
    assert not AccessLog(parse_format("$http_a $upstream_addr"), -1, None).wants_response_head


def test_a_request_that_never_was_one_has_dashes():
    exchange = Exchange(ARENA, b"\x16\x03\x01")
    exchange.note(client=b"192.0.2.9", status=400, wall_us=WALL_US)
    line = written("combined", exchange, head=False)
    assert line == '192.0.2.9 - - [21/Sep/2026:14:13:20 +0000] "-" 400 0 "-" "-"\n'
    assert json.loads(written("json", exchange, head=False))["uri"] == ""


@pytest.mark.parametrize(
    ("credentials", "user"),
    [
        (b"Basic YWxhZGRpbjpvcGVu", "aladdin"),
        (b"basic YTpiOmM=", "a"),
        (b"Basic !!!", "-"),
        (b"Basic", "-"),
        (b"Bearer YTpi", "-"),
        (b"Basic ImE6Yg==", "\\x22a"),
    ],
)
def test_the_user_is_taken_from_basic_credentials_only(credentials, user):
    request = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n" % credentials
    assert written("$remote_user", sample(request)) == f"{user}\n"


def test_what_clients_send_is_escaped():
    request = b'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: "\\\t\xc3\xa9 x\r\n\r\n'
    assert written("[$http_user_agent]", sample(request)) == "[\\x22\\x5C\\x09\\xC3\\xA9 x]\n"
    line = written('escape=json {"a":"$http_user_agent"}', sample(request))
    assert json.loads(line) == {"a": '"\\\t\u00c3\u00a9 x'}


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=60))
def test_json_lines_always_parse_and_text_lines_never_break(value):
    value = bytes(byte for byte in value if (byte >= 32 and byte != 127) or byte == 9).strip(b" \t")
    request = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: " + value + b"\r\n\r\n"
    assert json.loads(written("json", sample(request)))["user_agent"].encode("latin-1") == value
    line = written("combined", sample(request))
    assert line.count("\n") == 1
    assert re.fullmatch(r'[^"]*("[^"]*"[^"]*){3}\n', line)


@pytest.mark.parametrize("size", range(1, 34))
def test_a_special_octet_is_escaped_at_every_place(size):
    """Values are copied eight octets at a time, the last eight once more."""
    for place in range(size):
        for special in (b'"', b"\\", b"\xe9"):
            value = (b"abcdefghij" * 4)[:place] + special + (b"klmnopqrst" * 4)[: size - place - 1]
            request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Value: " + value + b"\r\n\r\n"
            text = value.replace(special, b"\\x%02X" % special[0]).decode()
            assert written("$http_x_value", sample(request)) == text + "\n"


def test_every_preset_is_one_line():
    for preset in PRESETS:
        assert written(preset).count("\n") == 1
    assert json.loads(written("json"))["upstream_addr"] == "10.0.0.1:80, 10.0.0.2:80"


def test_a_monstrous_line_is_cut_and_still_one_line():
    request = b"GET /" + b"\xff" * 0 + b"a" * 60_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    exchange = sample(request)
    line = written(" ".join(["$request"] * 20), exchange)
    assert line.endswith("\n")
    assert 100_000 < len(line) <= 131_073


@pytest.mark.parametrize(
    ("form", "advice"),
    [
        ("$remote_adr", "did you mean $remote_addr"),
        ("$zzz", "unknown variable $zzz"),
        ("combind", 'did you mean "combined"'),
        ("$http_", "unknown variable"),
    ],
)
def test_mistakes_in_a_format_are_explained(form, advice):
    with pytest.raises(UnknownVariable, match=re.escape(advice)):
        parse_format(form)


def test_braces_end_a_variables_name():
    assert written("${status}ms $status") == "200ms 200\n"


def open_log(fd, cells=None, form="$status"):
    return AccessLog(parse_format(form), fd, cells)


def test_lines_are_collected_and_written_in_one_piece(tmp_path):
    path = tmp_path / "access.log"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    log = open_log(fd)
    exchange = sample()
    for _ in range(100):
        exchange.log(log)
    assert path.read_bytes() == b""
    log.write_out()
    assert path.read_bytes() == b"200\n" * 100
    for _ in range(20_000):
        exchange.log(log)
    assert path.stat().st_size >= 65_536
    log.close()
    assert path.read_bytes() == b"200\n" * 20_100


def test_a_new_descriptor_gets_what_comes_after(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    log = open_log(os.open(old, os.O_CREAT | os.O_WRONLY | os.O_APPEND))
    exchange = sample()
    exchange.log(log)
    log.set_fd(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_APPEND))
    exchange.log(log)
    exchange.log(log)
    log.close()
    assert (old.read_text(), new.read_text()) == ("200\n", "200\n200\n")


def test_off_writes_nothing():
    log = open_log(-1)
    sample().log(log)
    log.close()
    assert log.lines_dropped == 0


@pytest.fixture
def cells():
    region = Region.create()
    return Cells(region, region.claim_slab(1, 0, "worker"))


def test_a_full_disk_costs_lines_and_nothing_else(cells):
    log = open_log(os.open("/dev/full", os.O_WRONLY), cells)
    log.set_fd(os.open("/dev/full", os.O_WRONLY))
    for _ in range(3):
        sample().log(log)
    log.write_out()
    assert log.lines_dropped == 3
    assert cells.value(Counter.C_LOG_DROPPED) == 3


def test_a_pipe_that_nobody_reads_never_blocks(cells):
    reader, writer = os.pipe()
    log = open_log(writer, cells)
    exchange = sample()
    for _ in range(40_000):
        exchange.log(log)
    log.write_out()
    dropped = log.lines_dropped
    assert dropped > 0
    os.set_blocking(reader, False)
    got = os.read(reader, 1 << 20)
    assert got == b"200\n" * (40_000 - dropped)
    exchange.log(log)
    log.close()
    assert os.read(reader, 100) == b"200\n"
    os.close(reader)


def test_a_broken_pipe_is_survived(cells):
    reader, writer = os.pipe()
    os.close(reader)
    log = open_log(writer, cells)
    sample().log(log)
    log.close()
    assert cells.value(Counter.C_LOG_DROPPED) == 1


def test_a_line_that_was_cut_short_does_not_spoil_the_next(tmp_path, monkeypatch):
    path = tmp_path / "access.log"
    log = open_log(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND))
    whole, room = os.write, [6, 0]

    def short(fd, data):
        if not room:
            return whole(fd, data)
        return whole(fd, bytes(data)[: room.pop(0)])

    monkeypatch.setattr(os, "write", short)
    for _ in range(3):
        sample().log(log)
    log.write_out()
    assert log.lines_dropped == 2
    sample().log(log)
    log.close()
    assert path.read_text() == "200\n20\n200\n"


def test_local_time_and_its_offset(monkeypatch):
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    assert written("$time_local $time_iso8601") == (
        "21/Sep/2026:11:43:20 -0230 2026-09-21T11:43:20-02:30\n"
    )
