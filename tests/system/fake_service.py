"""A master with three-line workers: each accepted connection gets one line, who answered; faults stand in the file.

Started by the tests as a program: `fake_service.py CONFIG [-u]`. A comment `# fault: NAME [SLOT]` in the configuration
makes the workers of the generation born of it misbehave.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sys
import time
from functools import partial

from master.boot import run
from master.estate import Setup
from master.successor import Origin
from pingpy import control
from pingpy.cli.run import judge
from pingpy.config.source import ConfigSource
from pingpy.control import Channel, WorkerContext
from pingpy.shared import Region


class FakeWorker:
    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        self.channel = Channel(context.channel)
        self.region = Region.attach(context.region_fd)
        self.listeners: dict[str, int] = {}
        self.accepting = False
        self.leaving = False
        self.fault = ""
        self.since = 0.0
        found = re.search(rb"# fault: ([\w-]+) ?(\d*)", context.source.text)
        if found and found[2] in (b"", str(context.slot).encode()):
            self.fault = found[1].decode()

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self.leave)
        signal.signal(signal.SIGQUIT, self.leave)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        context = self.context
        self.channel.send(control.Hello(os.getpid(), context.generation, context.slot))
        if self.fault == "die-at-once":
            return 1
        if self.fault == "raise":
            self.channel.send(control.Fatal("ImportError: no module named teapot", "Traceback ..."))
            return 1
        while not self.receive_start():
            pass
        if self.fault == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.fault == "hang":
            time.sleep(600)
        self.channel.send(control.Ready(context.config_hash, 1))
        return self.serve()

    def leave(self, *_: object) -> None:
        if not self.leaving:
            self.leaving = True
            self.accepting = False
            self.channel.send(control.Leaving("signal"))

    def receive_start(self) -> bool:
        received = self.channel.receive()
        if received is None:
            sys.exit(0)
        message, fds = received
        if isinstance(message, control.Listeners):
            self.take(message.items, fds)
        return isinstance(message, control.Logs)

    def take(self, items: tuple[control.ListenerItem, ...], fds: list[int]) -> None:
        for item, fd in zip(items, fds, strict=True):
            if item.id in self.listeners:
                os.close(fd)
            else:
                self.listeners[item.id] = fd

    def serve(self) -> int:
        while True:
            self.region.slab(self.context.slab).beat_us = time.monotonic_ns() // 1000
            if self.leaving:
                return 0
            poll = select.poll()
            poll.register(self.channel.fileno(), select.POLLIN)
            for fd in self.listeners.values() if self.accepting else ():
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(200):
                if fd == self.channel.fileno():
                    if not self.obey():
                        return 0
                elif self.accepting:
                    self.answer(fd)

    def obey(self) -> bool:
        received = self.channel.receive()
        if received is None:
            return False
        message, fds = received
        match message:
            case control.Go() | control.Resume():
                if self.fault == "exit-after-go":
                    os._exit(9)
                self.accepting, self.since = True, time.monotonic()
                self.channel.send(control.Accepting())
            case control.Drain():
                self.accepting = False
                if self.fault != "never-drained":
                    self.channel.send(control.Drained())
            case control.Adopt(items=items):
                self.take(items, fds)
            case control.Release(ids=ids):
                for id_ in ids:
                    if id_ in self.listeners:
                        os.close(self.listeners.pop(id_))
            case control.Stop():
                return False
        return True

    def answer(self, fd: int) -> None:
        listener = socket.socket(fileno=os.dup(fd))
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        finally:
            listener.close()
        if self.fault == "exit-on-request" and time.monotonic() > self.since + 0.5:
            os._exit(9)
        with connection:
            who = f"{self.context.generation} {self.context.slot} {os.getpid()} {os.getppid()}"
            connection.sendall(f"{who}\n".encode())


def worker(context: WorkerContext) -> int:
    return FakeWorker(context).run()


def main() -> None:
    path = sys.argv[1]
    setup = Setup(
        read=lambda: ConfigSource.read(path),
        check=partial(judge),
        check_lenient=partial(judge, lenient=True),
        worker=worker,
        scout=None,
        origin=Origin.note(),
        upgrade="-u" in sys.argv,
    )
    sys.exit(run(setup))


if __name__ == "__main__":
    main()
