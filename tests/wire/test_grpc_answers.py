"""Errors of ours on gRPC calls: HTTP 200 with a gRPC status, for whoever says application/grpc."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pingpy import Response
from pingpy.phases import bind
from tests.wire.plane_ends import Message
from tests.wire.plane_rig import REPLY_FIXED, Rig


def call(path: bytes = b"/a.B/C", kind: bytes = b"application/grpc") -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nContent-Type: %b\r\n"
        b"Content-Length: 0\r\n\r\n" % (path, kind)
    )


def said(message: Message) -> tuple[bytes, bytes, bytes]:
    fields = {name.lower(): value for name, value in message.fields}
    return fields[b"grpc-status"], fields[b"grpc-message"], fields[b"content-type"]


def no_origin(make_rig: Callable[..., Rig], **options: object) -> Rig:
    rig = make_rig(origins=1, **options)
    rig.origins[0].close()
    return rig


def test_an_origin_that_is_away_is_unavailable(make_rig: Callable[..., Rig]) -> None:
    rig = no_origin(make_rig)
    message = rig.response(rig.client(call()))
    assert message.line == b"HTTP/1.1 200 OK"
    assert said(message) == (b"14", b"502 Bad Gateway", b"application/grpc")
    assert message.body == b""
    assert rig.lines(1)[0].status == 200
    assert rig.events.refusals[0][0] == 502  # the error log has the cause


KINDS = [
    (b"application/grpc+proto", b"application/grpc+proto"),
    (b"Application/GRPC+json; charset=utf-8", b"application/grpc+json"),
    (b"application/grpc-web", b"application/grpc-web"),
    (b"application/grpc-web-text+proto", b"application/grpc-web-text+proto"),
    (b"application/grpcx", None),
    (b"application/json", None),
]


@pytest.mark.parametrize(("sent", "kind"), KINDS)
def test_the_content_type_of_the_request_decides(
    make_rig: Callable[..., Rig], sent: bytes, kind: bytes | None
) -> None:
    rig = no_origin(make_rig)
    message = rig.response(rig.client(call(kind=sent)))
    if kind is None:
        assert message.line.startswith(b"HTTP/1.1 502")
    else:
        assert said(message)[2] == kind


STATUSES = [
    (400, 13), (401, 16), (403, 7), (404, 12), (405, 13), (408, 4), (413, 8), (418, 2), (429, 14),
    (431, 8), (500, 13), (501, 12), (502, 14), (503, 14), (504, 4),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code"), STATUSES)
def test_every_error_status_has_a_code(
    make_rig: Callable[..., Rig], status: int, code: int
) -> None:
    reply = {
        "reply_kind": REPLY_FIXED,
        "reply_status": status,
        "reply_head": b"Content-Type: text/plain\r\nRetry-After: 9\r\n",
        "reply_body": b"no",
    }
    rig = make_rig(built_in=[(b"/no", reply)])
    message = rig.response(rig.client(call(b"/no")))
    assert said(message)[0] == b"%d" % code
    assert message.body == b""
    assert (b"Retry-After", b"9") in message.fields
    assert len([name for name, _ in message.fields if name.lower() == b"content-type"]) == 1


def test_a_filters_refusal_is_a_status_too_and_its_success_is_not(
    make_rig: Callable[..., Rig],
) -> None:
    class Door:
        def request_filter(self, session: object, ctx: object) -> Response:
            return Response(403 if "no" in str(session.request.target) else 200, body=b"x")  # type: ignore[attr-defined]

    rig = make_rig(hooks=bind(Door()))
    client = rig.client(call(b"/no"))
    assert said(rig.response(client))[0] == b"7"
    client.take()
    client.send(call(b"/yes"))
    assert rig.response(client).body == b"x"


def test_a_late_origin_is_a_deadline(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(route={"response_ms": 50})
    assert said(rig.response(rig.client(call())))[0] == b"4"
