"""The channel to the other master of an upgrade, whichever of the two we are."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable
from typing import Final

from master import handoff
from master.children import describe_exit_of
from master.events import PeerAsked, PeerGone, PeerSaid
from master.handoff import Giver, HandOffError
from master.successor import Successor

# A dying process closes its channel a moment before its death can be seen.
DYING_SECONDS: Final = 0.2

Happening = PeerSaid | PeerGone | PeerAsked


class Peer:
    """Reads the other master's messages as events and keeps the order of the hand-over."""

    def __init__(
        self,
        channel: socket.socket,
        pid: int,
        post: Callable[[Happening], None],
        *,
        elder: bool = False,
    ) -> None:
        """`elder`: it is the old master, and we are the new one."""
        self.elder = elder
        self.channel = channel
        self.pid = pid
        self.post = post
        self.successor: Successor | None = None
        self.giver: Giver | None = None
        channel.setblocking(False)

    def say(self, kind: str, body: dict[str, object]) -> None:
        """Send; whether the other is still there shows when it answers, or does not."""
        with contextlib.suppress(OSError):
            handoff.send(self.channel, kind, body)

    def give(self, giver: Giver) -> None:
        """Begin to hand over."""
        self.giver = giver
        try:
            giver.begin(self.channel)
        except OSError as error:
            self.post(PeerGone(f"the hand-over failed: {error}", elder=self.elder))

    def readable(self) -> bool:
        """Take what has come; False when the channel is done."""
        try:
            received = handoff.receive(self.channel)
        except BlockingIOError:
            return True
        except (HandOffError, OSError) as error:
            self.post(PeerGone(str(error), elder=self.elder))
            return False
        if received is None:
            if self.successor and select.select([self.successor.pidfd], [], [], DYING_SECONDS)[0]:
                return False  # how it died is said next, by its pidfd
            why = self._last_words("the other master closed the channel")
            self.post(PeerGone(why, elder=self.elder))
            return False
        kind, body, fds = received
        for fd in fds:
            os.close(fd)
        return self.heard(kind, body)

    def heard(self, kind: str, body: dict[str, object]) -> bool:
        """One message; False when it ends the conversation."""
        if kind == "HELLO" and handoff.common_protocol(body) is None:
            why = (
                f"no common protocol ({body.get('protos')} here {list(handoff.PROTOCOLS)}): restart"
            )
            self.say("REFUSE", {"why": why})
            self.post(PeerGone(why))
            return False
        if kind in ("ACK", "SKIP"):
            try:
                if self.giver and self.giver.acknowledged(self.channel):
                    self.giver = None
                    self.post(PeerSaid("RECEIVED"))
            except OSError as error:
                self.post(PeerGone(f"the hand-over failed: {error}", elder=self.elder))
                return False
        elif kind in handoff.KNOWN:
            self.post(PeerSaid(kind, body, self.elder))
        else:
            self.say("UNKNOWN", {"name": kind})
        return True

    def died(self) -> None:
        """The successor's pidfd is readable: reap it."""
        if self.successor is None:
            return
        how = self.bury()
        excerpt = self.successor.excerpt()
        self.post(PeerGone(f"the new master died ({how}) {excerpt}".strip(), died=True))

    def bury(self) -> str:
        """Reap the successor; returns how it ended."""
        return describe_exit_of(self.successor.pidfd) if self.successor else ""

    def kill(self) -> None:
        """End a successor of ours; its workers drain what they have, as orphans do."""
        if self.successor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.successor.pidfd, signal.SIGKILL)

    def _last_words(self, otherwise: str) -> str:
        excerpt = self.successor.excerpt() if self.successor else ""
        return f"{otherwise}: {excerpt}" if excerpt else otherwise
