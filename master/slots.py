"""Decides which worker accepts from which listener slot, so that no queue is without a reader.

Slot j is at home with worker j mod n. While that worker is dead, wedged or not yet there, a sibling
adopts the slot; a slot's socket is never closed while its queue may hold connections.
"""

from __future__ import annotations

from collections.abc import Iterable

from master.actions import Action, Lend, TakeBack
from master.life import Worker


def home_slots(index: int, worker_count: int, listener_slots: int) -> tuple[int, ...]:
    """The listener slots of one worker."""
    return tuple(range(index, listener_slots, worker_count))


def rebalance(workers: Iterable[Worker], worker_count: int, listener_slots: int) -> list[Action]:
    """Adoptions first, then releases: two readers of a queue do no harm, none does.

    `workers` are all live ones of a generation; what each holds is updated here.
    """
    accepting = sorted((w for w in workers if w.accepting), key=lambda w: w.slot)
    if not accepting:
        return []
    homes = {w.slot: w for w in accepting if w.slot < worker_count}
    wanted: dict[int, set[int]] = {w.id: set() for w in accepting}
    for slot in range(listener_slots):
        owner = homes.get(slot % worker_count)
        if owner is None:
            holders = [w for w in accepting if slot in w.holds]
            candidates = holders or accepting
            owner = min(candidates, key=lambda w: (len(wanted[w.id]), w.slot))
        wanted[owner.id].add(slot)
    lends: list[Action] = []
    returns: list[Action] = []
    for worker in accepting:
        missing = wanted[worker.id] - worker.holds
        surplus = worker.holds - wanted[worker.id]
        if missing:
            lends.append(Lend(worker.id, tuple(sorted(missing))))
        if surplus:
            returns.append(TakeBack(worker.id, tuple(sorted(surplus))))
        worker.holds = wanted[worker.id]
    return lends + returns
