"""Decides what a worker does next, from first message to exit: events and the time in, actions out.

    BOOTING ──everything built──► READY ──GO──► ACCEPTING ──DRAIN, signal, master gone──► DRAINING ──► (exit)
                                                   ▲                                         │
                                                   └──────────────── RESUME ─────────────────┘

A worker drains for the master (then it says DRAINED and waits: RESUME may still come), for a signal or because the
master is gone (then it exits when nothing is left). Requests and tunnels have deadlines of their own; tunnels are ended
in the last fifth of their time, a few at a time, so that their clients do not all come back in the same moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from pingpy.control import Drain

# The part of a tunnel's drain time over which tunnels are closed.
SPREAD_SHARE = 0.2


class State(Enum):
    """Where a worker is in its life."""

    BOOTING = "booting"
    READY = "ready"
    ACCEPTING = "accepting"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Load:
    """What the plane holds: downstream connections, those with a request in progress, tunnels."""

    connections: int
    requests: int
    tunnels: int


@dataclass(frozen=True, slots=True)
class SayReady:
    """Tell the master READY."""


@dataclass(frozen=True, slots=True)
class StartAccepting:
    """Accept from every listener, and tell the master ACCEPTING."""

    resumed: bool


@dataclass(frozen=True, slots=True)
class StopAccepting:
    """Accept nothing more, answer what is there, close what stays idle for `linger_seconds`."""

    linger_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUpListeners:
    """Let in who waits already, then close every listener for good."""


@dataclass(frozen=True, slots=True)
class EndRequests:
    """Their time is up: end every request that is still in progress."""


@dataclass(frozen=True, slots=True)
class EndTunnels:
    """Close this many tunnels, as politely as their protocol allows."""

    count: int


@dataclass(frozen=True, slots=True)
class SayDrained:
    """Tell the master DRAINED."""


@dataclass(frozen=True, slots=True)
class SayLeaving:
    """Tell the master that this worker goes by itself."""

    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the error log."""

    text: str


@dataclass(frozen=True, slots=True)
class Exit:
    """End the process."""

    cut: int = 0  # connections that were still there


Action = (
    SayReady
    | StartAccepting
    | StopAccepting
    | GiveUpListeners
    | EndRequests
    | EndTunnels
    | SayDrained
    | SayLeaving
    | Note
    | Exit
)


class _Draining:
    __slots__ = ("accepting_until", "limits", "requests_ended", "spread_from", "started")

    def __init__(self, limits: Drain, now: float) -> None:
        self.limits = limits
        self.started = now
        self.accepting_until = now + limits.accept_seconds
        self.requests_ended = False
        self.spread_from = 0  # tunnels there when the spreading began


