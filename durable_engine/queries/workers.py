"""The processes that run invocations, as their heartbeats tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F

from durable_engine.models import Worker
from durable_engine.storage.clock import ClockTimestamp


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker process. `silent_for` is the time since its last heartbeat, by the database clock."""

    id: UUID
    hostname: str
    pid: int
    release: str
    functions: Sequence[str]
    queues: Sequence[str]
    draining: bool
    started_at: datetime
    last_seen: datetime
    lost_at: datetime | None
    exit_reason: str
    silent_for: timedelta

    @property
    def label(self) -> str:
        """Host and process, as logs name it."""
        return f"{self.hostname}:{self.pid}"


_FIELDS = tuple(WorkerView.__dataclass_fields__)


def live_workers() -> list[WorkerView]:
    """Return the workers that are not stopped and were heard of within a lease."""
    lease = timedelta(seconds=settings.DURABLE_LEASE_SECONDS)
    rows = _rows().filter(lost_at=None, last_seen__gt=ClockTimestamp() - lease)
    return [WorkerView(*row) for row in rows.order_by("hostname", "pid")]


def stopped_workers(since: datetime, limit: int) -> list[WorkerView]:
    """Return the workers that stopped or were lost since then, the last one first."""
    rows = _rows().filter(lost_at__gte=since).order_by("-lost_at")
    return [WorkerView(*row) for row in rows[:limit]]


def worker_with(worker_id: UUID) -> WorkerView | None:
    """Return one worker, live or not; None when its row is gone."""
    row = _rows().filter(pk=worker_id).first()
    return None if row is None else WorkerView(*row)


def _rows() -> Any:
    silence = ExpressionWrapper(ClockTimestamp() - F("last_seen"), output_field=DurationField())
    return Worker.objects.annotate(silent_for=silence).values_list(*_FIELDS)
