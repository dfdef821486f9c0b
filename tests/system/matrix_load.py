"""The fault matrix's clients: one process of mixed load on one port, that tells each mishap by its kind.

    refused    a new connection was turned away
    reset      a new connection was reset before it had an answer
    lost       a new connection ended, or had to wait for ever, without an answer
    raced      a request on a kept connection met its end
    truncated  an answer, a stream or a WebSocket was cut: it began, and its end never came
    failed     an answer with another status than 200

With a third argument "tls" all of it is over TLS.
Runs until its standard input ends, lets every client finish what it is at, and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
import time
from collections import Counter

from matrix_load_h2 import H2Connection

PATIENCE_SECONDS = 30.0
UPLOAD_PIECES, UPLOAD_PIECE = 8, b"u" * 8192
DOWNLOAD_BYTES = 1 << 20


class MishapError(Exception):
    """What went wrong, in one of the words above."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


class Client:
    """One connection, and whether it has served a request before."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.served = 0

    @classmethod
    async def open(
        cls, port: int, receive_buffer: int = 0, secure: ssl.SSLContext | None = None
    ) -> Client:
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            how = {"ssl": secure, "server_hostname": "localhost"} if secure else {}
            return cls(*await asyncio.open_connection(sock=sock, limit=1 << 16, **how))
        except OSError as error:
            sock.close()
            refused = isinstance(error, ConnectionRefusedError)
            raise MishapError("refused" if refused else "reset", repr(error)) from error

    async def head(self) -> bytes:
        """The head of the answer that is due."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        except TimeoutError as error:
            raise MishapError("lost", "no answer in time") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            fresh = "reset" if isinstance(error, ConnectionError) else "lost"
            raise MishapError("raced" if self.served else fresh, repr(error)) from error
        self.served += 1
        return head

    async def send(self, data: bytes) -> None:
        """Whether it has arrived shows in the answer."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            return

    async def exactly(self, size: int) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            raise MishapError("truncated", repr(error)) from error

    async def ask(self, target: str, *, last: bool = True, slow: float = 0) -> bool:
        """GET and read the whole answer; whether the connection may be used again."""
        option = "Connection: close\r\n" if last else ""
        await self.send(f"GET {target} HTTP/1.1\r\nHost: x.test\r\n{option}\r\n".encode())
        return await self.answer(slow)

    async def answer(self, slow: float = 0) -> bool:
        head = await self.head()
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise MishapError("failed", head.split(b"\r\n")[0].decode())
        if b"transfer-encoding" in head:
            while size := int((await self.line()).split(b";")[0], 16):
                await self.exactly(size + 2)
            await self.line()
        else:
            left = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            while left:
                left -= len(await self.exactly(min(left, 1 << 15)))
                await asyncio.sleep(slow)
        return b"\r\nconnection: close" not in head

    async def line(self) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self.reader.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError) as error:
            raise MishapError("truncated", repr(error)) from error


class Load:
    """Every kind of client, and what they have seen."""

    def __init__(self, port: int, secure: bool = False) -> None:
        self.port = port
        self.secure = secure
        self.stopping = asyncio.Event()
        self.answered: Counter[str] = Counter()
        self.mishaps: Counter[str] = Counter()
        self.notes: list[str] = []

    async def run(self, kind: str) -> None:
        """One client of this kind, until told to stop."""
        turn = getattr(self, kind)
        while not self.stopping.is_set():
            try:
                await turn()
            except MishapError as error:
                self.mishaps[error.kind] += 1
                if len(self.notes) < 40:
                    at = time.strftime("%H:%M:%S")
                    self.notes.append(f"{at} {kind}: {error.kind} {error.detail}")
                await asyncio.sleep(0.02)

    async def open(self, receive_buffer: int = 0, protocol: str = "http/1.1") -> Client:
        """A connection, in whatever way this load speaks."""
        context = None
        if self.secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.set_alpn_protocols([protocol])
        return await Client.open(self.port, receive_buffer, context)

    async def short(self) -> None:
        client = await self.open()
        try:
            await client.ask("/bytes/2000")
        finally:
            client.writer.close()
        self.answered["short"] += 1
        await asyncio.sleep(0.005)

    async def kept(self) -> None:
        client = await self.open()
        try:
            while await self.one_more(client) and not self.stopping.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        finally:
            client.writer.close()

    async def one_more(self, client: Client) -> bool:
        goes_on = await client.ask("/bytes/500", last=False)
        self.answered["kept"] += 1
        return goes_on

    async def h2(self) -> None:
        """Rounds of requests side by side until the server says GOAWAY; what it still owes by then is answered."""
        client = await self.open(protocol="h2")
        connection = H2Connection(client.reader, client.writer)
        served = False
        try:
            while not (connection.leaving or self.stopping.is_set()):
                sizes = {connection.request(f"/bytes/{size}"): size for size in (2000, 100000, 500)}
                await self.answers(connection, sizes, served)
                served = True
                await asyncio.sleep(0.01)
        finally:
            client.writer.close()

    async def answers(self, connection: H2Connection, sizes: dict[int, int], served: bool) -> None:
        """All that are owed, whole."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answered = await connection.settle()
        except TimeoutError as error:
            raise MishapError("lost", "no answer in time") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            kind = "truncated" if connection.begun() else "raced" if served else "lost"
            raise MishapError(kind, repr(error)) from error
        for number, stream in answered.items():
            if stream.status != b"200":
                raise MishapError("failed", f"{stream.status!r}")
            if stream.size != sizes[number]:
                raise MishapError("truncated", f"{stream.size} of {sizes[number]}")
        self.answered["h2"] += len(answered)

    async def upload(self) -> None:
        client = await self.open()
        try:
            size = UPLOAD_PIECES * len(UPLOAD_PIECE)
            await client.send(
                b"POST /upload HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n" % size
            )
            for _ in range(UPLOAD_PIECES):
                await client.send(UPLOAD_PIECE)
                await asyncio.sleep(0.12)
            await client.answer()
        finally:
            client.writer.close()
        self.answered["upload"] += 1

    async def download(self) -> None:
        client = await self.open(receive_buffer=16384)
        try:
            await client.ask(f"/bytes/{DOWNLOAD_BYTES}", slow=0.03)
        finally:
            client.writer.close()
        self.answered["download"] += 1

    async def sse(self) -> None:
        client = await self.open()
        try:
            await client.ask("/sse")
        finally:
            client.writer.close()
        self.answered["sse"] += 1

    async def poll(self) -> None:
        client = await self.open()
        try:
            await client.ask("/poll")
        finally:
            client.writer.close()
        self.answered["poll"] += 1

    async def websocket(self) -> None:
        """Twenty messages there and back; a Close frame of the server's is a goodbye, a bare end is not."""
        client = await self.open()
        try:
            await client.send(
                b"GET /ws HTTP/1.1\r\nHost: x.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            head = await client.head()
            if b" 101 " not in head.split(b"\r\n")[0]:
                raise MishapError("failed", head.split(b"\r\n")[0].decode())
            for number in range(20):
                await client.send(frame(1, b"%4d" % number))
                first, size = await client.exactly(2)
                await client.exactly(size)
                if first & 0x0F == 8:
                    self.answered["goodbye"] += 1
                    return
                await asyncio.sleep(0.06)
            await client.send(frame(8, b"\x03\xe8"))
        finally:
            client.writer.close()
        self.answered["websocket"] += 1


def frame(opcode: int, data: bytes) -> bytes:
    """A client's frame is masked (RFC 6455 section 5.3); the mask of zeros changes nothing."""
    return bytes([0x80 | opcode, 0x80 | len(data)]) + bytes(4) + data


async def main(port: int, wanted: dict[str, int], secure: bool) -> None:
    load = Load(port, secure)
    tasks = [asyncio.create_task(load.run(kind)) for kind, n in wanted.items() for _ in range(n)]
    loop = asyncio.get_running_loop()
    loop.add_reader(0, lambda: None if os.read(0, 100) else load.stopping.set())
    print("running", flush=True)
    await load.stopping.wait()
    loop.remove_reader(0)
    _, late = await asyncio.wait(tasks, timeout=PATIENCE_SECONDS + 10)
    load.mishaps["lost"] += len(late)
    said = {"answered": load.answered, "mishaps": load.mishaps, "notes": load.notes}
    print(json.dumps(said), flush=True)
    os._exit(0)  # whoever is late is not waited for


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), json.loads(sys.argv[2]), "tls" in sys.argv[3:]))