class Lifecycle:
    """One worker's life. `own_limits`: how it drains when told by a signal; `orphan_seconds`: without a master."""

    def __init__(self, own_limits: Drain, orphan_seconds: float) -> None:
        self.state = State.BOOTING
        self._own_limits = own_limits
        self._orphan_seconds = orphan_seconds
        self._waiting_for = {"listeners", "logs", "tables", "addresses"}
        self._draining: _Draining | None = None
        self._stopped_accepting = False
        self._leaving = False  # exits when nothing is left, whatever the master says
        self._drained = False

    def __repr__(self) -> str:
        waiting = f" waiting for {', '.join(sorted(self._waiting_for))}" if self.booting else ""
        return f"<Lifecycle {self.state.value}{waiting}{' leaving' if self._leaving else ''}>"

    @property
    def booting(self) -> bool:
        """Whether READY was not said yet."""
        return self.state is State.BOOTING

    @property
    def serves(self) -> bool:
        """What /readyz says: true while accepting, and through a reload or an upgrade; false at start and at a stop."""
        if self._draining is None:
            return self.state is State.ACCEPTING
        return self._draining.limits.reason in ("reload", "upgrade") and not self._leaving

    def have(self, part: str) -> list[Action]:
        """One of "listeners", "logs", "tables" or "addresses" is there; with the last one the worker is ready."""
        self._waiting_for.discard(part)
        if self._waiting_for or self.state is not State.BOOTING:
            return []
        self.state = State.READY
        return [SayReady()]

    def go(self) -> list[Action]:
        """The master says GO."""
        if self.state is State.GONE:
            return []
        if self.state is not State.READY:
            return [Note(f"GO while {self.state.value}: ignored")]
        self.state = State.ACCEPTING
        return [StartAccepting(resumed=False)]

    def drain(self, limits: Drain, now: float) -> list[Action]:
        """The master says DRAIN; once more with other limits replaces the first ones."""
        if self.state in (State.BOOTING, State.READY):
            return self._exit(0)
        if self.state is State.GONE or self._leaving:
            return []
        return self._begin(limits, now)

    def leave(self, reason: str, now: float) -> list[Action]:
        """A signal says: drain and exit."""
        if self.state in (State.BOOTING, State.READY):
            return [SayLeaving(reason), *self._exit(0)]
        if self.state is State.GONE or self._leaving:
            return []
        self._leaving = True
        actions: list[Action] = [SayLeaving(reason)]
        if self._draining is None:
            actions += self._begin(self._own_limits, now)
        return actions

    def master_gone(self, now: float) -> list[Action]:
        """Nobody is left to say anything: finish what is there within the orphan's time."""
        if self.state in (State.BOOTING, State.READY):
            return self._exit(0)
        if self.state is State.GONE:
            return []
        self._leaving = True
        seconds = self._orphan_seconds
        linger = min(self._own_limits.linger_seconds, seconds / 2)
        note = Note(f"the master is gone: draining for at most {seconds:g} s")
        drain = self._begin(Drain("orphan", seconds, seconds, linger), now)
        return [note, GiveUpListeners(), *drain]

    def resume(self) -> list[Action]:
        """The master takes the drain back."""
        if self.state is not State.DRAINING or self._leaving:
            return []
        self.state = State.ACCEPTING
        self._draining, self._stopped_accepting, self._drained = None, False, False
        return [StartAccepting(resumed=True)]

    def stop(self, load: Load) -> list[Action]:
        """The master says STOP: exit now."""
        return [] if self.state is State.GONE else self._exit(load.connections)

    def tick(self, now: float, load: Load) -> list[Action]:
        """Time passed, or the load changed."""
        if self.state is not State.DRAINING or self._draining is None:
            return []
        draining = self._draining
        if now < draining.accepting_until:
            return []
        actions = self._stop_accepting(draining)
        if load.connections == 0 and not actions:
            return actions + self._nothing_left()
        if now >= draining.started + draining.limits.deadline_seconds:
            if not draining.requests_ended:
                if load.requests:
                    actions.append(Note(f"drain deadline: {load.requests} requests are cut"))
                actions.append(EndRequests())
            draining.requests_ended = True
        return actions + self._tunnels(draining, now, load)

    def _begin(self, limits: Drain, now: float) -> list[Action]:
        self.state = State.DRAINING
        self._draining = _Draining(limits, now)
        self._drained = False
        return [] if limits.accept_seconds > 0 else self._stop_accepting(self._draining)

    def _stop_accepting(self, draining: _Draining) -> list[Action]:
        if self._stopped_accepting:
            return []
        self._stopped_accepting = True
        return [StopAccepting(draining.limits.linger_seconds)]

    def _nothing_left(self) -> list[Action]:
        if self._leaving:
            return self._exit(0)
        if self._drained:
            return []
        self._drained = True
        return [SayDrained()]

    def _tunnels(self, draining: _Draining, now: float, load: Load) -> list[Action]:
        total = draining.limits.tunnel_deadline_seconds
        end = draining.started + total
        spread = total * SPREAD_SHARE
        if now >= end:
            if self._leaving:
                return self._exit(load.connections)
            return [EndTunnels(load.tunnels)] if load.tunnels else []
        if now < end - spread or not load.tunnels:
            return []
        draining.spread_from = max(draining.spread_from, load.tunnels)
        may_stay = math.ceil(draining.spread_from * (end - now) / spread)
        return [EndTunnels(load.tunnels - may_stay)] if load.tunnels > may_stay else []

    def _exit(self, cut: int) -> list[Action]:
        self.state = State.GONE
        return [Exit(cut)]
