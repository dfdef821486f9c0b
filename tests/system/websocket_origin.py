"""WebSocket origins in threads: the server of `websockets`, and one that answers whatever it is asked the same way."""

from __future__ import annotations

import http
import socket
import threading
from collections import Counter
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class SocketOrigin:
    """/echo, /close/CODE, /ping, /pieces, /talk, and /refuse/STATUS; `closed`: the codes that it was told."""

    def __init__(self) -> None:
        self.closed: Counter[tuple[int, str]] = Counter()
        self.pings: list[bytes] = []
        self.server: Server = serve(
            self.connection,
            "127.0.0.1",
            0,
            max_size=None,
            ping_interval=None,  # an idle connection shall be idle
            select_subprotocol=lambda _, offered: "chat" if "chat" in offered else None,
            process_request=self.refuse,
        )
        self.port = int(self.server.socket.getsockname()[1])

    def __enter__(self) -> SocketOrigin:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        if "/refuse/" not in request.path:
            return None
        return connection.respond(http.HTTPStatus(int(request.path.rpartition("/")[2])), "no\n")

    def connection(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        path = connection.request.path.partition("?")[0]
        try:
            if "/close/" in path:
                connection.recv()
                connection.close(int(path.rpartition("/")[2]), "as asked")
            elif path.endswith("/ping"):
                connection.ping(b"from the origin").wait(30)
                connection.send("ponged")
            elif path.endswith("/pieces"):
                connection.send(str(len(list(connection.recv_streaming()))))
                connection.send(["one ", "two ", "three"])
            elif path.endswith("/how"):
                names = ",".join(type(e).__name__ for e in connection.protocol.extensions)
                connection.send(f"{names} {connection.subprotocol}")
            for message in connection:
                connection.send(message)
        except ConnectionClosed:
            pass
        finally:
            self.note(connection)

    def note(self, connection: ServerConnection) -> None:
        close = connection.protocol.close_rcvd
        self.closed[(close.code, close.reason) if close else (1006, "")] += 1


class RawOrigin:
    """Whoever asks, and whatever for, gets these octets; what came is kept."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.got: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])

    def __enter__(self) -> RawOrigin:
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def accept(self) -> None:
        while True:
            try:
                taken, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.speak, args=(taken,), daemon=True).start()

    def speak(self, taken: socket.socket) -> None:
        with taken:
            got: Any = b""
            while b"\r\n\r\n" not in got:
                data = taken.recv(65536)
                if not data:
                    return
                got += data
            self.got.append(got)
            taken.sendall(self.answer)
            while taken.recv(65536):
                pass
