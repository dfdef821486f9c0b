"""The master's state as JSON, for `pingpy status` and `pingpy workers`."""

from __future__ import annotations

import os
from math import inf
from typing import TYPE_CHECKING, Any

from master.crew import Crew, Mode
from pingpy import __version__

if TYPE_CHECKING:
    from master.estate import Estate
    from master.supervisor import Supervisor


def describe(supervisor: Supervisor, estate: Estate, verb: str, now: float) -> dict[str, Any]:
    """The reply to `verb` ("status", "workers" or "config")."""
    head: dict[str, Any] = {"type": "REPLY", "code": 0, "text": "", "pid": os.getpid()}
    if verb == "config":
        generation = estate.generations[estate.current]
        text = generation.source.text.decode(errors="replace")
        return {
            **head,
            "path": generation.source.path,
            "config": text,
            "held": [*estate.listeners.groups],
        }
    crews = [_crew(crew, estate, now) for crew in supervisor.crews.values()]
    if verb == "workers":
        return {**head, "generations": crews}
    active = supervisor.active
    return {
        **head,
        "text": supervisor.status(),
        "version": __version__,
        "phase": supervisor.phase.value,
        "uptime_seconds": round(now - estate.started_at, 1),
        "generation": active.number if active else 0,
        "config_path": estate.generations[estate.current].source.path if active else "",
        "config_hash": active.config_hash if active else "",
        "last_reload": supervisor.last_reload,
        "successor_pid": supervisor.upgrade.successor_pid if supervisor.upgrade else 0,
        "superseded_master": supervisor.superseded,
        "generations": crews,
        "listeners": [
            {"id": group.id, "slots": len(group.fds), "origin": group.origin}
            for group in estate.listeners.groups.values()
        ],
    }


def draining(supervisor: Supervisor) -> dict[str, Any]:
    """What a superseded master tells its successor of what it still has."""
    workers = [w for crew in supervisor.crews.values() for w in crew.serving_workers()]
    return {
        "pid": os.getpid(),
        "workers": len(workers),
        "connections": sum(w.connections for w in workers),
        "active": sum(w.active for w in workers),
    }


def _crew(crew: Crew, estate: Estate, now: float) -> dict[str, Any]:
    deadlines = [w.drain_until for w in crew.workers.values() if w.drain_until < inf]
    return {
        "generation": crew.number,
        "state": "serving" if crew.mode is Mode.SERVING else crew.mode.name.lower(),
        "reason": crew.drain_reason,
        "deadline_seconds": round(max(deadlines) - now, 1) if deadlines else None,
        "waits_for_connections": sum(w.connections for w in crew.serving_workers()),
        "waits_for_active": sum(w.active for w in crew.serving_workers()),
        "workers": [
            {
                "slot": worker.slot,
                "pid": worker.pid,
                "state": worker.stage.name.lower(),
                "cpu": _cpu(estate, worker.id),
                "age_seconds": round(now - worker.born_at, 1),
                "heartbeat_age_seconds": round(max(0.0, now - worker.beat_at), 1),
                "connections": worker.connections,
                "active": worker.active,
                "rss_bytes": worker.rss_bytes,
                "slots": sorted(worker.holds),
            }
            for worker in sorted(crew.workers.values(), key=lambda w: w.slot)
        ],
        "restarting": {
            str(slot): {
                "why": crew.vacancies.reasons.get(slot, (0.0, ""))[1],
                "in_seconds": round(max(0.0, at - now), 1),
            }
            for slot, at in crew.vacancies.until.items()
        },
    }


def _cpu(estate: Estate, worker: int) -> int:
    child = estate.children.by_worker.get(worker)
    if child is None or child.slot < 0:
        return -1
    return estate.children.cpus[child.slot % len(estate.children.cpus)]
