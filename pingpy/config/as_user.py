"""Runs a check in a forked child that has become the user the workers will be, and brings its complaints back."""

from __future__ import annotations

import grp
import json
import os
import pwd
import select
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NoReturn

from pingpy.errors import Complaint, ConfigError, Severity

# A user's module that hangs while it is imported must not hang a reload (zero-downtime.md: CHECK).
TIMEOUT_SECONDS = 30.0


def complaints_as_user(
    check: Callable[[], object],
    user: str | None,
    group: str | None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> tuple[Complaint, ...]:
    """What `check` raises as ConfigError, when it is run as that user; we stay as we are."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(check, user, group, writer)
    os.close(writer)
    try:
        answer = _read_all(reader, timeout_seconds)
    finally:
        os.close(reader)
        if os.waitpid(child, os.WNOHANG) == (0, 0):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if answer is None:
        return (Complaint(f"loading the modules took longer than {timeout_seconds:g} s"),)
    if not answer.endswith(b"\n"):
        return (Complaint("loading the modules ended the process that checks them"),)
    return tuple(_complaint(item) for item in json.loads(answer))


def _run(check: Callable[[], object], user: str | None, group: str | None, writer: int) -> NoReturn:
    """The child: whatever happens in it, it ends here."""
    status = 1
    try:
        found: tuple[Complaint, ...] = ()
        try:
            become(user, group)
            check()
        except ConfigError as error:
            found = error.complaints
        except OSError as error:
            found = (Complaint(f'cannot become the user "{user}": {error}'),)
        answer = json.dumps([asdict(complaint) for complaint in found]).encode() + b"\n"
        while answer:
            answer = answer[os.write(writer, answer) :]
        status = 0
    finally:
        os._exit(status)


def become(user: str | None, group: str | None) -> None:
    """Gives up root for good, groups first; does nothing when we are not root or no user is named."""
    if user is None or os.geteuid() != 0:
        return
    entry = pwd.getpwnam(user)
    gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    os.initgroups(user, gid)
    os.setresgid(gid, gid, gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)


def _read_all(reader: int, timeout_seconds: float) -> bytes | None:
    deadline = time.monotonic() + timeout_seconds
    answer = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return None
        piece = os.read(reader, 65536)
        if not piece:
            return answer
        answer += piece


def _complaint(item: dict[str, Any]) -> Complaint:
    item["path"] = tuple(item["path"])
    item["severity"] = Severity(item["severity"])
    return Complaint(**item)
