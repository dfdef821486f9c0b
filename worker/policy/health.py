"""Decides which peer is probed when, and whether it is up: events and the time come in, probes and verdicts go out.

    up   --`unhealthy_threshold` failures in a row-->  down
    down --`healthy_threshold` successes in a row-->   up

A target starts up (a proxy that has just started does not refuse to serve), is probed at once, then every interval, and
never twice at the same time. One target may stand for several members: the cells of one address in several pools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pingpy.config.resolved import ResolvedHealthCheck, ResolvedTls

# The first probes of a generation are spread over this long; later ones keep their distance, give or take 5 %.
FIRST_SPREAD_SECONDS = 0.25
JITTER = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """What is probed: an address, the Host it is asked as, and how."""

    address: str
    authority: str
    tls: ResolvedTls | None
    check: ResolvedHealthCheck
    send_proxy: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """Write a verdict into these members' cells."""

    members: frozenset[str]
    up: bool


@dataclass(frozen=True, slots=True)
class Flip:
    """A target changed sides: worth a line in the error log."""

    target: Target
    members: frozenset[str]
    up: bool
    cause: str
    after_seconds: float

    def __str__(self) -> str:
        pools = ", ".join(sorted({member.rpartition("|")[0] for member in self.members}))
        count = self.target.check.healthy_threshold
        if not self.up:
            count = self.target.check.unhealthy_threshold
            failed = f"{count} failed probe{'s' if count > 1 else ''}"
            return f"peer {self.target.address} ({pools}) is down after {failed}: {self.cause}"
        passed = f"{count} good probe{'s' if count > 1 else ''}"
        return (
            f"peer {self.target.address} ({pools}) is up again after {passed}, "
            f"having been down for {self.after_seconds:.1f} s"
        )


Action = Mark | Flip


class _Watched:
    __slots__ = ("due", "in_flight", "known", "members", "since", "streak", "up")

    def __init__(self, members: frozenset[str], due: float, up: bool, now: float) -> None:
        self.members = members
        self.due = due
        self.up = up
        self.since = now
        self.streak = 0  # results in a row that speak against `up`
        self.known = not up  # whether a verdict stands in the members' cells
        self.in_flight = False


class ProbeBook:
    """All targets of this host and what is known of them. `jitter` gives numbers in [0, 1)."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._watched: dict[Target, _Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def __repr__(self) -> str:
        down = sum(not watched.up for watched in self._watched.values())
        return f"<ProbeBook targets={len(self._watched)} down={down}>"

    def watch(
        self,
        targets: Mapping[Target, frozenset[str]],
        now: float,
        down: frozenset[str] = frozenset(),
    ) -> list[Mark]:
        """These are the targets from now on. `down`: members that an earlier generation's probes took out."""
        marks: list[Mark] = []
        watched_before = self._watched
        self._watched = {}
        for target, members in targets.items():
            watched = watched_before.get(target)
            if watched is None:
                due = now + self._jitter() * FIRST_SPREAD_SECONDS
                watched = _Watched(members, due, not members <= down, now)
            new = members - watched.members
            if new and watched.known:
                marks.append(Mark(new, watched.up))
            watched.members = members
            self._watched[target] = watched
        return marks

    def due(self, now: float) -> list[Target]:
        """What to probe now; each must be answered by `result`."""
        found: list[Target] = []
        for target, watched in self._watched.items():
            if watched.due > now or watched.in_flight:
                continue
            watched.in_flight = True
            interval = target.check.interval_seconds
            watched.due += interval * (1 + JITTER * (2 * self._jitter() - 1))
            # After a pause (a suspended host, a drain that was taken back) missed probes are not made up for.
            watched.due = max(watched.due, now + interval * (1 - JITTER))
            found.append(target)
        return found

    def next_due(self) -> float | None:
        """When `due` has something next, as far as that is known; None: not before a result or new targets."""
        waiting = [watched.due for watched in self._watched.values() if not watched.in_flight]
        return min(waiting, default=None)

    def forget(self, target: Target) -> None:
        """A probe ended, but its outcome does not count: somebody else judges this target now."""
        watched = self._watched.get(target)
        if watched is not None:
            watched.in_flight = False

    def result(self, target: Target, cause: str | None, now: float) -> list[Action]:
        """A probe ended: None is a success, a text says what was wrong. A target not watched any more is ignored."""
        watched = self._watched.get(target)
        if watched is None:
            return []
        watched.in_flight = False
        good = cause is None
        if good == watched.up:
            watched.streak = 0
            if watched.known:
                return []
            watched.known = True
            return [Mark(watched.members, watched.up)]
        watched.streak += 1
        check = target.check
        wanted = check.healthy_threshold if good else check.unhealthy_threshold
        if watched.streak < wanted:
            return []
        flip = Flip(target, watched.members, good, cause or "", now - watched.since)
        watched.up, watched.streak, watched.since, watched.known = good, 0, now, True
        return [Mark(watched.members, good), flip]
