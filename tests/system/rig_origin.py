"""An origin that can be slow, mute or gone: says who it is, what it was sent, and counts what it has seen."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
from collections import Counter


class Origin:
    """One named origin and what it remembers."""

    def __init__(self, name: str, delay_seconds: float, jitter: float, mute: bool) -> None:
        self.name = name
        self.delay_seconds = delay_seconds
        self.jitter = jitter
        self.mute = mute
        self.in_flight = 0
        self.served = 0
        self.connections = 0
        self.seen: Counter[str] = Counter()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self.exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        headers = [(name, value.strip()) for name, _, value in (x.partition(":") for x in lines)]
        length = next((int(v) for n, v in headers if n.lower() == "content-length"), 0)
        body = await reader.readexactly(length)
        if target == "/__state":
            writer.write(answer(200, self.name, json.dumps(self.state()).encode()))
            return True
        if self.mute:
            await asyncio.sleep(3600)
        if target == "/healthz":
            writer.write(answer(204, self.name, b""))
            return True
        self.in_flight += 1
        self.seen[f"{method} {target}"] += 1
        try:
            await asyncio.sleep(self.delay_seconds + random.uniform(0, self.jitter))
        finally:
            self.in_flight -= 1
        self.served += 1
        said = {"origin": self.name, "method": method, "target": target, "headers": headers}
        said["body"] = body.decode("latin-1")
        writer.write(answer(200, self.name, json.dumps(said).encode(), head=method == "HEAD"))
        await writer.drain()
        return not any(n.lower() == "connection" and v.lower() == "close" for n, v in headers)

    def state(self) -> dict[str, object]:
        return {
            "in_flight": self.in_flight,
            "served": self.served,
            "connections": self.connections,
            "seen": dict(self.seen),
        }


def answer(status: int, name: str, body: bytes, *, head: bool = False) -> bytes:
    """A whole answer; 204 has no body and no length."""
    framing = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
    text = f"HTTP/1.1 {status} Said\r\nX-Origin: {name}\r\nContent-Type: application/json\r\n"
    return (text + framing + "\r\n").encode() + (b"" if head else body)


async def serve(origin: Origin, host: str, port: int) -> None:
    server = await asyncio.start_server(origin.connection, host, port, backlog=1024)
    loop = asyncio.get_running_loop()
    # From now on connections are refused; those that are open live on.
    loop.add_signal_handler(signal.SIGUSR1, server.close)
    print("listening", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--jitter", type=float, default=0)
    parser.add_argument("--mute", action="store_true")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    origin = Origin(options.name, options.delay, options.jitter, options.mute)
    asyncio.run(serve(origin, host, int(port)))


if __name__ == "__main__":
    main()
