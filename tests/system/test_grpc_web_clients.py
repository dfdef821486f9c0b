"""gRPC-Web clients through pingpy to a real gRPC server: connectrpc's over HTTP/1.1, HTTP/2, TLS; one for text."""

from __future__ import annotations

import base64
import http.client
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import grpc_service
import pytest
import trustme
from connectrpc.client import ConnectClientSync
from connectrpc.client import ResponseMetadata as Metadata
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.protocol import ProtocolType
from free_ports import free_port
from master_rig import until
from one_worker import serving
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport

SECONDS = 30
pytestmark = pytest.mark.system


class Plain:
    """Messages that are bytes already."""

    def name(self) -> str:
        return "proto"

    def encode(self, message: bytes) -> bytes:
        return message

    def decode(self, data: bytes | bytearray, message_class: type[bytes]) -> bytes:
        return bytes(data)


def method(name: str, kind: StreamType = StreamType.UNARY, service: str = "test.Echo") -> Any:
    return MethodInfo(
        name=name,
        service_name=service,
        input=bytes,
        output=bytes,
        idempotency_level=IdempotencyLevel.UNKNOWN,
        stream_type=kind,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A gRPC server, and pingpy before it with a plain and a secure port."""
    folder = tmp_path_factory.mktemp("grpc_web")
    server, service, origin = grpc_service.start()
    ca = trustme.CA()
    identity = ca.issue_cert("localhost")
    identity.private_key_pem.write_to_path(str(folder / "key.pem"))
    identity.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    plain, secure, nobody = free_port(), free_port(), free_port()
    text = (
        f'[global]\nruntime_dir = "{folder}/run"\npid_file = "{folder}/pid"\n'
        f'access_log = "{folder}/access.log"\nworker_threads = 1\n'
        f'[network]\nlisten = ["http://127.0.0.1:{plain}", "https://127.0.0.1:{secure}"]\n'
        f'ssl_certificate = "{folder}/cert.pem"\nssl_certificate_key = "{folder}/key.pem"\n'
        "[proxy]\ngrpc = true\ngrpc_web = true\n"
        f'[[proxy.rules]]\npath = "/no.Origin/*"\nupstream = "http://127.0.0.1:{nobody}"\n'
        f'[[proxy.rules]]\npath = "/test.Echo/*"\nupstream = "http://127.0.0.1:{origin}"\n'
    )
    try:
        with serving(folder, text):
            yield SimpleNamespace(
                plain=plain, secure=secure, service=service, ca=ca.cert_pem.bytes(), folder=folder
            )
    finally:
        server.stop(None)


@pytest.fixture(scope="module", params=["http/1.1", "http/2", "tls http/1.1", "tls http/2"])
def client(world: Any, request: pytest.FixtureRequest) -> Iterator[ConnectClientSync]:
    version = HTTPVersion.HTTP2 if request.param.endswith("2") else HTTPVersion.HTTP1
    secure = request.param.startswith("tls")
    address = f"https://localhost:{world.secure}" if secure else f"http://127.0.0.1:{world.plain}"
    trusted = world.ca if secure else None
    with SyncHTTPTransport(http_version=version, tls_ca_cert=trusted) as transport:
        yield ConnectClientSync(
            address,
            codec=Plain(),
            protocol=ProtocolType.GRPC_WEB,
            http_client=SyncClient(transport),
        )


@pytest.mark.row("S22")
def test_a_unary_call_with_metadata_both_ways(client: ConnectClientSync, world: Any) -> None:
    told = Metadata()
    with told:
        answer = client.execute_unary(
            request=b"question", method=method("Unary"), headers={"x-say": "hello"}
        )
    assert answer == b"question"
    assert told.headers["x-said"] == "hello"
    assert told.trailers["x-after"] == "hello"
    assert base64.b64decode(told.trailers["x-after-bin"] + "==") == b"\0\1\xff"
    seen = world.service.seen[-1]
    assert (seen["x-say"], "x-grpc-web" in seen) == ("hello", False)


@pytest.mark.parametrize("size", [0, 1, 16379, 65536, 4 << 20])
def test_messages_of_every_size_are_the_same(client: ConnectClientSync, size: int) -> None:
    message = os.urandom(size)
    assert client.execute_unary(request=message, method=method("Unary")) == message


def test_a_stream_comes_as_it_is_said(client: ConnectClientSync) -> None:
    """The server waits between its messages: each is here before the next can have been said."""
    stream = client.execute_server_stream(
        request=b"20 100",
        method=method("ServerStream", StreamType.SERVER_STREAM),
        headers={"x-sleep": "0.1"},
    )
    came = []
    for number, message in enumerate(stream):
        assert int(message[:8]) == number
        came.append(time.monotonic())
    assert len(came) == 20
    # All at the end would be within no time at all; the server alone takes 1.9 seconds.
    assert came[-1] - came[0] > 1


def test_a_long_stream_is_whole(client: ConnectClientSync) -> None:
    stream = client.execute_server_stream(
        request=b"5000 100", method=method("ServerStream", StreamType.SERVER_STREAM)
    )
    assert [int(message[:8]) for message in stream] == list(range(5000))


def test_statuses_of_the_server_are_untouched(client: ConnectClientSync) -> None:
    how: dict[str, Any] = {"headers": {"x-fail": "DATA_LOSS"}}
    with pytest.raises(ConnectError) as failed:
        client.execute_unary(request=b"", method=method("Unary"), **how)
    assert (failed.value.code, failed.value.message) == (Code.DATA_LOSS, "as you wish: ä%")
    with pytest.raises(ConnectError) as failed:
        list(
            client.execute_server_stream(
                request=b"1 1", method=method("ServerStream", StreamType.SERVER_STREAM), **how
            )
        )
    assert failed.value.code is Code.DATA_LOSS
    with pytest.raises(ConnectError) as failed:
        client.execute_unary(request=b"", method=method("Nothing"))
    assert failed.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("service", "code"), [("no.Rule", Code.UNIMPLEMENTED), ("no.Origin", Code.UNAVAILABLE)]
)
def test_errors_of_ours_are_statuses(client: ConnectClientSync, service: str, code: Code) -> None:
    with pytest.raises(ConnectError) as failed:
        client.execute_unary(request=b"", method=method("X", service=service))
    assert failed.value.code is code


def test_a_deadline_ends_the_call_at_the_server(client: ConnectClientSync, world: Any) -> None:
    while world.service.cancelled.acquire(blocking=False):
        pass
    with pytest.raises(ConnectError) as failed:
        client.execute_unary(
            request=b"", method=method("Unary"), headers={"x-sleep": "60"}, timeout_ms=500
        )
    assert failed.value.code is Code.DEADLINE_EXCEEDED
    assert world.service.cancelled.acquire(timeout=SECONDS)
    assert client.execute_unary(request=b"x", method=method("Unary")) == b"x"


def text_call(world: Any, name: str, message: bytes, **fields: str) -> http.client.HTTPResponse:
    """What a browser without streams sends: base64, each part with its own padding."""
    connection = http.client.HTTPConnection("127.0.0.1", world.plain, timeout=SECONDS)
    head = b"\0" + len(message).to_bytes(4, "big")
    body = base64.b64encode(head) + base64.b64encode(message)
    kind = "application/grpc-web-text"
    connection.request(
        "POST",
        f"/test.Echo/{name}",
        body,
        {"Content-Type": kind, "Accept": kind, "X-Grpc-Web": "1", **fields},
    )
    return connection.getresponse()


def frames_of(text: bytes) -> list[tuple[int, bytes]]:
    data = b"".join(base64.b64decode(text[at : at + 4]) for at in range(0, len(text), 4))
    found = []
    while data:
        size = int.from_bytes(data[1:5], "big")
        assert len(data) >= 5 + size
        found.append((data[0], data[5 : 5 + size]))
        data = data[5 + size :]
    return found


def test_text_both_ways(world: Any) -> None:
    response = text_call(world, "ServerStream", b"300 1000")
    assert response.headers["Content-Type"] == "application/grpc-web-text"
    *messages, (flags, trailers) = frames_of(response.read())
    assert [int(message[:8]) for _, message in messages] == list(range(300))
    assert {len(message) for _, message in messages} == {1000}
    assert flags == 0x80
    assert {b"grpc-status: 0", b"x-after: nothing"} <= set(trailers.split(b"\r\n"))


def test_a_text_stream_comes_as_it_is_said(world: Any) -> None:
    response = text_call(world, "ServerStream", b"3 10", **{"x-sleep": "1"})
    began = time.monotonic()
    first = response.read1(1 << 16)
    assert frames_of(first)[0] == (0, b"%08d\0\0" % 0)
    assert len(frames_of(first)) == 1
    assert time.monotonic() - began < SECONDS
    assert len(frames_of(first + response.read())) == 4


def test_plain_grpc_on_the_same_rules_is_untouched(world: Any) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{world.plain}") as channel:
        both = channel.stream_stream("/test.Echo/Bidi")
        sent = [os.urandom(100) for _ in range(100)]
        call = both(iter(sent), timeout=SECONDS)
        assert list(call) == sent
        assert dict(call.trailing_metadata())["x-after-bin"] == b"\0\1\xff"
        assert call.code() is grpc.StatusCode.OK


def test_many_calls_at_once(client: ConnectClientSync) -> None:
    found: list[bytes] = []

    def ask(number: int) -> None:
        message = b"%d" % number * 1000
        if client.execute_unary(request=message, method=method("Unary")) == message:
            found.append(message)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(found) == 50


def test_the_log_has_every_call(world: Any) -> None:
    path: Path = world.folder / "access.log"
    message = text_call(world, "Unary", b"x", **{"User-Agent": "the last one"}).read()
    assert frames_of(message)[0] == (0, b"x")
    until(lambda: "the last one" in path.read_text())
    last = path.read_text().splitlines()[-1]
    assert '"POST /test.Echo/Unary HTTP/1.1" 200 ' in last
