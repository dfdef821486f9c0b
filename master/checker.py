"""A throw-away child loads the candidate configuration and answers with a plan or complaints.

The master never parses a configuration itself: what a parser or a user's module breaks, leaks or blocks
dies with the child. The answer is JSON, not a pickle: nothing a user's module says is executed here.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any, Final

from master.process import ChildSpec, describe_exit, fork_child
from pingpy.config.plan import DrainPlan, ListenerPlan, LogPlan, Plan
from pingpy.config.source import ConfigSource
from pingpy.log import CHECKER

CHECK_SECONDS: Final = 30.0
_LONGEST_ANSWER_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the checker found."""

    plan: Plan | None
    complaints: str = ""
    warnings: str = ""


# The text, and the ids of the listeners that we hold already.
Check = Callable[[ConfigSource, Collection[str]], Answer]


class Checker:
    """One check under way; readable when bytes of the answer wait."""

    def __init__(
        self,
        ticket: int,
        source: ConfigSource,
        check: Check,
        spec: ChildSpec,
        held: Collection[str] = (),
    ) -> None:
        self.ticket = ticket
        self.source = source
        self.deadline = time.monotonic() + CHECK_SECONDS
        self._text = bytearray()
        self._reader, writer = os.pipe2(os.O_CLOEXEC)
        keep = spec.keep_fds | {writer}
        spec = ChildSpec(
            spec.name, spec.who, spec.generation, None, None, keep, spec.log_fd, spec.log_level
        )
        self.pid = fork_child(spec, lambda: _check_in_child(source, check, held, writer))
        self.pidfd = os.pidfd_open(self.pid)
        os.close(writer)

    def fileno(self) -> int:
        """The pipe."""
        return self._reader

    def read(self) -> Answer | None:
        """The answer when it is complete, else None."""
        data = os.read(self._reader, 1 << 16)
        if data and len(self._text) < _LONGEST_ANSWER_BYTES:
            self._text += data
            return None
        return self.finish()

    def finish(self, complaint: str = "") -> Answer:
        """End it and judge what came; with a complaint, whatever came."""
        os.close(self._reader)
        status = None
        if complaint or not select.select([self.pidfd], [], [], 5.0)[0]:
            os.kill(self.pid, 9)
        status = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        os.close(self.pidfd)
        if complaint:
            return Answer(None, complaint)
        try:
            return answer_from_json(bytes(self._text))
        except (ValueError, KeyError, TypeError):
            how = describe_exit(status) if status else "vanished"
            return Answer(None, f"the check of the configuration did not end well ({how})")


def check_now(
    source: ConfigSource, check: Check, spec: ChildSpec, held: Collection[str] = ()
) -> Answer:
    """The check at start: there is nothing else to do meanwhile."""
    checker = Checker(0, source, check, spec, held)
    poll = select.poll()
    poll.register(checker.fileno(), select.POLLIN)
    while True:
        left = checker.deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return checker.finish("the check of the configuration took too long")
        answer = checker.read()
        if answer is not None:
            return answer


def checker_spec(log_fd: int, log_level: str) -> ChildSpec:
    """A checker keeps no descriptor of the master's but the error log."""
    return ChildSpec("checker", CHECKER, 0, None, None, frozenset({log_fd}), log_fd, log_level)


def _check_in_child(source: ConfigSource, check: Check, held: Collection[str], writer: int) -> int:
    try:
        answer = check(source, held)
    except Exception as error:
        answer = Answer(None, f"{type(error).__name__}: {error}")
    data = memoryview(answer_to_json(answer))
    while data:
        data = data[os.write(writer, data) :]
    return 0


def answer_to_json(answer: Answer) -> bytes:
    """For the pipe."""
    plan = asdict(answer.plan) if answer.plan else None
    return json.dumps(
        {"plan": plan, "complaints": answer.complaints, "warnings": answer.warnings}
    ).encode()


def answer_from_json(text: bytes) -> Answer:
    """From the pipe; raises ValueError, KeyError or TypeError when it is incomplete."""
    body: dict[str, Any] = json.loads(text)
    plan = plan_from_dict(body["plan"]) if body["plan"] else None
    return Answer(plan, body["complaints"], body["warnings"])


def plan_from_dict(body: dict[str, Any]) -> Plan:
    """A Plan from what asdict() made of it."""
    return Plan(
        **{
            **body,
            "listeners": tuple(ListenerPlan(**entry) for entry in body["listeners"]),
            "access_log": LogPlan(**body["access_log"]),
            "error_log": LogPlan(**body["error_log"]),
            "drain": DrainPlan(**body["drain"]),
            "control_users": tuple(body["control_users"]),
            "secret_files": tuple(body.get("secret_files", ())),
        }
    )
