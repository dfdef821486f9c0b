"""One line on how the service is, for systemd's STATUS and `pingpy status`."""

from __future__ import annotations

from collections.abc import Iterable

from master.crew import Crew, Mode


def status_line(phase: str, active: Crew | None, crews: Iterable[Crew]) -> str:
    """For example: degraded: 3/4 workers, slot 2 restarting in 12 s (ImportError ...), generation 7."""
    if active is None:
        return phase
    good = sum(w.accepting for w in active.serving_workers())
    parts = [f"{good}/{active.worker_count} workers"]
    for slot, (delay, why) in sorted(active.vacancies.reasons.items()):
        if slot < active.worker_count:
            who = f"slot {slot}" if slot >= 0 else "scout"
            wait = f" in {delay:.0f} s" if delay >= 1 else ""
            parts.append(f"{who} restarting{wait} ({why[:80]})")
    parts.append(f"generation {active.number}")
    leaving = [c for c in crews if c.mode is Mode.RETIRING and c.workers]
    if leaving:
        parts.append(f"{len(leaving)} draining")
    if phase == "running" and good < active.worker_count:
        phase = "degraded"
    return f"{phase}: {', '.join(parts)}"
