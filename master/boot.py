"""From the first instruction of a master to its loop: check, inherit or bind, open, begin."""

from __future__ import annotations

import os
import random
import socket
import sys
import time
from collections.abc import Callable
from typing import Final, TypeVar

from master import handoff, signals, successor
from master.checker import Answer, check_now, checker_spec
from master.children import Children
from master.control_socket import SOCKET_NAME, AlreadyRunningError, make_runtime_dir, peer_of
from master.estate import Estate, Setup
from master.events import Begin
from master.handoff import HandOffError, Inheritance
from master.init import stand_in
from master.listeners import BindError, Listeners
from master.logfiles import LogFileError
from master.loop import Loop
from master.peer import Peer
from master.pidfile import PidFile
from master.process import enable_stack_dumps, name_process, raise_open_files
from master.supervisor import Supervisor
from master.systemd import Notifier, passed_sockets
from pingpy import log
from pingpy.config.plan import Plan
from pingpy.config.source import ConfigSource
from pingpy.shared import LayoutMismatchError, Region, TicketKeys

T = TypeVar("T")
EXIT_FAILED: Final = 1
EXIT_HAND_OVER: Final = 70
EXIT_PERMISSION: Final = 77
EXIT_CONFIG: Final = 78


class BootRefusedError(Exception):
    """The start is impossible; `code` is the exit code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def run(setup: Setup) -> int:
    """Be the master until the service ends; returns the exit code of the process."""
    signals.block()
    enable_stack_dumps()
    log.setup()
    channel = successor.inherited_channel(os.environ)
    try:
        return _start(setup, channel)
    except BootRefusedError as error:
        if channel is not None:
            # The old master shows this to whoever asked for the upgrade.
            _tell_abort(channel, str(error))
        if setup.background is not None:
            setup.background.say(str(error))
        else:
            print(str(error), file=sys.stderr)  # noqa: T201 - the operator's terminal
        return error.code


def _start(setup: Setup, channel: socket.socket | None) -> int:
    inheritance = _inherit(channel) if channel is not None else None
    listeners = Listeners()
    _take_sockets(listeners, inheritance)
    source, plan = _check(setup, listeners)
    if setup.upgrade and channel is None:
        inheritance = _ask_to_take_over(plan)
        _adopt_inherited(listeners, inheritance)
    estate = _estate(setup, listeners, inheritance)
    number = inheritance.generation + 1 if inheritance else 1
    try:
        begin = _furnish(estate, inheritance, number, source, plan)
        loop = _loop(estate, inheritance, plan)
    except BootRefusedError:
        estate.release(unlink=inheritance is None)
        raise
    if setup.background is not None:
        log_fd = estate.generations[number].log_fd
        setup.background.leave_terminal(log_fd, keep_stdout=plan.access_log.kind == "stdout")
    name_process("pingpy:master", f"pingpy: master ({source.path})")
    code = loop.run(begin)
    if code and setup.background is not None:
        setup.background.say(f"could not start (exit code {code}): see the error log")
    estate.release(unlink=not _handed_over(loop))
    upgrade = loop.supervisor.upgrade
    if os.getpid() == 1 and upgrade is not None and upgrade.over:
        return stand_in(lambda: PidFile(plan.pid_file).read(), upgrade.successor_pid)
    return code


def _handed_over(loop: Loop) -> bool:
    upgrade, takeover = loop.supervisor.upgrade, loop.supervisor.takeover
    return bool((upgrade and upgrade.over) or takeover)


def _check(setup: Setup, listeners: Listeners) -> tuple[ConfigSource, Plan]:
    try:
        source = setup.read()
    except OSError as error:
        text = f"cannot read the configuration: {error.strerror or error}: {error.filename}"
        code = EXIT_PERMISSION if isinstance(error, PermissionError) else EXIT_CONFIG
        raise BootRefusedError(code, text) from error
    # With -u the running master holds the rest: what is taken shows when we bind.
    check = setup.check_lenient if setup.upgrade else setup.check
    held = tuple(listeners.groups)
    answer: Answer = check_now(source, check, checker_spec(2, "info"), held)
    if answer.warnings:
        print(answer.warnings, file=sys.stderr)  # noqa: T201
    if answer.plan is None:
        raise BootRefusedError(EXIT_CONFIG, answer.complaints)
    return source, answer.plan


def _inherit(channel: socket.socket) -> Inheritance:
    try:
        return handoff.inherit(channel)
    except HandOffError as error:
        raise BootRefusedError(EXIT_HAND_OVER, str(error)) from error


def _ask_to_take_over(plan: Plan) -> Inheritance | None:
    """-u: the running master listens, we connect; without one this is a plain start."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(handoff.RECEIVE_SECONDS)
    try:
        sock.connect(os.path.join(plan.runtime_dir, SOCKET_NAME))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        log.logger.warning("no master to take over from: starting afresh")
        return None
    except OSError as error:
        sock.close()
        raise BootRefusedError(EXIT_PERMISSION, f"cannot reach the old master: {error}") from error
    return _inherit(sock)


