"""What only some access logs name: trace ids, trailers, who picked the peer, HTTP/2."""

import json

import pytest

from pingpy.log_format import parse_format
from tests.unit.test_plane_access_log import ARENA, REQUEST, sample, written
from worker.plane.access_log import AccessLog
from worker.plane.table_doors import Exchange

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (f"00-{TRACE}-{PARENT}-01", TRACE),
        (f"00-{TRACE}-{PARENT}-ff", TRACE),
        (f"cc-{TRACE}-{PARENT}-01", TRACE),  # a later version
        (f"cc-{TRACE}-{PARENT}-01-what-comes-later", TRACE),
        (f"00-{TRACE}-{PARENT}-01-what-comes-later", "-"),
        (f"cc-{TRACE}-{PARENT}-01.what", "-"),
        (f"ff-{TRACE}-{PARENT}-01", "-"),
        (f"0-{TRACE}-{PARENT}-01", "-"),
        (f"00-{TRACE}-{PARENT}-0", "-"),
        (f"00-{TRACE.upper()}-{PARENT}-01", "-"),
        (f"00-{TRACE[:-1]}g-{PARENT}-01", "-"),
        (f"00-{'0' * 32}-{PARENT}-01", "-"),
        (f"00-{TRACE}-{'0' * 16}-01", "-"),
        (f"00-{TRACE}-{PARENT}-zz", "-"),
        (f"00_{TRACE}_{PARENT}_01", "-"),
        (TRACE, "-"),
        ("", "-"),
        ("0" * 8000, "-"),
        (f"00-{TRACE}-{PARENT}-01\r\nTraceparent: 00-{TRACE}-{PARENT}-01", "-"),
    ],
)
def test_a_trace_id_is_taken_from_a_well_formed_traceparent_only(value, shown):
    request = f"GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {value}\r\n\r\n".encode()
    assert written("$trace_id", sample(request)) == f"{shown}\n"
    assert json.loads(written('escape=json {"t":"$trace_id"}', sample(request))) == {
        "t": shown.strip("-")
    }


@pytest.mark.parametrize(
    ("trailers", "shown"),
    [
        (b"X-Sum: 1\r\ngrpc-status: 0\r\n", "0"),
        (b"Grpc-Status:13 \t\r\nX-Sum: 1\r\n", "13"),
        (b"grpc-status: 1\r\ngrpc-status: \r\ngrpc-status: 2\r\n", "1, , 2"),
        (b"grpc-status:\r\n", "-"),
        (b"grpc-status-details-bin: x\r\nx-grpc-status: y\r\n", "-"),
        (b'grpc-status: "\\\r\n', "\\x22\\x5C"),
        (b"grpc-status: 7", "7"),
        (b"\r\n", "-"),
        (b"", "-"),
    ],
)
def test_trailers_of_the_answer(trailers, shown):
    exchange = sample()
    exchange.note(trailers=trailers)
    assert written("$upstream_trailer_grpc_status", exchange) == f"{shown}\n"
    assert AccessLog(parse_format("$upstream_trailer_a"), -1, None).wants_response_head


def test_who_picked_the_peer():
    unpicked = Exchange(ARENA, REQUEST)
    unpicked.note(route=1)
    assert written("$lb_policy", unpicked) == "-\n"
    by_hook = sample()
    by_hook.note(hook_peer=1)
    assert written("$lb_policy", by_hook) == "hook\n"


def test_http2():
    exchange = sample()
    exchange.note(minor=20, stream=7)
    assert written("$http2 $http2_stream_id", exchange) == "h2c 7\n"
    exchange.note(tls=1)
    assert written("$http2", exchange) == "h2\n"
