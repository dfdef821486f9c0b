"""What can happen to the master, as values: the supervisor's only input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pingpy.config.plan import Plan
from pingpy.control import Message


@dataclass(frozen=True, slots=True)
class Begin:
    """The first plan is known and its listeners are bound; `generation` is 1, or the old master's plus one."""

    plan: Plan
    listener_slots: int
    generation: int = 1
    config_hash: str = ""
    taking_over: bool = False
    tickets_rotated_at: float = 0.0  # 0: the keys of session tickets are as old as the clock


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline may have passed."""


@dataclass(frozen=True, slots=True)
class Spawned:
    """A fork succeeded."""

    worker: int
    pid: int


@dataclass(frozen=True, slots=True)
class Said:
    """A worker sent a message."""

    worker: int
    message: Message


@dataclass(frozen=True, slots=True)
class Muted:
    """A worker's channel ended, or it sent nonsense, while the process still lives."""

    worker: int
    why: str


@dataclass(frozen=True, slots=True)
class Exited:
    """A worker is gone and reaped (or never came to life)."""

    worker: int
    how: str


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker's slab says."""

    at: float
    connections: int = 0
    active: int = 0
    rss_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Beats:
    """The slabs were looked at."""

    beats: Mapping[int, Beat]


@dataclass(frozen=True, slots=True)
class Signalled:
    """A signal reached the master; `name` without SIG, and who sent it."""

    name: str
    pid: int = 0
    uid: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A verb came over the control socket; the answer goes to `client`."""

    client: int
    verb: str
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """The checker answered: a plan, or why there is none."""

    ticket: int
    plan: Plan | None
    complaints: str = ""
    config_hash: str = ""
    warnings: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """The candidate's listeners are bound (not yet listening), or could not be."""

    ticket: int
    listener_slots: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """The files that a generation was loaded from were looked at: what it was born with, and what they are now."""

    generation: int
    loaded: Mapping[str, str] = field(repr=False)
    seen: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PeerSaid:
    """The other master of an upgrade sent a message; `elder`: the one that we take over from."""

    name: str
    body: Mapping[str, object] = field(default_factory=dict)
    elder: bool = False


@dataclass(frozen=True, slots=True)
class PeerGone:
    """The upgrade channel ended, or the other master's process did."""

    why: str
    died: bool = False
    elder: bool = False


@dataclass(frozen=True, slots=True)
class PeerAsked:
    """A separately started master (-u) asks to take over."""

    pid: int
    uid: int


Event = (
    Begin
    | Tick
    | Spawned
    | Said
    | Muted
    | Exited
    | Beats
    | Signalled
    | Command
    | Checked
    | Bound
    | Looked
    | PeerSaid
    | PeerGone
    | PeerAsked
)
