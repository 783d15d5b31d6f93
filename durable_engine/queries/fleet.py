"""The processes that do the work, what they hold, and what waits for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Count

from durable_engine.models import Execution, ExecutionStatus
from durable_engine.queries.attention import silent_seconds
from durable_engine.queries.schedulers import SchedulerView, list_schedulers
from durable_engine.queries.workers import WorkerView, live_workers, stopped_workers
from durable_engine.storage import attention
from durable_engine.storage.clock import database_now

STOPPED_SINCE: Final = timedelta(days=1)
MOST_STOPPED: Final = 20


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """A live worker and how many executions it runs."""

    worker: WorkerView
    running: int

    @property
    def is_silent(self) -> bool:
        """Whether it missed its heartbeat and is not given up yet."""
        return self.worker.silent_for.total_seconds() > silent_seconds()


@dataclass(frozen=True, slots=True)
class QueueUse:
    """A queue: what is ready in it, since when the oldest, and how many live workers take from it."""

    name: str
    ready: int
    oldest: datetime | None
    workers: int


@dataclass(frozen=True, slots=True)
class UnservedVersion:
    """A version that live executions need and no worker serves. `live` is one of those that were looked at."""

    function: str
    version: int
    live: int
    served: Sequence[int]


@dataclass(frozen=True, slots=True)
class Fleet:
    """All of them. `queues` has those that something is ready in or that a worker serves."""

    workers: Sequence[WorkerUse]
    stopped: Sequence[WorkerView]
    schedulers: Sequence[SchedulerView]
    queues: Sequence[QueueUse]
    unserved: Sequence[UnservedVersion]


def fleet() -> Fleet:
    """Look at the processes, in seven queries."""
    workers = live_workers()
    running = _running_by_worker()
    now = database_now()
    return Fleet(
        workers=[WorkerUse(worker, running.get(worker.id, 0)) for worker in workers],
        stopped=stopped_workers(now - STOPPED_SINCE, MOST_STOPPED),
        schedulers=list_schedulers(),
        queues=_queues(workers),
        unserved=_unserved(workers),
    )


def _running_by_worker() -> dict[UUID, int]:
    running = Execution.objects.visible().filter(status=ExecutionStatus.RUNNING).order_by()
    counted = running.values_list("worker_id").annotate(n=Count("pk"))
    return {worker_id: n for worker_id, n in counted if worker_id is not None}


def _unserved(workers: Sequence[WorkerView]) -> list[UnservedVersion]:
    served = {name for worker in workers if not worker.draining for name in worker.functions}
    versions: dict[str, list[int]] = defaultdict(list)
    for name in sorted(served):
        function, _, version = name.rpartition(":")
        versions[function].append(int(version))
    return [
        UnservedVersion(function, version, live, versions[function])
        for (function, version), live in attention.live_versions().items()
        if f"{function}:{version}" not in served
    ]


def _queues(workers: Sequence[WorkerView]) -> list[QueueUse]:
    ready = {name: (count, oldest) for name, count, oldest in attention.ready_by_queue()}
    serving = [worker for worker in workers if not worker.draining]
    names = sorted({*ready, *(queue for worker in serving for queue in worker.queues)})
    return [
        QueueUse(
            name=name,
            ready=ready[name][0] if name in ready else 0,
            oldest=ready[name][1] if name in ready else None,
            workers=sum(name in worker.queues for worker in serving),
        )
        for name in names
    ]
