"""A worker's end of the control channel, on the event loop: messages in as they come, messages out without waiting."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

from pingpy.control import Channel, ControlError, Message
from pingpy.log import logger


class LoopChannel:
    """Calls `on_message` with each message and its descriptors, and `on_end` once when the master is gone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_message: Callable[[Message, list[int]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._channel = Channel(sock)
        self._on_message = on_message
        self._on_end = on_end
        self._open = True
        sock.setblocking(False)

    def start(self) -> None:
        """From now on, read."""
        self._loop.add_reader(self._channel.fileno(), self._readable)

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send now; a master that is gone is noticed by reading, one that does not read loses the message."""
        if not self._open:
            return
        try:
            self._channel.send(message, fds, wait=False)
        except OSError as error:
            logger.warning("could not tell the master %s: %s", type(message).__name__, error)

    def _readable(self) -> None:
        while self._open:
            try:
                received = self._channel.receive()
            except BlockingIOError:
                return
            except ControlError as error:
                logger.error("control channel: %s", error)
                continue
            if received is None:
                self.close()
                self._on_end()
                return
            message, fds = received
            try:
                self._on_message(message, fds)
            except Exception:
                logger.exception("control channel: %s failed", type(message).__name__)
                for fd in fds:
                    close_quietly(fd)

    def close(self) -> None:
        """Stop reading; the master reads end of file."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()


def close_quietly(fd: int) -> None:
    """Close a descriptor that may be closed already."""
    try:
        os.close(fd)
    except OSError:
        return
