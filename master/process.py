"""Makes a worker process: fork, pin to a core, name, privileges, parent-death signal, limits."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import grp
import os
import pwd
import resource
import signal
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NoReturn

import prctl
import setproctitle

from master import signals
from pingpy import log
from pingpy.control import SCOUT_SLOT


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom workers run as."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a forked child makes of itself before its work begins."""

    name: str
    who: str
    generation: int
    cpu: int | None
    identity: Identity | None
    keep_fds: frozenset[int]
    log_fd: int
    log_level: str


def allowed_cpus() -> list[int]:
    """The CPUs that we may use, in order."""
    return sorted(os.sched_getaffinity(0))


def cpu_for(slot: int, cpus: list[int]) -> int | None:
    """Worker i runs on the i-th allowed CPU; the scout wherever there is room."""
    return None if slot == SCOUT_SLOT else cpus[slot % len(cpus)]


def identity(user: str | None, group: str | None) -> Identity | None:
    """Whom to become; None when we are not root or nobody is named. Raises LookupError."""
    if os.geteuid() != 0 or (user is None and group is None):
        return None
    entry = pwd.getpwnam(user) if user else pwd.getpwuid(0)
    gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    return Identity(entry.pw_uid, gid, entry.pw_name)


def raise_open_files(wanted: int) -> int:
    """Raise the limit of descriptors as far as it may go; returns what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = max(soft, wanted)
    if hard != resource.RLIM_INFINITY and target > hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, target))  # root may
            return target
        target = hard
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def name_process(short: str, title: str) -> None:
    """The name in top (15 bytes at most) and the line in ps."""
    setproctitle.setproctitle(
        title
    )  # not prctl's, which reads the command line from memory it has freed
    prctl.set_name(short[:15])


def fork_child(spec: ChildSpec, work: Callable[[], int]) -> int:
    """Fork; the child prepares itself, works, and exits with the number that `work` returns.

    The child never returns into the master's code: its frames, and so the master's objects, stay
    alive until _exit, which is why closing their descriptors here cannot hit a reused number later.
    """
    parent = os.getpid()
    gc.freeze()  # what exists now is shared with the children: keep the collector off those pages
    pid = os.fork()
    if pid == 0:
        _be_child(spec, parent, work)
    gc.unfreeze()
    return pid


def _be_child(spec: ChildSpec, parent: int, work: Callable[[], int]) -> NoReturn:
    code = 70
    try:
        signals.reset_in_worker()
        log.setup(spec.log_level, fd=spec.log_fd, who=spec.who, generation=spec.generation)
        close_all_but(spec.keep_fds)
        name_process(f"pingpy:{spec.name}", f"pingpy: {spec.name} (g{spec.generation})")
        if spec.cpu is not None:
            with contextlib.suppress(OSError):  # the cpuset may have shrunk meanwhile
                os.sched_setaffinity(0, {spec.cpu})
        if spec.identity:
            drop_privileges(spec.identity)
        with contextlib.suppress(OSError):
            prctl.set_no_new_privs(1)
        die_with_parent(parent)
        code = work()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        log.logger.exception("%s failed", spec.name)
        code = 1
    finally:
        os._exit(code)


def die_with_parent(parent: int) -> None:
    """Be told (TERM) when the parent dies; after any setuid, which clears this again.

    The parent may have died before we asked, so look. End of file on the channel is the first line
    of defence, this is the second.
    """
    prctl.set_pdeathsig(signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)


def drop_privileges(who: Identity) -> None:
    """Become somebody else for good."""
    os.initgroups(who.name, who.gid)
    os.setgid(who.gid)
    os.setuid(who.uid)


def close_all_but(keep: Collection[int]) -> None:
    """Close what was inherited: a sibling's channel kept open would hide the master's death from it."""
    wanted = {0, 1, 2, *keep}
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd not in wanted:
            with contextlib.suppress(OSError):
                os.close(fd)


def describe_exit(status: os.waitid_result) -> str:
    """How a child ended, in an operator's words."""
    if status.si_code == os.CLD_EXITED:
        return f"exit code {status.si_status}"
    with contextlib.suppress(ValueError):
        name = signal.Signals(status.si_status).name
        hint = ", perhaps out of memory" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"killed by signal {status.si_status}"


def enable_stack_dumps() -> None:
    """ABRT asks the master for its stack; it lives on."""
    with contextlib.suppress(RuntimeError, OSError, ValueError):
        faulthandler.register(signal.SIGABRT, all_threads=True, chain=False)
