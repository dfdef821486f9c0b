"""What the access log says of an answer's trailers, of who picked the peer, and of HTTP/2, when the plane serves."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

from pingpy.phases import PHASES
from tests.wire.h2_client import H2Client
from tests.wire.h2_origin import H2Origin
from tests.wire.plane_rig import LOG, Rig

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    b"X-Sum: 1\r\nGrpc-Status: 5\r\nx-sum: 2\r\n\r\n"
)
TRAILERS = f"{LOG} $upstream_trailer_x_sum;$upstream_trailer_grpc_status"


def shown(rig: Rig, count: int) -> list[str]:
    """What stands behind the request in each line."""
    return [line.request.partition("HTTP/")[2].partition(" ")[2] for line in rig.lines(count)]


def test_trailers_of_a_chunked_answer_and_none_of_the_next(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(log=TRAILERS)
    client = rig.client()
    for number, answer in enumerate((CHUNKED, PLAIN, CHUNKED)):
        client.send(GET % number)
        rig.origin(wanted=b"GET /%d " % number).send(answer)
        rig.response(client)
        client.take()
    local = rig.client(b"GET /local HTTP/1.1\r\nHost: a\r\n\r\n")
    rig.response(local)
    assert shown(rig, 4) == ["1, 2;5", "-;-", "1, 2;5", "-;-"]


def test_trailers_in_pieces(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(log=TRAILERS)
    client = rig.client(GET % 1)
    origin = rig.origin()
    for octet in CHUNKED:
        origin.send(bytes([octet]))
        rig.settle(0.001)
    rig.response(client)
    assert shown(rig, 1) == ["1, 2;5"]


def test_trailers_of_http2(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(log=f"{TRAILERS};$http2;$http2_stream_id", route={"h2": True})
    client = H2Client(rig)
    origin = H2Origin(rig)
    for number in range(2):
        stream = client.request(f"/{number}")
        link, asked = origin.request(number)
        origin.answer(link, asked, b"ok", trailers=[("grpc-status", "0"), ("x-sum", "3")])
        assert client.answer(stream).trailers == [(b"grpc-status", b"0"), (b"x-sum", b"3")]
    assert shown(rig, 2) == ["3;0;h2c;1", "3;0;h2c;3"]


def test_a_client_that_gets_no_trailers_does_not_keep_them_from_the_log(
    make_rig: Callable[..., Rig],
) -> None:
    rig = make_rig(log=TRAILERS)
    client = rig.client(b"GET /1 HTTP/1.0\r\nHost: a\r\n\r\n")
    rig.origin().send(CHUNKED)
    rig.ended(client)
    assert shown(rig, 1) == ["1, 2;5"]


def test_a_peer_that_a_hook_named_was_picked_by_no_algorithm(make_rig: Callable[..., Rig]) -> None:
    slots = dict.fromkeys(["new_ctx", *PHASES])
    slots["upstream_peer"] = lambda session, ctx: (
        rig.peers[0] if session.request.target == "/1" else None
    )
    rig = make_rig(log=f"{LOG} $lb_policy", hooks=SimpleNamespace(**slots))
    rig.log.name_policies([b"round_robin"])
    client = rig.client()
    for number in range(3):
        client.send(GET % number)
        rig.origin(wanted=b"GET /%d " % number).send(PLAIN)
        rig.response(client)
        client.take()
    assert shown(rig, 3) == ["round_robin", "hook", "round_robin"]
