"""The channel between master and workers: every message there and back, and what must not get through."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections import deque
from dataclasses import is_dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pingpy import control
from pingpy.control import Channel, ControlError, ListenerItem, decode, encode, pair

ITEM = ListenerItem("tcp4/0.0.0.0:80#1", "0.0.0.0:80", "tcp4", 1, 4, 128)
MESSAGES = [
    control.Hello(7, 2, 1),
    control.Progress("loading"),
    control.Ready("abc", 42),
    control.Accepting(),
    control.Drained(),
    control.Leaving("SIGTERM"),
    control.Fatal("ImportError: x", "Traceback ..."),
    control.Listeners((ITEM, ITEM), last=False),
    control.Logs(("access", "error")),
    control.Go(),
    control.Drain("reload", 60.0, 600.0, 5.0, 1.5),
    control.Resume(),
    control.Reopen(("access",)),
    control.Adopt((ITEM,)),
    control.Release(("a#0", "b#0")),
    control.Stop(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
def test_every_message_arrives_as_it_was_sent(message):
    assert decode(encode(message)) == message


def test_the_list_above_is_complete():
    kinds = set(control.Message.TYPES.values()) - {control.Unknown}
    assert {type(m) for m in MESSAGES} == kinds
    assert all(is_dataclass(kind) for kind in kinds)


def test_a_type_of_a_newer_version_is_unknown_and_a_new_field_is_dropped():
    assert decode(b'{"type": "TELEPORT", "where": 1}') == control.Unknown("TELEPORT")
    assert decode(b'{"type": "GO", "soon": true}') == control.Go()
    newer = json.loads(encode(control.Adopt((ITEM,))))
    newer["items"][0]["colour"] = "red"
    assert decode(json.dumps(newer).encode()) == control.Adopt((ITEM,))


@given(st.binary(max_size=200))
def test_anything_is_a_message_or_an_error(packet):
    with contextlib.suppress(ControlError):
        assert isinstance(decode(packet), control.Message)


@given(
    st.sampled_from([json.loads(encode(m)) for m in MESSAGES]),
    st.dictionaries(
        st.sampled_from(["items", "pid", "names", "ids", "reason"]),
        st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4),
    ),
)
def test_a_message_with_odd_values_is_a_message_or_an_error(body, odd):
    with contextlib.suppress(ControlError):
        decode(json.dumps({**body, **odd}).encode())


def test_a_long_traceback_is_cut_at_its_beginning():
    text = decode(encode(control.Fatal("m" * 100_000, "first" + "t" * 100_000 + "last")))
    assert len(text.message) < 20_000
    assert text.traceback.endswith("last")
    assert not text.traceback.startswith("first")


def test_descriptors_arrive_close_on_exec_and_an_end_is_none():
    left, right = pair()
    reader, writer = os.pipe()
    left.send(control.Logs(("access",)), [writer])
    message, fds = right.receive()
    assert message == control.Logs(("access",))
    os.write(fds[0], b"x")
    assert os.read(reader, 1) == b"x"
    assert fcntl.fcntl(fds[0], fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    left.close()
    assert right.receive() is None
    right.close()
    for fd in (reader, writer, *fds):
        os.close(fd)


def test_too_many_descriptors_are_refused_and_lost_ones_are_noticed():
    left, right = pair()
    with pytest.raises(ControlError, match="at most 64"):
        left.send(control.Go(), [0] * 65)
    rights = (0).to_bytes(4, "little") * 100
    left.sock.sendmsg([encode(control.Go())], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ControlError, match="cut short"):
        right.receive()
    assert len(os.listdir("/proc/self/fd")) == before
    left.close()
    right.close()


def test_last_words_are_heard_although_the_speaker_died_with_a_message_unread():
    left, right = pair()
    right.send(control.Go())
    left.send(control.Fatal("out of tea"))
    left.close()
    assert right.receive()[0] == control.Fatal("out of tea")
    assert right.receive() is None
    right.close()


def test_sending_without_waiting_never_waits():
    left, right = pair()
    message = control.Progress("x" * 1000)
    with pytest.raises(BlockingIOError):
        deque((left.send(message, wait=False) for _ in range(100_000)), maxlen=0)
    left.close()
    right.close()


def test_a_channel_knows_its_descriptor():
    left, right = pair()
    assert Channel(left.sock).fileno() == left.sock.fileno()
    left.close()
    right.close()
