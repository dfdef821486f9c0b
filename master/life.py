"""The life of one worker as a table: which cue is lawful in which stage, and where it leads.

BORN ─hello─► BUILDING ─ready─► READY ─go─► GOING ─accepting─► ACCEPTING
                                              ▲                    │ drain
                                              └──resume── DRAINING ◄┘ ─drained─► DRAINED
ACCEPTING ─leaving─► LEAVING (drains by itself)      any ─stop─► STOPPING
any ─abort─► ABORTING (stack dump asked for) ─kill─► KILLED
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf
from typing import Final


class Stage(Enum):
    """Where a worker is in its life."""

    BORN = auto()
    BUILDING = auto()
    READY = auto()
    GOING = auto()
    ACCEPTING = auto()
    DRAINING = auto()
    DRAINED = auto()
    LEAVING = auto()
    STOPPING = auto()
    ABORTING = auto()
    KILLED = auto()


class Cue(Enum):
    """What moves it on: a message from it, or one of ours to it."""

    HELLO = auto()
    READY = auto()
    GO = auto()
    ACCEPTING = auto()
    DRAIN = auto()
    DRAINED = auto()
    RESUME = auto()
    LEAVING = auto()
    STOP = auto()
    ABORT = auto()
    KILL = auto()


_S, _C = Stage, Cue
_ENDING: Final = (Stage.STOPPING, Stage.ABORTING, Stage.KILLED)
LAWFUL: Final[dict[tuple[Stage, Cue], Stage]] = {
    (_S.BORN, _C.HELLO): _S.BUILDING,
    (_S.BUILDING, _C.READY): _S.READY,
    (_S.READY, _C.GO): _S.GOING,
    (_S.GOING, _C.ACCEPTING): _S.ACCEPTING,
    (_S.GOING, _C.DRAIN): _S.DRAINING,
    (_S.ACCEPTING, _C.DRAIN): _S.DRAINING,
    (_S.DRAINING, _C.DRAIN): _S.DRAINING,
    (_S.DRAINED, _C.DRAIN): _S.DRAINED,
    (_S.DRAINING, _C.DRAINED): _S.DRAINED,
    (_S.DRAINING, _C.RESUME): _S.GOING,
    (_S.DRAINED, _C.RESUME): _S.GOING,
    # Messages that cross ours on the way.
    (_S.DRAINING, _C.ACCEPTING): _S.DRAINING,
    (_S.DRAINED, _C.ACCEPTING): _S.DRAINED,
    (_S.GOING, _C.DRAINED): _S.GOING,
    # A worker that was told to leave by a signal.
    **{
        (stage, _C.LEAVING): _S.LEAVING
        for stage in (_S.READY, _S.GOING, _S.ACCEPTING, _S.DRAINING, _S.DRAINED)
    },
    (_S.LEAVING, _C.DRAIN): _S.LEAVING,
    (_S.LEAVING, _C.DRAINED): _S.LEAVING,
    (_S.LEAVING, _C.ACCEPTING): _S.LEAVING,
    # The end, from anywhere; what still arrives then changes nothing.
    **{(stage, _C.STOP): _S.STOPPING for stage in _S if stage not in _ENDING},
    **{(stage, _C.ABORT): _S.ABORTING for stage in _S if stage is not _S.KILLED},
    **{(stage, _C.KILL): _S.KILLED for stage in _S},
    **{(stage, cue): stage for stage in _ENDING for cue in _C if cue not in (_C.ABORT, _C.KILL)},
}

# Stages in which the event loop runs and must beat.
BEATING: Final = (
    _S.READY,
    _S.GOING,
    _S.ACCEPTING,
    _S.DRAINING,
    _S.DRAINED,
    _S.LEAVING,
    _S.STOPPING,
)
UNREADY: Final = (_S.BORN, _S.BUILDING)


class UnlawfulError(Exception):
    """A worker sent what it may not send in this stage."""


@dataclass(slots=True)
class Death:
    """One worker's end before anybody asked for it."""

    slot: int
    how: str
    was_ready: bool


@dataclass(slots=True)
class Worker:
    """What the master knows of one worker process."""

    id: int
    slot: int
    born_at: float
    stage: Stage = Stage.BORN
    pid: int = 0
    deadline: float = inf  # when the stage must have changed
    hard_deadline: float = inf  # how far PROGRESS may push the deadline
    ready_at: float | None = None
    beat_at: float = 0.0
    drain_until: float = inf  # when a drain must have ended
    cause: str = ""
    connections: int = 0
    active: int = 0
    rss_bytes: int = 0
    holds: set[int] = field(default_factory=set)  # listener slots that it has

    def move(self, cue: Cue) -> Stage:
        """Go where the table says; raises UnlawfulError."""
        try:
            self.stage = LAWFUL[self.stage, cue]
        except KeyError:
            raise UnlawfulError(f"{cue.name} while {self.stage.name}") from None
        return self.stage

    @property
    def accepting(self) -> bool:
        """Whether new connections are safe with it (GO is on its way, or has arrived)."""
        return self.stage in (Stage.GOING, Stage.ACCEPTING)

    @property
    def ending(self) -> bool:
        """Whether we have told it to go."""
        return self.stage in _ENDING
