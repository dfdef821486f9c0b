"""One of the two small origins of `pingpy demo`: says its name and what it was asked, until its parent is gone."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from functools import partial

BODY_LIMIT_BYTES = 1 << 20


async def serve(name: str, listener: socket.socket) -> None:
    """Answer on this socket until standard input, which the parent holds open, comes to its end."""
    loop = asyncio.get_running_loop()
    # Ctrl-C reaches the whole terminal; the proxy in front should see its origins to the end.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    server = await asyncio.start_server(partial(converse, name), sock=listener, backlog=128)
    async with server:
        await reader.read()


async def converse(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Requests of one connection, one after the other."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n")
            await reader.readexactly(body_bytes(head))
            writer.write(answer(name, head))
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


def body_bytes(head: str) -> int:
    """The length of the body that follows; pingpy sends nothing that this does not understand."""
    for line in head.split("\r\n")[1:]:
        field, _, value = line.partition(":")
        if field.lower() == "transfer-encoding":
            raise ValueError("a chunked body is more than a demonstration needs")
        if field.lower() == "content-length":
            return min(int(value), BODY_LIMIT_BYTES)
    return 0


def answer(name: str, head: str) -> bytes:
    """The name, and the request as it arrived here."""
    if head.startswith("GET /healthz "):
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    body = f"{name} says hello. It was asked:\n\n{head.replace(chr(13), '')}\n".encode()
    fields = f"X-Origin: {name}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}"
    return f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode() + (
        b"" if head.startswith("HEAD ") else body
    )


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2]))))
