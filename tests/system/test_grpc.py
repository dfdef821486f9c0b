"""gRPC through pingpy with the real client and server: every kind of call, metadata, deadlines, cancels, errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import grpc_service
import pytest
from free_ports import free_port

ROOT = Path(__file__).parents[2]
SECONDS = 30
OPTIONS = [("grpc.max_receive_message_length", 64 << 20), ("grpc.enable_retries", 0)]
pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A gRPC server, pingpy before it, and a channel to pingpy."""
    directory = tmp_path_factory.mktemp("grpc")
    server, service, origin = grpc_service.start()
    port, nobody = free_port(), free_port()
    config = directory / "config.toml"
    config.write_text(
        f'[global]\nruntime_dir = "{directory}/run"\npid_file = "{directory}/pid"\n'
        f'access_log = "{directory}/access.log"\nworker_threads = 1\n'
        f'[network]\nlisten = ["127.0.0.1:{port}"]\n[proxy]\ngrpc = true\n'
        f'[[proxy.rules]]\npath = "/no.Origin/*"\nupstream = "http://127.0.0.1:{nobody}"\n'
        '[[proxy.rules]]\npath = "/no.Entry/*"\nrespond = 403\n'
        f'[[proxy.rules]]\npath = "/test.Echo/*"\nupstream = "http://127.0.0.1:{origin}"\n'
    )
    with (directory / "errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pingpy", "-c", str(config)],
            stdout=errors,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS)
    try:
        grpc.channel_ready_future(channel).result(SECONDS)
        yield SimpleNamespace(
            channel=channel, service=service, port=port, directory=directory, process=process
        )
    finally:
        channel.close()
        process.terminate()
        process.wait(SECONDS)
        server.stop(None)


def test_a_unary_call_with_metadata_both_ways(world: Any) -> None:
    call = world.channel.unary_unary("/test.Echo/Unary")
    sent = (("x-say", "hello"), ("x-bin", b"\0\xff"))
    answer, done = call.with_call(b"question", metadata=sent, timeout=SECONDS)
    assert answer == b"question"
    assert dict(done.initial_metadata())["x-said"] == "hello"
    after = dict(done.trailing_metadata())
    assert (after["x-after"], after["x-after-bin"]) == ("hello", b"\0\1\xff")
    assert done.code() is grpc.StatusCode.OK
    seen = world.service.seen[-1]
    assert seen["x-bin"] == b"\0\xff"
    assert 0 < seen["time_remaining"] <= SECONDS + 5  # grpc-timeout was passed on


def test_messages_of_every_size_are_the_same(world: Any) -> None:
    call = world.channel.unary_unary("/test.Echo/Unary")
    for size in (0, 1, 16383, 16384, 65536, 1 << 20, 8 << 20):
        message = os.urandom(size)
        assert call(message, timeout=SECONDS) == message


def test_streams_of_every_kind(world: Any) -> None:
    stream = world.channel.unary_stream("/test.Echo/ServerStream")
    found = list(stream(b"500 1000", timeout=SECONDS))
    assert [int(message[:8]) for message in found] == list(range(500))
    up = world.channel.stream_unary("/test.Echo/ClientStream")
    assert up(iter([bytes(1000)] * 500), timeout=SECONDS) == b"500 500000"
    both = world.channel.stream_stream("/test.Echo/Bidi")
    sent = [os.urandom(100) for _ in range(300)]
    assert list(both(iter(sent), timeout=SECONDS)) == sent


def test_a_conversation_goes_message_by_message(world: Any) -> None:
    """Nothing is buffered: each answer comes before the next question is asked."""
    ask = threading.Semaphore(1)

    def questions() -> Iterator[bytes]:
        for number in range(50):
            assert ask.acquire(timeout=SECONDS)
            yield b"%d" % number

    both = world.channel.stream_stream("/test.Echo/Bidi")
    for number, answer in enumerate(both(questions(), timeout=SECONDS)):
        assert answer == b"%d" % number
        ask.release()


def test_statuses_of_the_server_are_untouched(world: Any) -> None:
    how = {"metadata": (("x-fail", "DATA_LOSS"),), "timeout": SECONDS}
    unary = world.channel.unary_unary("/test.Echo/Unary")
    stream = world.channel.unary_stream("/test.Echo/ServerStream")
    for call in (lambda: unary(b"", **how), lambda: list(stream(b"1 1", **how))):
        with pytest.raises(grpc.RpcError) as failed:
            call()
        assert failed.value.code() is grpc.StatusCode.DATA_LOSS
        assert failed.value.details() == "as you wish: ä%"
        assert dict(failed.value.trailing_metadata())["x-after-bin"] == b"\0\1\xff"
    with pytest.raises(grpc.RpcError) as failed:
        world.channel.unary_unary("/test.Echo/Nothing")(b"", timeout=SECONDS)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/no.Rule/X", grpc.StatusCode.UNIMPLEMENTED),
        ("/no.Origin/X", grpc.StatusCode.UNAVAILABLE),
        ("/no.Entry/X", grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_errors_of_ours_are_statuses(world: Any, path: str, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        world.channel.unary_unary(path)(b"", timeout=SECONDS)
    assert failed.value.code() is code


def test_a_cancelled_call_is_cancelled_at_the_server(world: Any) -> None:
    while world.service.cancelled.acquire(blocking=False):
        pass
    stream = world.channel.unary_stream("/test.Echo/ServerStream")
    call = stream(b"1000000 10", metadata=(("x-sleep", "0.01"),))
    next(call)
    call.cancel()
    assert world.service.cancelled.acquire(timeout=SECONDS)
    assert world.channel.unary_unary("/test.Echo/Unary")(b"x", timeout=SECONDS) == b"x"


def test_a_deadline_ends_the_call_on_both_sides(world: Any) -> None:
    while world.service.cancelled.acquire(blocking=False):
        pass
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as failed:
        world.channel.unary_unary("/test.Echo/Unary")(
            b"", metadata=(("x-sleep", "60"),), timeout=0.5
        )
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < SECONDS
    assert world.service.cancelled.acquire(timeout=SECONDS)


def test_ten_thousand_messages_in_one_stream(world: Any) -> None:
    both = world.channel.stream_stream("/test.Echo/Bidi")
    sent = (b"%08d" % number for number in range(10_000))
    got = list(both(sent, timeout=3 * SECONDS))
    assert got == [b"%08d" % number for number in range(10_000)]


def test_many_calls_at_once(world: Any) -> None:
    call = world.channel.unary_unary("/test.Echo/Unary")
    futures = [call.future(b"%d" % number, timeout=SECONDS) for number in range(300)]
    assert [future.result() for future in futures] == [b"%d" % number for number in range(300)]
