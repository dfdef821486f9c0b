"""Decides when a name is looked up again, and which addresses count: the last good ones, whatever fails later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

REFRESH_SECONDS = 30.0
FIRST_RETRY_SECONDS = 1.0
JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a look-up changed. `note`: a line for the log, or nothing. `publish`: the answer differs from before."""

    publish: bool
    note: str = ""
    warning: bool = False
    failed: bool = False


class _Name:
    __slots__ = ("addresses", "asked", "due", "failures", "in_flight", "resolved_at")

    def __init__(self, due: float) -> None:
        self.addresses: tuple[str, ...] = ()
        self.due = due
        self.failures = 0
        self.asked = False  # at least one look-up has ended
        self.in_flight = False
        self.resolved_at: float | None = None


class NameBook:
    """Every name of the configuration, as `host:port`. `jitter` gives numbers in [0, 1)."""

    def __init__(
        self, jitter: Callable[[], float], refresh_seconds: float = REFRESH_SECONDS
    ) -> None:
        self._jitter = jitter
        self._refresh_seconds = refresh_seconds
        self._names: dict[str, _Name] = {}

    def __repr__(self) -> str:
        empty = sum(not name.addresses for name in self._names.values())
        return f"<NameBook names={len(self._names)} without_address={empty}>"

    def want(self, names: Iterable[str], now: float) -> None:
        """These are the names from now on."""
        known = self._names
        self._names = {name: known.get(name) or _Name(now) for name in names}

    def due(self, now: float) -> list[str]:
        """What to look up now; each must be answered by `resolved` or `failed`."""
        found = []
        for name, entry in self._names.items():
            if entry.due <= now and not entry.in_flight:
                entry.in_flight = True
                found.append(name)
        return found

    def next_due(self) -> float | None:
        """When `due` has something next; None: not before a look-up ends."""
        waiting = [entry.due for entry in self._names.values() if not entry.in_flight]
        return min(waiting, default=None)

    def resolved(self, name: str, addresses: Sequence[str], now: float) -> Lookup:
        """A look-up ended well. Addresses are kept sorted: resolvers rotate them, which is no change."""
        if not addresses:
            return self.failed(name, "it has no address", now)
        entry = self._names.get(name)
        if entry is None:
            return Lookup(publish=False)
        found = tuple(sorted(set(addresses)))
        recovered = entry.failures > 0
        changed = found != entry.addresses
        first = not entry.asked
        note = ""
        if recovered:
            note = f"name {name} resolves again: {', '.join(found)}"
        elif changed and not first:
            note = f"name {name} now means {', '.join(found)}"
        entry.addresses, entry.failures, entry.resolved_at = found, 0, now
        self._settle(entry, now, self._refresh_seconds)
        return Lookup(publish=changed or first, note=note)

    def failed(self, name: str, cause: str, now: float) -> Lookup:
        """A look-up failed: keep what is known, ask again soon, ever more slowly up to the refresh interval."""
        entry = self._names.get(name)
        if entry is None:
            return Lookup(publish=False, failed=True)
        first = not entry.asked
        entry.failures += 1
        doubled = FIRST_RETRY_SECONDS * 2.0 ** min(entry.failures - 1, 16)
        self._settle(entry, now, min(doubled, self._refresh_seconds))
        if entry.failures > 1:
            return Lookup(publish=False, failed=True)
        kept = "its last good addresses are kept" if entry.addresses else "requests for it get 502"
        note = f"name {name} does not resolve ({cause}); {kept}"
        return Lookup(publish=first, note=note, warning=True, failed=True)

    def _settle(self, entry: _Name, now: float, seconds: float) -> None:
        entry.asked, entry.in_flight = True, False
        entry.due = now + seconds * (1 + JITTER * (2 * self._jitter() - 1))

    def answers(self) -> dict[str, tuple[str, ...]]:
        """Every name that was looked up at least once, and its addresses; none: it has never resolved."""
        return {name: entry.addresses for name, entry in self._names.items() if entry.asked}

    def ages(self, now: float) -> dict[str, float]:
        """Seconds since each name resolved; a name that never has is left out."""
        return {
            name: now - entry.resolved_at
            for name, entry in self._names.items()
            if entry.resolved_at is not None
        }

    def complete(self) -> bool:
        """Whether every name was looked up at least once."""
        return all(entry.asked for entry in self._names.values())
