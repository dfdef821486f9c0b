"""gRPC with TLS and without on either side: every call kind, metadata, large messages, ends of both."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import grpc_service
import pytest
import trustme
from free_ports import free_port
from master_rig import ROOT, until

SECONDS = 60
OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.enable_retries", 0)]
AGES = [("grpc.max_connection_age_ms", 1000), ("grpc.max_connection_age_grace_ms", 60_000)]
pytestmark = pytest.mark.system


class World:
    """Origins with TLS and without, of which one pair never keeps a connection for long; pingpy before them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ca = trustme.CA()
        identity = ca.issue_cert("localhost", "127.0.0.1")
        chain = identity.cert_chain_pems[0].bytes()
        for name, pem in {
            "ca": ca.cert_pem.bytes(),
            "cert": chain,
            "key": identity.private_key_pem.bytes(),
        }.items():
            (folder / f"{name}.pem").write_bytes(pem)
        secure = grpc.ssl_server_credentials([(identity.private_key_pem.bytes(), chain)])
        self.ca = ca.cert_pem.bytes()
        self.origins = {
            "h2c": grpc_service.start(),
            "tls": grpc_service.start(credentials=secure),
            "old": grpc_service.start(options=AGES),
        }
        self.ports = {"h2c": free_port(), "tls": free_port()}
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        folder = self.folder
        schemes = {"h2c": "http", "tls": "https", "old": "http"}
        (folder / "config.toml").write_text(
            f'[global]\nruntime_dir = "{folder}/run"\npid_file = "{folder}/pid"\nworker_threads = 1\n'
            'probation = 1\ntunnel_drain_timeout = "10m"\n'
            f'access_log = "{folder}/access.log"\n[network]\nlisten = ["http://127.0.0.1:'
            f'{self.ports["h2c"]}", "https://127.0.0.1:{self.ports["tls"]}"]\n'
            f'ssl_certificate = "{folder}/cert.pem"\nssl_certificate_key = "{folder}/key.pem"\n'
            f'[proxy]\ngrpc = true\ntls = {{ ca = "{folder}/ca.pem" }}\n'
            + "".join(
                f'[[proxy.rules]]\nheader = "x-up: {up}"\n'
                f'upstream = "{schemes[up]}://127.0.0.1:{port}"\n'
                for up, (_, _, port) in self.origins.items()
            )
        )
        said = folder / "stderr.log"
        with said.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pingpy", "-c", folder / "config.toml"],
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        until(lambda: process.poll() is not None or "started: 1 of 1" in said.read_text(), SECONDS)
        assert process.poll() is None, said.read_text()
        return process

    def channel(self, down: str, *options: Any) -> grpc.Channel:
        """A connection of its own to pingpy: channels of one process share theirs otherwise."""
        own = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1), *options]
        if down == "h2c":
            return grpc.insecure_channel(f"127.0.0.1:{self.ports['h2c']}", options=own)
        credentials = grpc.ssl_channel_credentials(self.ca)
        return grpc.secure_channel(f"localhost:{self.ports['tls']}", credentials, options=own)

    def opened(self) -> int:
        """Connections to origins so far."""
        address = f"http://127.0.0.1:{self.ports['h2c']}/metrics"
        with urllib.request.urlopen(address, timeout=SECONDS) as page:
            found = re.search(
                rb"^pingpy_upstream_connections_opened_total (\d+)", page.read(), re.MULTILINE
            )
        assert found is not None
        return int(found[1])

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(SECONDS)
        for server, _, _ in self.origins.values():
            server.stop(None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("grpc"))
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module", params=["h2c", "tls"])
def up(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["h2c", "tls"])
def echo(world: World, up: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The service behind pingpy over this pair of connections."""
    with world.channel(request.param) as channel:
        yield calls(channel, world.origins[up][1], up)


def calls(channel: grpc.Channel, service: grpc_service.Service, up: str) -> Any:
    """Every method, as a call that says which origin it is for."""

    def bound(multi: Any) -> Any:
        def call(message: Any, *more: Any, timeout: float = SECONDS) -> Any:
            return multi(message, metadata=(("x-up", up), *more), timeout=timeout)

        call.with_call = lambda message, *more: multi.with_call(  # type: ignore[attr-defined]
            message, metadata=(("x-up", up), *more), timeout=SECONDS
        )
        return call

    while service.cancelled.acquire(blocking=False):
        pass
    return SimpleNamespace(
        service=service,
        unary=bound(channel.unary_unary("/test.Echo/Unary")),
        server=bound(channel.unary_stream("/test.Echo/ServerStream")),
        client=bound(channel.stream_unary("/test.Echo/ClientStream")),
        bidi=bound(channel.stream_stream("/test.Echo/Bidi")),
    )


@pytest.mark.row("S22")
def test_a_unary_call_and_its_metadata(echo: Any) -> None:
    octets = bytes(range(256))
    answer, call = echo.unary.with_call(b"question", ("x-say", "hello"), ("x-bin", octets))
    assert answer == b"question"
    assert dict(call.initial_metadata())["x-said"] == "hello"
    assert dict(call.initial_metadata())["x-bin"] == octets
    assert dict(call.trailing_metadata())["x-after-bin"] == b"\0\1\xff"
    assert call.code() is grpc.StatusCode.OK
    assert echo.service.seen[-1]["x-bin"] == octets
    assert 0 < echo.service.seen[-1]["time_remaining"] <= SECONDS + 5


@pytest.mark.row("S22")
def test_streams_of_every_kind(echo: Any) -> None:
    found = list(echo.server(b"300 1000"))
    assert [int(message[:8]) for message in found] == list(range(300))
    assert echo.client(iter([bytes(1000)] * 300)) == b"300 300000"
    sent = [os.urandom(100) for _ in range(200)]
    assert list(echo.bidi(iter(sent))) == sent


@pytest.mark.row("S22")
def test_large_messages_both_ways(echo: Any) -> None:
    message = os.urandom(4 << 20)
    assert echo.unary(message) == message
    assert list(echo.bidi(iter([message, b"", message]))) == [message, b"", message]


@pytest.mark.row("S22")
def test_a_status_its_details_and_trailers(echo: Any) -> None:
    for call in (lambda: echo.unary(b"", FAIL), lambda: list(echo.server(b"1 1", FAIL))):
        with pytest.raises(grpc.RpcError) as failed:
            call()
        assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert failed.value.details() == "as you wish: ä%"
        assert dict(failed.value.trailing_metadata())["x-after-bin"] == b"\0\1\xff"


FAIL = ("x-fail", "RESOURCE_EXHAUSTED")


@pytest.mark.row("S22")
def test_deadline_and_cancel_reach_the_server(echo: Any) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        echo.unary(b"", ("x-sleep", "60"), timeout=0.5)
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert echo.service.cancelled.acquire(timeout=SECONDS)
    call = echo.server(b"1000000 10", ("x-sleep", "0.01"))
    next(call)
    call.cancel()
    assert echo.service.cancelled.acquire(timeout=SECONDS)
    assert echo.unary(b"x") == b"x"


@pytest.mark.row("S22")
@pytest.mark.parametrize("down", ["h2c", "tls"])
def test_a_clients_keepalive_is_answered_and_is_no_flood(world: World, down: str) -> None:
    """PINGs ten times a second, for longer than one that stays without an answer would let the channel live."""
    channel = world.channel(
        down,
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 2000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_time_between_pings_ms", 100),
    )
    with channel:
        echo = calls(channel, world.origins["h2c"][1], "h2c")
        told: list[Any] = []
        channel.subscribe(told.append)
        stream = echo.server(b"2 10", ("x-sleep", "1.5"))
        assert [int(message[:8]) for message in stream] == [0, 1]
        assert echo.unary(b"x") == b"x"
        assert grpc.ChannelConnectivity.TRANSIENT_FAILURE not in told


@pytest.mark.row("S22")
def test_an_origin_that_ends_its_connections_loses_no_call(world: World) -> None:
    """max_connection_age: GOAWAY every second, in the middle of calls that follow each other closely."""
    failures: list[Any] = []
    done = 0
    before = world.opened()
    until_then = time.monotonic() + 6

    def ask() -> None:
        nonlocal done
        with world.channel("h2c") as channel:
            echo = calls(channel, world.origins["old"][1], "old")
            while time.monotonic() < until_then:
                try:
                    assert echo.unary(b"x") == b"x"
                    done += 1
                except grpc.RpcError as failure:
                    failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    with world.channel("tls") as channel:
        stream = calls(channel, world.origins["old"][1], "old").server(b"40 10", ("x-sleep", "0.1"))
        assert [int(message[:8]) for message in stream] == list(range(40))
    for thread in threads:
        thread.join(SECONDS)
    assert failures == []
    assert done > 100
    assert world.opened() - before >= 3  # they were ended indeed


@pytest.mark.row("S22")
@pytest.mark.parametrize("down", ["h2c", "tls"])
def test_a_reload_ends_no_stream(world: World, down: str) -> None:
    """HUP with a conversation under way: it goes on where it was, and new calls go to the new generation."""
    said = world.folder / "stderr.log"
    before = said.read_text().count("committed")
    ask: Any = threading.Semaphore(1)

    def questions() -> Iterator[bytes]:
        for number in range(40):
            assert ask.acquire(timeout=SECONDS)
            yield b"%d" % number

    with world.channel(down) as channel:
        echo = calls(channel, world.origins["h2c"][1], "h2c")
        for number, answer in enumerate(echo.bidi(questions())):
            assert answer == b"%d" % number
            if number == 10:
                world.process.send_signal(signal.SIGHUP)
            if number == 20:
                until(lambda: said.read_text().count("committed") > before, SECONDS)
                assert echo.unary(b"new") == b"new"
            ask.release()
    with world.channel(down) as channel:
        assert calls(channel, world.origins["h2c"][1], "h2c").unary(b"x") == b"x"
