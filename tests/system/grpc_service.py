"""A gRPC test service on generic handlers: no generated code, messages are plain bytes.

/test.Echo/Unary          the message back; metadata "x-fail: CODE" aborts with that code, "x-sleep: S" waits first
/test.Echo/ServerStream   the message b"N SIZE" gives N messages of SIZE bytes; "x-sleep" waits between them
/test.Echo/ClientStream   how many messages came, and how many bytes
/test.Echo/Bidi           each message back as it comes
/grpc.health.v1.Health/Check
"""

from __future__ import annotations

import argparse
import functools
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import Any

import grpc

OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)]


class Service(grpc.GenericRpcHandler):
    """All methods, and what was seen of them."""

    def __init__(self) -> None:
        self.health = 1  # SERVING
        self.cancelled = threading.Semaphore(0)  # one for each call that ended before its handler
        self.seen: list[dict[str, Any]] = []
        self.methods = {
            "/test.Echo/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/test.Echo/ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
            "/test.Echo/ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
            "/test.Echo/Bidi": grpc.stream_stream_rpc_method_handler(self.bidi),
            "/grpc.health.v1.Health/Check": grpc.unary_unary_rpc_method_handler(self.check),
        }

    def service(self, details: Any) -> Any:
        return self.methods.get(details.method)

    def begin(self, context: Any) -> dict[str, Any]:
        """Note the call, say the metadata back, and fail or wait as it asks."""
        metadata = dict(context.invocation_metadata())
        self.seen.append({**metadata, "time_remaining": context.time_remaining()})
        done = threading.Event()
        metadata["done"] = done

        def over() -> None:
            if not done.is_set():
                self.cancelled.release()
            done.set()

        context.add_callback(over)
        said = metadata.get("x-say", "nothing")
        context.send_initial_metadata((("x-said", said), ("x-bin", metadata.get("x-bin", b""))))
        context.set_trailing_metadata((("x-after", said), ("x-after-bin", b"\0\1\xff")))
        if "x-fail" in metadata:
            done.set()
            context.abort(grpc.StatusCode[metadata["x-fail"]], "as you wish: ä%")
        return metadata

    def wait(self, context: Any, metadata: dict[str, Any]) -> None:
        until = time.monotonic() + float(metadata.get("x-sleep", 0))
        while time.monotonic() < until and context.is_active():
            time.sleep(0.01)

    def unary(self, message: bytes, context: Any) -> bytes:
        metadata = self.begin(context)
        self.wait(context, metadata)
        if context.is_active():
            metadata["done"].set()
        return message

    def server_stream(self, message: bytes, context: Any) -> Iterator[bytes]:
        metadata = self.begin(context)
        count, size = map(int, message.split())
        for number in range(count):
            if not context.is_active():
                return
            yield b"%08d" % number + bytes(max(size - 8, 0))
            self.wait(context, metadata)
        metadata["done"].set()

    def client_stream(self, messages: Iterator[bytes], context: Any) -> bytes:
        metadata = self.begin(context)
        count = size = 0
        for message in messages:
            count += 1
            size += len(message)
        metadata["done"].set()
        return b"%d %d" % (count, size)

    def bidi(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        metadata = self.begin(context)
        yield from messages
        metadata["done"].set()

    def check(self, message: bytes, context: Any) -> bytes:
        name = message[2:]
        if name not in (b"", b"test.Echo"):
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return b"\x08" + bytes([self.health])


def start(
    address: str = "127.0.0.1:0", credentials: Any = None, options: Sequence[Any] = ()
) -> tuple[Any, Service, int]:
    """A running server, its service, and its port; `credentials`: it speaks TLS."""
    service = Service()
    server = grpc.server(
        futures.ThreadPoolExecutor(32), handlers=(service,), options=[*OPTIONS, *options]
    )
    add = server.add_insecure_port
    if credentials is not None:
        add = functools.partial(server.add_secure_port, server_credentials=credentials)
    port = add(address)
    server.start()
    return server, service, port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    server, _, _ = start(parser.parse_args().listen)
    print("listening", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
