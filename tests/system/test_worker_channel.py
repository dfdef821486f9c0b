"""A worker's end of the channel: bad packets, failing handlers, a master that goes or does not read."""

import asyncio
import logging
import os
import socket

import pytest

from pingpy import control
from worker.channel import LoopChannel, close_quietly


@pytest.fixture
def log(caplog):
    logging.getLogger("pingpy").propagate = True
    return caplog


class Ends:
    """Both ends, and what the worker's has heard."""

    def __init__(self, fail=False):
        self.master, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.heard, self.fds, self.ended, self.fail = [], [], 0, fail
        self.channel = LoopChannel(asyncio.get_running_loop(), right, self.take, self.end)
        self.channel.start()

    def take(self, message, fds):
        self.fds += fds
        if self.fail:
            raise KeyError("broken")
        self.heard.append(message)

    def end(self):
        self.ended += 1

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - it happens in this loop
                await asyncio.sleep(0.001)


def test_a_bad_packet_is_logged_and_the_next_one_heard(log):
    async def scenario():
        ends = Ends()
        ends.master.send(b"not json")
        ends.master.send(b'{"type": "DRAIN"}')
        control.Channel(ends.master).send(control.Go())
        await ends.until(lambda: ends.heard)
        assert ends.heard == [control.Go()]
        ends.master.close()
        await ends.until(lambda: ends.ended)
        ends.channel.send(control.Accepting())
        await asyncio.sleep(0.01)
        assert ends.ended == 1

    asyncio.run(scenario())
    assert log.text.count("control channel") == 2


def test_descriptors_of_a_message_that_failed_are_closed(log):
    async def scenario():
        ends = Ends(fail=True)
        sent = os.dup(2)
        control.Channel(ends.master).send(control.Logs(("access",)), [sent])
        os.close(sent)
        await ends.until(lambda: ends.fds)
        await ends.until(lambda: "Logs failed" in log.text)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(ends.fds[0])
        close_quietly(ends.fds[0])

    asyncio.run(scenario())


def test_a_master_that_does_not_read_never_blocks_the_worker(log):
    async def scenario():
        ends = Ends()
        for _ in range(5000):
            ends.channel.send(control.Progress("loading " + "x" * 200))
            if "could not tell" in log.text:
                break
        ends.channel.close()
        ends.master.close()

    asyncio.run(scenario())
    assert "could not tell the master Progress" in log.text
