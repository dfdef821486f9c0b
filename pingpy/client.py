"""A small async HTTP client for what pingpy itself asks: health probes, discovery, forward-auth.

One connection per request, closed afterwards; every size and time is bounded. The protocol is an engine without I/O
(`Http1Engine` on httptools, `client_h2.Http2Engine` on h2).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast
from urllib.parse import SplitResult, urlsplit

import httptools

from pingpy.errors import (
    BadResponse,
    ConnectFailed,
    ConnectTimeout,
    TlsFailed,
    UpstreamClosed,
    UpstreamTimeout,
)
from pingpy.http import Headers, Text

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 100
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """A final response. `truncated`: the body was longer than the caller wanted, and was cut there.

    `trailers` are kept by HTTP/2 only.
    """

    status: int
    headers: Headers
    body: bytes
    truncated: bool = False
    trailers: Headers = field(default_factory=Headers)


class Engine(Protocol):
    """One request and its response in some protocol, without I/O."""

    response: ClientResponse | None

    def opening(self) -> bytes:
        """What to send once connected."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes in; returns bytes to send. Raises BadResponse. Finished when `response` is set."""

    def end_of_input(self) -> None:
        """The peer closed: sets `response` if that is how the body ends, else raises UpstreamClosed."""


class Http1Engine:
    """HTTP/1.1 by httptools, which knows no limits and neither HEAD nor the end of input: those are kept here."""

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes = b"",
        max_body_bytes: int = 65536,
    ) -> None:
        self.response: ClientResponse | None = None
        self._method = method
        self._target = target
        self._headers = headers
        self._body = body
        self._max_body_bytes = max_body_bytes
        self._parser = httptools.HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._head_bytes = 0
        self._until_close = False
        self._chunks: list[bytes] = []
        self._body_bytes = 0

    def opening(self) -> bytes:
        """The request, framed here: what the caller set for Connection or the length of the body does not count."""
        headers = Headers.from_wire(self._headers.items())
        headers.set("Connection", "close")
        headers.remove("Transfer-Encoding")
        headers.remove("Content-Length")
        if self._body or self._method in ("POST", "PUT", "PATCH"):
            headers.add("Content-Length", str(len(self._body)))
        line = f"{self._method} {self._target} HTTP/1.1\r\n".encode("ascii")
        fields = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        return line + fields + b"\r\n" + self._body

    def receive(self, data: bytes) -> bytes:
        """Feed the parser; nothing is ever sent in return."""
        if self.response is not None:
            return b""
        if not self._status:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            # Whatever follows a complete response is not looked at.
            if not self._finished():
                cause = error.__context__ or error
                raise BadResponse(f"not an HTTP/1 response: {cause}") from error
        if not self._status and self._head_bytes > MAX_HEAD_BYTES:
            raise BadResponse(f"a response head of more than {MAX_HEAD_BYTES} bytes")
        return b""

    def end_of_input(self) -> None:
        """RFC 9112 6.3: without a length, only a clean close ends the body."""
        if self.response is None:
            if not self._until_close:
                raise UpstreamClosed("the connection closed before the response was complete")
            self._finish()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser; trailers come here as well, after the head, and are dropped."""
        if self._status:
            return
        if len(self._fields) >= MAX_FIELDS:
            raise BadResponse(f"more than {MAX_FIELDS} fields in a response")
        # The parser leaves white space behind the value.
        self._fields.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Called by the parser: the end of a head, interim ones included."""
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            # RFC 9110 15.2: interim responses are read past.
            self._fields = []
            return
        self._status = status
        names = {name.lower() for name, _ in self._fields}
        without_body = self._method == "HEAD" or status in (101, 204, 304)
        self._until_close = not names & {b"content-length", b"transfer-encoding"}
        if without_body:
            self._finish()

    def on_body(self, data: bytes) -> None:
        """Called by the parser."""
        if self.response is not None:
            return
        self._chunks.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > self._max_body_bytes:
            self._finish()

    def on_message_complete(self) -> None:
        """Called by the parser, for interim responses as well."""
        if self._status and self.response is None:
            self._finish()

    def _finished(self) -> bool:
        return self.response is not None

    def _finish(self) -> None:
        body = b"".join(self._chunks)
        self.response = ClientResponse(
            self._status,
            Headers.from_wire(self._fields),
            body[: self._max_body_bytes],
            len(body) > self._max_body_bytes,
        )


