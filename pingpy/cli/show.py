"""Renders the state of a running instance for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def render(answer: dict[str, Any]) -> Iterator[str]:
    """`pingpy status`, and `pingpy workers` when the head is missing."""
    if "phase" in answer:
        yield answer["text"]
        yield f"pingpy {answer['version']}, pid {answer['pid']}, up {span(answer['uptime_seconds'])}"
        yield f"configuration {answer['config_path']} ({answer['config_hash'][:12]})"
        if answer["last_reload"]:
            yield f"last reload: {answer['last_reload']}"
        for listener in answer["listeners"]:
            count = f", {listener['slots']} slots" if listener["slots"] > 1 else ""
            address = listener["id"].removeprefix("tcp4/").removeprefix("tcp6/")
            yield f"listening on {address}{count}"
    if old := answer.get("superseded_master"):
        yield f"superseded master pid {old['pid']}: waits for {old['connections']} connections"
    for crew in answer["generations"]:
        yield from generation(crew)


def generation(crew: dict[str, Any]) -> Iterator[str]:
    """One generation and its workers."""
    head = f"generation {crew['generation']}: {crew['state']}"
    if crew["reason"]:
        head += f" ({crew['reason']})"
    if crew["state"] in ("draining", "retiring"):
        head += f", waits for {crew['waits_for_connections']} connections"
        if crew.get("waits_for_active"):
            head += f" ({crew['waits_for_active']} with a request)"
        if crew["deadline_seconds"] is not None:
            head += f", at most {span(crew['deadline_seconds'])}"
    yield head
    for worker in crew["workers"]:
        who = "scout" if worker["slot"] < 0 else f"worker {worker['slot']}"
        yield (
            f"  {who:<9} pid {worker['pid']:<8} {worker['state']:<10} "
            f"{worker['connections']} connections, {worker['active']} active, "
            f"{worker['rss_bytes'] // 1024} KiB, up {span(worker['age_seconds'])}"
        )
    for slot, entry in crew["restarting"].items():
        yield f"  worker {slot} restarts in {entry['in_seconds']} s: {entry['why']}"


def span(seconds: float) -> str:
    """A duration as people say it."""
    whole = int(seconds)
    if whole < 120:
        return f"{seconds:.0f} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 172800 else f"{whole // 86400} days"
