"""Everything that monitoring asks for, at one look, whose cost does not grow with the number of executions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from durable_engine.models.execution import LIVE_STATUSES
from durable_engine.queries.attention import COUNT_CAP, silent_seconds
from durable_engine.queries.schedulers import SchedulerView, list_schedulers
from durable_engine.queries.workers import WorkerView, live_workers
from durable_engine.storage import attention, counts, gauges
from durable_engine.storage.clock import database_now
from durable_engine.storage.gauges import Backlog, LimitUse, SoFar
from durable_engine.storage.rollups import BIN_FACTOR

__all__ = ["BIN_FACTOR", "COUNT_CAP", "Gauges", "Queue", "SoFar", "read_gauges"]


@dataclass(frozen=True, slots=True)
class Queue:
    """What is ready in a queue, since how many seconds the oldest, and how many live workers take from it."""

    ready: int
    oldest_seconds: float
    workers: int


@dataclass(frozen=True, slots=True)
class Gauges:
    """All of them. Counts stop at `COUNT_CAP`; `so_far` is what only grows, by function."""

    live: Mapping[str, int]
    paused: Mapping[str, int]
    on_silent_workers: int
    queues: Mapping[str, Queue]
    workers: Mapping[str, int]
    schedulers: Sequence[SchedulerView]
    limits: Sequence[LimitUse]
    backlog: Backlog
    so_far: Mapping[str, SoFar]


def read_gauges() -> Gauges:
    """Look at everything, in ten statements."""
    workers = live_workers()
    return Gauges(
        live=counts.count_by_status([status.value for status in LIVE_STATUSES], COUNT_CAP),
        paused={each.kind or "operator": min(each.count, COUNT_CAP) for each in attention.paused()},
        on_silent_workers=attention.on_silent_workers(silent_seconds()).count,
        queues=_queues(workers),
        workers=_by_state(workers),
        schedulers=[scheduler for scheduler in list_schedulers() if scheduler.is_live],
        limits=gauges.limits(),
        backlog=gauges.backlog(),
        so_far=gauges.so_far(),
    )


def _queues(workers: Sequence[WorkerView]) -> dict[str, Queue]:
    now = database_now()
    ready = {name: (count, (now - oldest).total_seconds()) for name, count, oldest in attention.ready_by_queue()}
    serving = [worker for worker in workers if not worker.draining]
    return {
        name: Queue(*ready.get(name, (0, 0.0)), workers=sum(name in worker.queues for worker in serving))
        for name in sorted({*ready, *(queue for worker in serving for queue in worker.queues)})
    }


def _by_state(workers: Sequence[WorkerView]) -> dict[str, int]:
    found = {"serving": 0, "draining": 0, "silent": 0}
    for worker in workers:
        silent = worker.silent_for.total_seconds() > silent_seconds()
        found["silent" if silent else "draining" if worker.draining else "serving"] += 1
    return found