class _Conversation(asyncio.Protocol):
    """Drives an engine over one transport; `done` ends with its response or its error."""

    def __init__(self, engine: Engine) -> None:
        self.done: asyncio.Future[ClientResponse] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._engine = engine

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._engine.opening())

    def data_received(self, data: bytes) -> None:
        if self.done.done():
            return
        try:
            reply = self._engine.receive(data)
        except BadResponse as error:
            self.done.set_exception(error)
            return
        if self._engine.response is not None:
            self.done.set_result(self._engine.response)
        elif reply and self.transport is not None:
            self.transport.write(reply)

    def eof_received(self) -> bool:
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)

    def _ended(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(UpstreamClosed(f"the connection broke: {error}"))
            return
        try:
            self._engine.end_of_input()
        except UpstreamClosed as closed:
            self.done.set_exception(closed)
        else:
            assert self._engine.response is not None
            self.done.set_result(self._engine.response)


async def request(
    method: str,
    url: str,
    *,
    address: str | None = None,
    host: str | None = None,
    headers: Headers | Iterable[tuple[Text, Text]] = (),
    body: bytes = b"",
    timeout_seconds: float = 10.0,
    max_body_bytes: int = 65536,
    tls: ssl.SSLContext | None = None,
    server_name: str | None = None,
    before: bytes = b"",
) -> ClientResponse:
    """Ask once. `address` ("192.0.2.1:80", "unix:/path") is where to connect when that is not what the URL says, `host`
    the Host field when that is not the URL's authority, `server_name` whom its certificate must be for
    when that is not the URL's host, `before` what is sent ahead of all else, TLS included. Raises UpstreamError; never
    takes longer than the timeout.
    """
    parts = _checked(url)
    fields = Headers(headers.items() if isinstance(headers, Headers) else headers)
    fields.remove("Host")
    wire_fields = Headers([("Host", host or parts.netloc), *fields.items()])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    engine = Http1Engine(method, target, wire_fields, body, max_body_bytes)
    context = None
    if parts.scheme == "https":
        context = tls or ssl.create_default_context()
    where = address or _authority_address(parts)
    name = None
    if context is not None:
        name = parts.hostname if server_name is None else server_name
    return await converse(engine, where, context, name, timeout_seconds, before)


async def converse(
    engine: Engine,
    address: str,
    tls: ssl.SSLContext | None,
    server_name: str | None,
    timeout_seconds: float,
    before: bytes = b"",
) -> ClientResponse:
    """Connect to the address and drive the engine to its response. Raises UpstreamError; never takes longer."""
    conversation = _Conversation(engine)
    try:
        async with asyncio.timeout(timeout_seconds):
            await _open(address, lambda: conversation, tls, server_name, before)
            return await conversation.done
    except TimeoutError:
        waited = f"after {timeout_seconds:g} s"
        if conversation.transport is None:
            raise ConnectTimeout(f"no connection to {address} {waited}") from None
        raise UpstreamTimeout(f"no complete response from {address} {waited}") from None
    finally:
        _release(conversation)


async def connect_check(
    address: str, *, timeout_seconds: float = 10.0, before: bytes = b""
) -> None:
    """Whether anything accepts a connection there. Raises ConnectFailed or ConnectTimeout."""
    try:
        async with asyncio.timeout(timeout_seconds):
            transport = await _open(address, asyncio.Protocol, None, None, before)
    except TimeoutError:
        raise ConnectTimeout(f"no connection to {address} after {timeout_seconds:g} s") from None
    transport.close()


def _checked(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError(f"not an http:// or https:// URL: {url!r}")
    if parts.username is not None or not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise ValueError(f"a URL with userinfo, spaces or 8-bit characters: {url!r}")
    return parts


def _authority_address(parts: SplitResult) -> str:
    host = parts.hostname or ""
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` in its two parts; raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"not an address with a port: {address!r}")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def _open(
    address: str,
    factory: Any,
    context: ssl.SSLContext | None,
    server_name: str | None,
    before: bytes,
) -> asyncio.Transport:
    loop = asyncio.get_running_loop()
    try:
        if before:
            opened = await _opened(address, before)
            transport, _ = await loop.create_connection(
                factory, sock=opened, ssl=context, server_hostname=server_name
            )
        elif address.startswith("unix:"):
            transport, _ = await loop.create_unix_connection(
                factory, address[len("unix:") :], ssl=context, server_hostname=server_name
            )
        else:
            host, port = split_address(address)
            transport, _ = await loop.create_connection(
                factory, host, port, ssl=context, server_hostname=server_name
            )
    except ssl.SSLError as error:
        raise TlsFailed(f"TLS with {address}: {error}") from error
    except OSError as error:
        raise ConnectFailed(f"no connection to {address}: {error.strerror or error}") from error
    return transport


async def _opened(address: str, before: bytes) -> socket.socket:
    """A connection over which this was sent."""
    loop = asyncio.get_running_loop()
    target: Any = address.removeprefix("unix:")
    family = socket.AF_UNIX
    if target == address:
        target = split_address(address)
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await loop.sock_connect(opened, target)
        await loop.sock_sendall(opened, before)
    except BaseException:
        opened.close()
        raise
    return opened


def _release(conversation: _Conversation) -> None:
    done = conversation.done
    if done.done() and not done.cancelled():
        done.exception()  # seen, whether or not somebody waited for it
    if conversation.transport is not None:
        # At once: what the peer would still say does not matter, and no descriptor outlives the request.
        conversation.transport.abort()
