"""The fault matrix's origin: counted and endless bodies, uploads, event streams, long polls, WebSocket echo."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys

SSE_EVENTS, SSE_GAP_SECONDS = 12, 0.1
POLL_SECONDS = 0.7
PIECE = b"0123456789abcdef" * 1024


async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await exchange(reader, writer):
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """One request; whether another one may follow."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    target = head.split(b" ")[1]
    if target.startswith(b"/bytes/"):
        await send_bytes(writer, int(target.split(b"/")[2]))
    elif target == b"/upload":
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        say(writer, b"%d" % length)
    elif target == b"/sse":
        await stream_events(writer)
    elif target == b"/ws":
        await echo_frames(reader, writer, head)
        return False
    else:
        if target == b"/poll":
            await asyncio.sleep(POLL_SECONDS)
        say(writer, b"ok")
    return True


def say(writer: asyncio.StreamWriter, body: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def send_bytes(writer: asyncio.StreamWriter, size: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
    for start in range(0, size, len(PIECE)):
        writer.write(PIECE[: size - start])
        await writer.drain()


async def stream_events(writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for _ in range(SSE_EVENTS):
        writer.write(b"a\r\ndata: 1\n\n \r\n")
        await writer.drain()
        await asyncio.sleep(SSE_GAP_SECONDS)
    writer.write(b"0\r\n\r\n")


async def echo_frames(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
) -> None:
    """Short frames only; RFC 6455 section 5.2."""
    key = head.split(b"sec-websocket-key:")[1].split(b"\r\n")[0].strip()
    digest = base64.b64encode(hashlib.sha1(key).digest())  # nobody here checks it
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
    )
    while True:
        first, second = await reader.readexactly(2)
        mask = await reader.readexactly(4)
        masked = await reader.readexactly(second & 0x7F)
        data = bytes(octet ^ mask[i % 4] for i, octet in enumerate(masked))
        writer.write(bytes([first, len(data)]) + data)
        await writer.drain()
        if first & 0x0F == 8:
            return


async def main() -> None:
    server = await asyncio.start_server(connection, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