def _estate(setup: Setup, listeners: Listeners, inheritance: Inheritance | None) -> Estate:
    states = inheritance.states if inheritance is not None else {}
    region = _attached(Region.attach, states.get(handoff.REGION), "counters start anew")
    region = region or Region.create()
    tickets = _attached(TicketKeys.attach, states.get(handoff.TICKETS), "no session is resumed")
    tickets = tickets or TicketKeys.create(time.monotonic())
    children = Children(region, tickets, setup.worker, setup.scout, inheritance is not None)
    notifier = Notifier(os.environ)
    return Estate(
        setup, region, tickets, children, notifier, listeners, started_at=time.monotonic()
    )


def _attached(attach: Callable[[int], T], fd: int | None, without: str) -> T | None:
    """What another master has left in a memfd; None when it has not, or is of another version."""
    if fd is None:
        return None
    try:
        return attach(fd)
    except LayoutMismatchError as error:
        os.close(fd)
        log.logger.warning("%s: %s", without, error)
        return None


def _furnish(
    estate: Estate, inheritance: Inheritance | None, number: int, source: ConfigSource, plan: Plan
) -> Begin:
    try:
        make_runtime_dir(plan.runtime_dir)
        _refuse_second(plan, inheritance)
        if inheritance is not None:
            estate.logs.fds.update(inheritance.logs)
        generation = estate.enrol(number, source, plan)
        raise_open_files(plan.open_files)
        slots = estate.listeners.bind(plan.listeners, plan.worker_count)
    except BindError as error:
        denied = "Permission denied" in str(error)
        raise BootRefusedError(EXIT_PERMISSION if denied else EXIT_FAILED, str(error)) from error
    except LookupError as error:
        raise BootRefusedError(EXIT_CONFIG, f"user or group: {error}") from error
    except LogFileError as error:
        raise BootRefusedError(EXIT_FAILED, str(error)) from error
    except PermissionError as error:
        raise BootRefusedError(EXIT_PERMISSION, str(error)) from error
    except OSError as error:
        raise BootRefusedError(EXIT_FAILED, str(error)) from error
    estate.current = number
    estate.runtime_dir = plan.runtime_dir
    estate.pid_file = PidFile(plan.pid_file)
    log.setup(plan.log_level, fd=generation.log_fd, generation=number)
    for warning in estate.listeners.warnings + estate.logs.warnings:
        log.logger.warning("%s", warning)
    return Begin(
        plan,
        slots,
        number,
        source.sha256,
        taking_over=inheritance is not None,
        tickets_rotated_at=estate.tickets.rotated_at,
    )


def _refuse_second(plan: Plan, inheritance: Inheritance | None) -> None:
    folder = os.path.dirname(plan.pid_file) or "."
    if plan.pid_file_required and not os.access(folder, os.W_OK):
        raise PermissionError(
            f"cannot write the pid file {plan.pid_file}: {folder} is closed to us"
        )
    if inheritance is None:
        owner = PidFile(plan.pid_file).living_owner()
        if owner is not None:
            raise BootRefusedError(EXIT_FAILED, f"already running, pid {owner}")


def _take_sockets(listeners: Listeners, inheritance: Inheritance | None) -> None:
    for passed in passed_sockets(os.environ):
        origin = "bound" if passed.stored else "systemd"
        listeners.adopt(passed.id, passed.kind, passed.fd, origin, unix_path=passed.unix_path)
    _adopt_inherited(listeners, inheritance)


def _adopt_inherited(listeners: Listeners, inheritance: Inheritance | None) -> None:
    if inheritance is not None:
        for name, group, fd in inheritance.listeners:
            listeners.adopt(name, group["kind"], fd, group["origin"], unix_path=group["path"])


def _loop(estate: Estate, inheritance: Inheritance | None, plan: Plan) -> Loop:
    supervisor = Supervisor(
        with_scout=estate.setup.scout is not None, jitter=random.SystemRandom().random
    )
    loop = Loop(estate, supervisor)
    if inheritance is not None:
        pid, _ = peer_of(inheritance.channel)
        loop.watch_peer(Peer(inheritance.channel, pid, loop.post, elder=True))
        return loop
    try:
        loop.open_control()
    except AlreadyRunningError as error:
        raise BootRefusedError(EXIT_FAILED, f"{error} (runtime_dir {plan.runtime_dir})") from error
    except OSError as error:
        text = f"cannot listen in {plan.runtime_dir}: {error.strerror or error}"
        raise BootRefusedError(EXIT_PERMISSION, text) from error
    return loop


def _tell_abort(channel: socket.socket, why: str) -> None:
    try:
        handoff.send(channel, "ABORT", {"why": why[:8000]})
    except OSError:
        return
