"""The load of gRPC messages counts what came back, and notices what was lost, changed or said twice on the way."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port
from master_rig import until

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from benchmark.generator import Generator, Load, build  # noqa: E402

pytestmark = pytest.mark.system
TALK = Load("/bench.Talk/Bidi", connections=2, messages=10_000)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generator]:
    folder = tmp_path_factory.mktemp("loadgen")
    build(folder)
    made = Generator(folder / "loadgen", free_port(), None)
    try:
        until(lambda: reachable(made.origin_port))
        yield made
    finally:
        made.stop()


def reachable(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def relay(port: int, change: Callable[[bytes], bytes]) -> int:
    """A port that leads to the other one; what comes back passes `change`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, altered: bool) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(change(data) if altered else data)
        except OSError:
            pass
        finally:
            source.close()
            sink.close()

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            origin = socket.create_connection(("127.0.0.1", port))
            for source, sink, altered in ((client, origin, False), (origin, client, True)):
                threading.Thread(target=pump, args=(source, sink, altered), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def test_every_message_is_counted_once(generator: Generator) -> None:
    before = generator.stats()["requests"]
    found = generator.run(relay(generator.origin_port, bytes), TALK, 60, requests=20_000)
    assert found["errors"] == 0
    # A call of ten thousand ends, and the next begins; the origin may have seen a turn more of either conversation.
    assert 20_000 <= found["requests"] <= generator.stats()["requests"] - before


def once(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change the first piece that has messages in it."""
    done: list[Any] = []

    def altered(data: bytes) -> bytes:
        if done or b"mmmm" not in data:
            return data
        done.append(data)
        return change(data)

    return altered


MESSAGE = 9 + 5 + 64


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"mmmm", b"nmmm", 1),
        lambda data: data[:-MESSAGE],
        lambda data: data + data[-MESSAGE:],
    ],
    ids=["changed", "lost", "twice"],
)
def test_what_is_wrong_with_one_is_noticed(
    generator: Generator, change: Callable[[bytes], bytes]
) -> None:
    port = relay(generator.origin_port, once(change))
    one = Load("/bench.Talk/Bidi", connections=1, messages=10_000)
    if change(bytes(MESSAGE)) == b"":  # the turn never comes back whole
        assert generator.run(port, one, 2)["requests"] == 0
        return
    with pytest.raises(RuntimeError, match="lost or changed"):
        generator.run(port, one, 60, requests=20_000)


def test_the_program_compiles_without_warnings(tmp_path: Path) -> None:
    source = ROOT / "scripts" / "benchmark" / "load" / "call.c"
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-c", "-o", str(tmp_path / "call.o")]
    subprocess.run([*command, str(source)], check=True)
