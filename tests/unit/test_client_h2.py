"""The client's HTTP/2 engine against a server of the h2 library, and gRPC's health messages."""

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pingpy.client import ClientResponse
from pingpy.client_h2 import Http2Engine
from pingpy.errors import BadResponse, UpstreamClosed
from pingpy.http import Headers
from worker.policy.health_grpc import encoded_request, serving_status, verdict

SERVING = b"\0\0\0\0\2\x08\1"


def asked(body=b"", max_body_bytes=100):
    return Http2Engine(
        "POST",
        "/a/B",
        "b:80",
        Headers([("TE", "trailers")]),
        body,
        max_body_bytes=max_body_bytes,
    )


class Server:
    """One h2 connection that has read what the engine sent."""

    def __init__(self, engine):
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.events = self.h2.receive_data(engine.opening())

    def answer(self, *, status=b"200", body=b"hello", trailers=((b"grpc-status", b"0"),)):
        self.h2.send_headers(1, [(b":status", status), (b"x", b"y")])
        self.h2.send_data(1, body)
        self.h2.send_headers(1, list(trailers), end_stream=True)
        return self.h2.data_to_send()


def test_request_and_response_with_trailers_however_they_are_cut():
    for cut in range(0, 90, 7):
        engine = asked(b"question")
        server = Server(engine)
        head = next(e for e in server.events if isinstance(e, h2.events.RequestReceived))
        assert dict(head.headers) == {
            b":method": b"POST", b":scheme": b"http", b":authority": b"b:80", b":path": b"/a/B",
            b"te": b"trailers",
        }  # fmt: skip
        assert b"question" in [e.data for e in server.events if hasattr(e, "data")]
        data = server.answer()
        reply = engine.receive(data[:cut]) + engine.receive(data[cut:])
        server.h2.receive_data(reply)  # our acknowledgements are well-formed
        response = engine.response
        assert (response.status, response.body) == (200, b"hello")
        assert response.headers.get("x") == b"y"
        assert response.trailers.get("grpc-status") == b"0"


def test_a_long_body_is_cut_and_said_to_be():
    engine = asked(max_body_bytes=3)
    engine.receive(Server(engine).answer())
    assert (engine.response.body, engine.response.truncated) == (b"hel", True)


def test_resets_goaways_closes_and_other_protocols_are_errors():
    engine = asked()
    server = Server(engine)
    server.h2.reset_stream(1, 7)
    with pytest.raises(UpstreamClosed, match="REFUSED_STREAM"):
        engine.receive(server.h2.data_to_send())
    engine = asked()
    server = Server(engine)
    server.h2.close_connection(2)
    with pytest.raises(UpstreamClosed, match="INTERNAL_ERROR"):
        engine.receive(server.h2.data_to_send())
    engine = asked()
    engine.opening()
    with pytest.raises(BadResponse):
        engine.receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(UpstreamClosed):
        asked().end_of_input()


def answered(status=200, body=SERVING, trailers=(("grpc-status", "0"),), headers=()):
    return ClientResponse(status, Headers(headers), body, trailers=Headers(trailers))


def test_only_serving_is_well():
    assert verdict(answered()) is None
    assert verdict(answered(body=b"\0\0\0\0\0")) == "the service is UNKNOWN"
    assert verdict(answered(body=b"\0\0\0\0\2\x08\2")) == "the service is NOT_SERVING"
    assert verdict(answered(503)) == "status 503 for /grpc.health.v1.Health/Check"
    assert verdict(answered(trailers=())) == "an answer without grpc-status"
    unknown = (("grpc-status", "5"), ("grpc-message", "who?"))
    assert verdict(answered(body=b"", trailers=(), headers=unknown)) == "grpc-status 5: who?"
    assert verdict(answered(body=b"hello")) == "an answer that is no HealthCheckResponse"


def test_messages_are_protobufs():
    assert encoded_request("") == b"\0\0\0\0\0"
    assert encoded_request("a.B") == b"\0\0\0\0\5\x0a\3a.B"
    assert encoded_request("x" * 200)[5:8] == b"\x0a\xc8\1"
    assert serving_status(b"\0\0\0\0\7\x12\3abc\x08\1") == 1  # an unknown field is skipped


@given(st.binary(max_size=40))
def test_any_message_gives_a_status_or_none(message):
    serving_status(b"\0" + len(message).to_bytes(4, "big") + message)
    serving_status(message)
