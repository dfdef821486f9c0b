"""What the supervisor wants done, as values: the loop performs them in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from pingpy.control import Message


@dataclass(frozen=True, slots=True)
class Spawn:
    """Fork a worker (slot -1: the scout) of a generation."""

    worker: int
    generation: int
    slot: int
    worker_count: int


@dataclass(frozen=True, slots=True)
class Equip:
    """Send a worker the listeners of these slots, and the logs."""

    worker: int
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lend:
    """Let a worker accept from the slots of another one as well."""

    worker: int
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TakeBack:
    """A worker no longer accepts from these slots."""

    worker: int
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Relinquish:
    """A worker gives up all its listeners: its generation does not come back.

    Else an address that is no longer listened on would go on queueing clients as long as it drains.
    """

    worker: int


@dataclass(frozen=True, slots=True)
class CloseListeners:
    """The master itself is done with them: it stops, or its successor has them."""

    unlink: bool


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a worker a message."""

    worker: int
    message: Message


@dataclass(frozen=True, slots=True)
class Kill:
    """Send a worker a signal ("ABRT", "KILL", ...)."""

    worker: int
    signal: str


@dataclass(frozen=True, slots=True)
class Check:
    """Have a throw-away child load the configuration file; answered by Checked."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind what the checked candidate needs and we lack; answered by Bound."""

    ticket: int
    generation: int


@dataclass(frozen=True, slots=True)
class Grow:
    """Have at least this many slots per address (one worker more)."""

    generation: int
    slots: int


@dataclass(frozen=True, slots=True)
class Listen:
    """Call listen() on the generation's sockets that do not listen yet: its workers are about to accept."""

    generation: int


@dataclass(frozen=True, slots=True)
class Commit:
    """This generation's plan is in force for good: close listeners that only earlier ones wanted."""

    generation: int


@dataclass(frozen=True, slots=True)
class Discard:
    """This generation failed: forget its plan, close the sockets bound only for it."""

    generation: int


@dataclass(frozen=True, slots=True)
class Forget:
    """The last process of this generation is gone."""

    generation: int


@dataclass(frozen=True, slots=True)
class ReopenLogs:
    """Open the log files anew and hand them to every process of every generation, of both masters of an upgrade.

    `relayed_by`: the master that passed it on ("elder", "successor"), which knows already.
    """

    relayed_by: str = ""


@dataclass(frozen=True, slots=True)
class RotateTickets:
    """Put the next key for TLS session tickets in force, and make one more."""

    now: float


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer a client of the control socket; `code` is the exit code of its command."""

    client: int
    code: int
    text: str
    fields: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Describe:
    """Answer a client with the master's whole state."""

    client: int
    verb: str


@dataclass(frozen=True, slots=True)
class Log:
    """One line for the error log."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """Add one to a counter of the master."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gauge:
    """Set a gauge of the master."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell systemd: "ready", "reloading", "stopping", "status" or "mainpid"."""

    what: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class WritePidFile:
    """Name ourselves in the pid file (suffix: ".new" during probation)."""

    suffix: str = ""


@dataclass(frozen=True, slots=True)
class RemovePidFile:
    """Remove the pid file with this suffix if it still names us (or `pid`, which is no more)."""

    suffix: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class OpenControl:
    """Take the control socket over from the master that was."""


@dataclass(frozen=True, slots=True)
class LaunchSuccessor:
    """Fork and exec the code on disk as a new master, with an upgrade channel."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Send the other master WELCOME, the descriptors and the state; answered by PeerSaid("RECEIVED")."""

    generation: int


@dataclass(frozen=True, slots=True)
class TellPeer:
    """Send the other master a message."""

    name: str
    body: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DropPeer:
    """Close the upgrade channel; `kill` ends a successor that we started as well."""

    kill: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """End the master's loop with this exit code."""

    code: int
    why: str = ""


Action = (
    Spawn
    | Equip
    | Lend
    | TakeBack
    | Relinquish
    | CloseListeners
    | Tell
    | Kill
    | Check
    | Bind
    | Grow
    | Listen
    | Commit
    | Discard
    | Forget
    | ReopenLogs
    | RotateTickets
    | Reply
    | Describe
    | Log
    | Count
    | Gauge
    | Announce
    | WritePidFile
    | RemovePidFile
    | OpenControl
    | LaunchSuccessor
    | HandOver
    | TellPeer
    | DropPeer
    | Exit
)
