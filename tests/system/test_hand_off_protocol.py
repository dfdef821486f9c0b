"""What a master receives over its Unix sockets when the other side is gone, refuses, or says too much."""

from __future__ import annotations

import json
import os
import socket

import pytest
from matrix_rig import descriptors

from master import handoff
from master.control_socket import MAX_REQUEST_BYTES, Client, ControlSocket

WELCOME = {"gen": 1, "listeners": [], "batches": 2, "states": 0}


def channel() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def test_last_words_are_heard_though_a_reset_overtakes_them() -> None:
    ours, theirs = channel()
    handoff.send(ours, "COMMIT", {"deadline": 5})  # which they do not read any more
    handoff.send(theirs, "ABORT", {"why": "no room"})
    theirs.close()
    with ours:
        assert handoff.receive(ours) == ("ABORT", {"why": "no room"}, [])


def test_what_was_received_is_closed_when_the_rest_is_refused() -> None:
    ours, theirs = channel()
    held = descriptors(os.getpid())
    with ours, theirs, open(os.devnull, "rb") as log:
        for kind, body, fds in (
            ("WELCOME", WELCOME, []),
            ("FDS", {"ids": ["log:access"], "i": 0, "n": 2}, [log.fileno()]),
            ("REFUSE", {"why": "another upgrade is running"}, []),
        ):
            handoff.send(theirs, kind, body, fds)
        with pytest.raises(handoff.HandOffError, match="another upgrade"):
            handoff.inherit(ours)
        assert descriptors(os.getpid()) == held + 1
    assert descriptors(os.getpid()) == held - 2


@pytest.mark.parametrize("blanks", [0, MAX_REQUEST_BYTES])
def test_a_request_that_is_too_long_is_none_whatever_its_beginning_says(blanks: int) -> None:
    listener, unused = channel()
    ours, theirs = channel()
    with listener, unused, ours, theirs:
        request = json.dumps({"type": "COMMAND", "verb": "stop"}).encode() + blanks * b" "
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_REQUEST_BYTES)
        theirs.send(request)
        found = ControlSocket(listener, ()).read(Client(1, ours, 1, 0, 0.0))
        assert found == (None if blanks else {"type": "COMMAND", "verb": "stop"})
