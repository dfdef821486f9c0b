"""Clients that watch a server being reloaded: new connections, kept ones, slow downloads; each mishap by its kind."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

THINK_SECONDS = 0.003
PAUSE_SECONDS = 0.02
PIECE_BYTES = 65536


@dataclass
class Tally:
    """What all clients have seen so far."""

    answered: int = 0
    lost: int = 0  # on a connection of its own: refused, reset, or closed without an answer
    raced: int = 0  # written on a kept connection that the server then closed unanswered
    truncated: int = 0  # an answer that ended before its length
    closed_cleanly: int = 0  # the server said Connection: close, and was believed
    times: list[tuple[float, float]] = field(default_factory=list)  # when it began, how long


class LostError(Exception):
    """No answer came."""


class TruncatedError(Exception):
    """The answer was cut."""


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, last: bool, pause: float
) -> bool:
    """One request; whether the connection may be used again."""
    option = "Connection: close\r\n" if last else ""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: example.test\r\n{option}\r\n".encode())
    try:
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise LostError from error
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise LostError
    left = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    try:
        while left:
            piece = await reader.read(min(left, PIECE_BYTES))
            if not piece:
                raise TruncatedError
            left -= len(piece)
            if pause:
                await asyncio.sleep(pause)
    except ConnectionError as error:
        raise TruncatedError from error
    return b"\r\nconnection: close" not in head


class Clients:
    """So many of each kind, on one port, until told to stop."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.tally = Tally()
        self.stopping = False

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection("127.0.0.1", self.port)
        except OSError as error:
            raise LostError from error

    async def fresh(self, path: str = "/10k", pause: float = 0) -> None:
        """A connection per request."""
        while not self.stopping:
            began = time.monotonic()
            writer = None
            try:
                reader, writer = await self.open()
                await ask(reader, writer, path, True, pause)
                self.note(began, counted=not pause)
            except LostError:
                self.tally.lost += 1
            except TruncatedError:
                self.tally.truncated += 1
            if writer is not None:
                writer.close()
            await asyncio.sleep(THINK_SECONDS)

    async def kept(self) -> None:
        """One connection for as long as the server keeps it."""
        while not self.stopping:
            served = 0
            writer = None
            try:
                reader, writer = await self.open()
                goes_on = True
                while goes_on and not self.stopping:
                    began = time.monotonic()
                    goes_on = await ask(reader, writer, "/1k", False, 0)
                    self.note(began)
                    served += 1
                    await asyncio.sleep(THINK_SECONDS)
                self.tally.closed_cleanly += not goes_on
            except LostError:
                self.tally.raced += served > 0
                self.tally.lost += served == 0
            except TruncatedError:
                self.tally.truncated += 1
            if writer is not None:
                writer.close()

    async def slow(self) -> None:
        """Downloads of 1 MiB that take a third of a second."""
        await self.fresh("/1m", PAUSE_SECONDS)

    def note(self, began: float, counted: bool = True) -> None:
        """An answer came."""
        self.tally.answered += 1
        if counted:
            self.tally.times.append((began, time.monotonic() - began))


def percentile_ms(times: list[float], share: float) -> float:
    """Of durations in seconds; 0 where there are none."""
    ordered = sorted(times)
    return ordered[int(len(ordered) * share)] * 1000 if ordered else 0.0
