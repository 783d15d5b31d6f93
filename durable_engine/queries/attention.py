"""What needs a person: executions that stand still, and processes that are missing. A constant number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from durable_engine.queries.function_pauses import PauseView, paused_functions
from durable_engine.queries.schedulers import SchedulerView, list_schedulers, longest_scheduler_silence
from durable_engine.queries.workers import WorkerView, live_workers
from durable_engine.storage import attention
from durable_engine.storage.attention import Late, Paused, Waiting

COUNT_CAP: Final = attention.CAP
SILENT_HEARTBEATS: Final = 2


@dataclass(frozen=True, slots=True)
class WaitingView:
    """Executions that have been ready for more than a minute, and why nobody takes them."""

    waiting: Waiting
    reason: str


@dataclass(frozen=True, slots=True)
class Attention:
    """Everything that stands still. Counts one above `COUNT_CAP` stand for more."""

    paused: Sequence[Paused]
    waiting: Sequence[WaitingView]
    overdue: Late
    silent: Late
    workers: Sequence[WorkerView]
    schedulers: Sequence[SchedulerView]

    @property
    def live_schedulers(self) -> list[SchedulerView]:
        """The schedulers that were heard of lately."""
        return [scheduler for scheduler in self.schedulers if scheduler.is_live]

    @property
    def silent_workers(self) -> list[WorkerView]:
        """Workers that missed their heartbeat and are not given up yet."""
        return [worker for worker in self.workers if worker.silent_for.total_seconds() > silent_seconds()]


def attention_needed() -> Attention:
    """Look at what stands still, in seven queries whose cost does not grow with the number of executions."""
    workers, pauses = live_workers(), paused_functions()
    return Attention(
        paused=attention.paused(),
        waiting=[WaitingView(each, _reason(each, workers, pauses)) for each in attention.waiting_for_long()],
        overdue=attention.overdue_timers(),
        silent=attention.on_silent_workers(silent_seconds()),
        workers=workers,
        schedulers=list_schedulers(),
    )


def attention_revision() -> str:
    """Return a text that changes when what `attention_needed` says does, by one statement."""
    return attention.revision(silent_seconds(), float(settings.DURABLE_LEASE_SECONDS), longest_scheduler_silence())


def silent_seconds() -> float:
    """How long a worker may be quiet before it is worth a word."""
    return SILENT_HEARTBEATS * float(settings.DURABLE_HEARTBEAT_SECONDS) + 1


def _reason(waiting: Waiting, workers: Sequence[WorkerView], pauses: Mapping[str, PauseView]) -> str:
    if waiting.function in pauses:
        return f"the function is paused by {pauses[waiting.function].paused_by}"
    served = f"{waiting.function}:{waiting.version}"
    serving = [worker for worker in workers if served in worker.functions and not worker.draining]
    if not serving:
        return f"no live worker serves version {waiting.version}"
    if not any(waiting.queue in worker.queues for worker in serving):
        return f"no live worker takes from the queue {waiting.queue}"
    return "every worker is busy"
