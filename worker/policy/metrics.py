"""The metrics page: every counter of the host from whichever worker is asked, in Prometheus' text format 0.0.4."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from itertools import accumulate

import pingpy
from pingpy.http import Response
from pingpy.session import Session
from pingpy.shared import Region, Slab
from pingpy.shared.layout import BOUNDS_US, COUNTER, HISTOGRAM, VALUES
from pingpy.shared.names import FAMILIES, Family
from pingpy.shared.series import render_key
from worker.plane.cells import Cells
from worker.policy.scrape import Scrape

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TYPES = {COUNTER: "counter", HISTOGRAM: "histogram"}
_BOUNDS = (*(f"{us / 1e6:g}" for us in BOUNDS_US), "+Inf")

Samples = dict[str, list[str]]


class Metrics:
    """Renders the page. `clock`: monotonic seconds, as slabs' heartbeats are; `expiries`: Unix times by certificate."""

    def __init__(
        self,
        region: Region,
        cells: Cells,
        clock: Callable[[], float] = time.monotonic,
        expiries: Mapping[str, float] | None = None,
    ) -> None:
        self._region = region
        self._cells = cells
        self._clock = clock
        self._expiries = [
            f"{_key('pingpy_cert_expiry_timestamp_seconds', {'certificate': name})} {end:.0f}"
            for name, end in (expiries or {}).items()
        ]
        self._scrape = Scrape(region)
        # By series: the lines' beginnings, made once; the family is what comes before the labels.
        self._prefixes: list[tuple[str, list[str]]] = []
        info = {"version": pingpy.__version__, "python": platform.python_version()}
        self._build_info = f"{_key('pingpy_build_info', info)} 1"

    def respond(self, session: Session) -> Response:
        """For a built-in route."""
        fields = (("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"))
        return Response(200, fields, self.page())

    def page(self) -> str:
        """The whole text; families in the order of names.FAMILIES, series in that of their first appearance."""
        samples: Samples = {family.name: [] for family in FAMILIES}
        self._counted(samples)
        workers = [slab for slab in self._region.live_slabs() if slab.role == "worker"]
        for slab in workers:
            self._worker(samples, slab)
        self._together(samples, workers)
        self._peers(samples)
        samples["pingpy_cert_expiry_timestamp_seconds"] += self._expiries
        samples["pingpy_build_info"].append(self._build_info)
        began = self._region.created_wall_us / 1e6
        samples["pingpy_process_start_time_seconds"].append(
            f"pingpy_process_start_time_seconds {began:.3f}"
        )
        return "".join(_family_text(family, samples[family.name]) for family in FAMILIES)

    def _counted(self, samples: Samples) -> None:
        """Everything that lies in slabs."""
        totals = self._scrape.totals()
        for key, kind, _ in self._scrape.series[len(self._prefixes) :]:
            self._prefixes.append(_prefixes(key.decode("utf-8", "replace"), kind))
        for (_, kind, at), (name, prefixes) in zip(
            self._scrape.series, self._prefixes, strict=True
        ):
            if not totals.present[at]:
                continue
            lines = samples.setdefault(name, [])
            if kind != HISTOGRAM:
                lines.append(f"{prefixes[0]}{totals.sums[at]}")
                continue
            *counts, total_us = totals.sums[at : at + VALUES[HISTOGRAM]]
            running = list(accumulate(counts))
            lines += [f"{prefix}{count}" for prefix, count in zip(prefixes, running, strict=False)]
            lines.append(f"{prefixes[-2]}{total_us / 1e6:.6f}")
            lines.append(f"{prefixes[-1]}{running[-1]}")

    def _worker(self, samples: Samples, slab: Slab) -> None:
        """One worker's vital signs."""
        labels = {"generation": str(slab.generation), "slot": str(slab.slot)}
        age = max(self._clock() - slab.beat_us / 1e6, 0.0)
        for name, value in (
            ("pingpy_worker_heartbeat_age_seconds", f"{age:.3f}"),
            ("pingpy_worker_rss_bytes", str(slab.rss_bytes)),
            ("pingpy_worker_loop_lag_seconds", f"{slab.loop_lag_us / 1e6:.6f}"),
        ):
            samples[name].append(f"{_key(name, labels)} {value}")

    def _together(self, samples: Samples, workers: list[Slab]) -> None:
        """Connections and workers, now."""
        draining = [slab for slab in workers if slab.draining]
        connections = sum(slab.connections for slab in workers)
        active = sum(slab.active for slab in workers)
        states = {"active": active, "idle": max(connections - active, 0)}
        for state, count in states.items():
            key = _key("pingpy_connections", {"state": state})
            samples["pingpy_connections"].append(f"{key} {count}")
        for name, count in (
            ("pingpy_workers", len(workers)),
            ("pingpy_draining_workers", len(draining)),
            ("pingpy_draining_connections", sum(slab.connections for slab in draining)),
            ("pingpy_upstream_idle_connections", sum(slab.idle_upstream for slab in workers)),
        ):
            samples[name].append(f"{name} {count}")

    def _peers(self, samples: Samples) -> None:
        """The peers that this worker knows; their cells are the host's."""
        now_ms = int(self._clock() * 1000)
        for cell, (pool, target) in self._cells.named_peers().items():
            labels = {"pool": pool, "target": target}
            active, usable, _, marked_ms = self._cells.peer_state(cell, now_ms)
            for name, value in (
                ("pingpy_upstream_active", active),
                ("pingpy_upstream_up", usable),
                ("pingpy_upstream_ejected", marked_ms > 0),
            ):
                samples[name].append(f"{_key(name, labels)} {int(value)}")


def _key(name: str, labels: dict[str, str]) -> str:
    return render_key(name, labels).decode()


def _prefixes(key: str, kind: int) -> tuple[str, list[str]]:
    """The family, and what stands before each value of a series, the blank included."""
    name, _, rest = key.partition("{")
    if kind != HISTOGRAM:
        return name, [f"{key} "]
    inner = rest[:-1]
    comma = "," if inner else ""
    labels = f"{{{inner}}}" if inner else ""
    buckets = [f'{name}_bucket{{{inner}{comma}le="{bound}"}} ' for bound in _BOUNDS]
    return name, [*buckets, f"{name}_sum{labels} ", f"{name}_count{labels} "]


def _family_text(family: Family, lines: list[str]) -> str:
    if not lines:
        return ""
    help_text = family.help.replace("\\", r"\\").replace("\n", r"\n")
    kind = _TYPES.get(family.kind, "gauge")
    body = "\n".join(lines)
    return f"# HELP {family.name} {help_text}\n# TYPE {family.name} {kind}\n{body}\n"
